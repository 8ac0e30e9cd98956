"""Supernet: New → pretrain → Trained → fit → Ready, and every way in which a stage may end."""

from typing import Any

import pytest

from pfpnas_api.jobs import FitPredictorJob, PretrainJob
from pfpnas_api.kinds import StageProgress, Supernet, SupernetStatus, find_condition
from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_api.messages import Progress
from pfpnas_operator.reconcile import BadManifest, Plan, SupernetObserved, names, reconcile_supernet
from pfpnas_operator.reconcile.deadlines import (
    BROKEN_DEADLINE,
    LONGEST_PAUSE,
    MOST_ATTEMPTS,
    MOST_INTERRUPTIONS,
    PENDING_DEADLINE,
    STALL_DEADLINE,
    STEADY,
    UNSCHEDULABLE_DEADLINE,
)
from pfpnas_operator.reconcile.supernet import training_of
from pfpnas_operator.reconcile.waits import pause_after
from support.reconcile_builders import (
    NOW,
    make_job,
    make_supernet,
    message_of,
    predictor_manifest,
    pretrain_manifest,
    reason_of,
)

PRETRAIN, FIT = "tiny-pretrain", "tiny-predictor"


def decide(supernet: Supernet, *jobs: Any, manifests: tuple[Any, ...] = ()) -> Plan:
    observed = SupernetObserved(
        supernet=supernet,
        jobs={job.name: job for job in jobs},
        manifests={manifest.uid: manifest for manifest in manifests},
    )
    return reconcile_supernet(observed, NOW)


def status_of(plan: Plan) -> SupernetStatus:
    assert isinstance(plan.status, SupernetStatus)
    return plan.status


def begun(**status: Any) -> Supernet:
    """A Supernet whose training was started."""
    plan = decide(make_supernet("New"))
    return make_supernet("New").model_copy(update={"status": status_of(plan).model_copy(update=status)})


def test_a_new_one_is_accepted_and_its_training_started() -> None:
    plan = decide(make_supernet("New"))
    (job,) = plan.create_jobs
    assert (job.name, job.workload) == (PRETRAIN, "pretrain")
    assert isinstance(job.document, PretrainJob)
    assert reason_of(status_of(plan), "Accepted") == "Valid"
    assert status_of(plan).started_at == NOW


def test_progress_is_shown() -> None:
    said = Progress(stage="Pretrain", done=30, total=120, epoch=2, epochs=8, eta_seconds=61.7)
    progress = status_of(decide(begun(), make_job(PRETRAIN, progress=said))).progress
    assert progress is not None
    assert (progress.epoch, progress.epochs, progress.percent, progress.eta_seconds) == (2, 8, 25, 61)


def test_nothing_is_written_while_nothing_changes() -> None:
    first = status_of(decide(begun(), make_job(PRETRAIN)))
    running = make_supernet("New").model_copy(update={"status": first})
    assert decide(running, make_job(PRETRAIN)) == Plan()


def test_the_manifest_makes_it_trained_and_the_job_goes() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Succeeded", exit_code=0), manifests=(pretrain_manifest(),))
    checkpoint = status_of(plan).checkpoint
    assert checkpoint is not None
    assert checkpoint.classes == 10
    assert reason_of(status_of(plan), "Trained") == "Trained"
    assert plan.delete_jobs == [PRETRAIN]
    assert plan.create_jobs == []


def test_the_manifest_counts_also_after_everything_else_is_gone() -> None:
    plan = decide(make_supernet("New"), manifests=(pretrain_manifest(),))
    assert status_of(plan).checkpoint is not None
    assert plan.create_jobs == []


def test_after_the_training_the_predictor_is_fitted_on_its_checkpoint() -> None:
    (job,) = decide(make_supernet("Trained"), manifests=(pretrain_manifest(),)).create_jobs
    assert (job.name, job.workload) == (FIT, "fit-predictor")
    assert isinstance(job.document, FitPredictorJob)
    assert job.document.checkpoint.sha256 == pretrain_manifest().artifacts["checkpoint"].sha256


def test_the_predictor_makes_it_ready() -> None:
    plan = decide(make_supernet("Trained"), manifests=(pretrain_manifest(), predictor_manifest()))
    status = status_of(plan)
    assert reason_of(status, "Ready")
    assert reason_of(status, "PredictorReady") == "Fitted"
    assert status.predictor is not None
    assert status.finished_at == NOW


def test_a_ready_one_only_loses_its_jobs_that_are_done_or_hang() -> None:
    hangs = make_job(FIT, age=STALL_DEADLINE.total_seconds() + 1)
    plan = decide(make_supernet("Ready"), make_job(PRETRAIN, "Succeeded", exit_code=0), hangs)
    assert plan == Plan(delete_jobs=[PRETRAIN, FIT])
    assert decide(make_supernet("Ready"), make_job(FIT)) == Plan()


def test_a_ready_one_says_that_it_saw_a_changed_spec_once() -> None:
    ready = make_supernet("Ready")
    changed = ready.model_copy(update={"metadata": ready.metadata.model_copy(update={"generation": 2})})
    status = status_of(decide(changed))
    assert (status.observed_generation, status.conditions) == (2, ready.status.conditions)
    assert decide(changed.model_copy(update={"status": status})) == Plan()


@pytest.mark.parametrize("outcome", ["BadInput", "BadArchitecture"])
def test_bad_input_fails_at_once_with_the_jobs_own_words(outcome: str) -> None:
    manifest = pretrain_manifest(outcome=outcome, message="dataset.uri: no such folder", artifacts={}, figures={})
    plan = decide(begun(), make_job(PRETRAIN, "Failed", exit_code=42), manifests=(manifest,))
    assert reason_of(status_of(plan), "Failed") == outcome
    assert message_of(status_of(plan), "Failed") == "dataset.uri: no such folder"


def test_exit_42_without_a_manifest_is_bad_input_too() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Failed", exit_code=42, message="refused: see its log"))
    assert reason_of(status_of(plan), "Failed") == "BadInput"


@pytest.mark.parametrize("figures", [{}, {"classes": 1}])
def test_a_manifest_that_lacks_something_fails_it(figures: dict[str, float]) -> None:
    plan = decide(begun(), manifests=(pretrain_manifest(figures=figures),))
    assert reason_of(status_of(plan), "Failed") == "BadManifest"


def test_what_is_no_manifest_fails_it_and_is_forgotten_when_it_is_tried_again() -> None:
    uid = names.supernet_manifests(begun())[0]
    seen = {"manifests": {uid: BadManifest(why="outcome: no such word")}}
    failed = status_of(reconcile_supernet(SupernetObserved(supernet=begun(), **seen), NOW))
    assert reason_of(failed, "Failed") == "BadManifest"
    assert message_of(failed, "Failed") == "outcome: no such word"
    metadata = begun().metadata.model_copy(update={"generation": 7})
    again = begun().model_copy(update={"status": failed, "metadata": metadata})
    plan = reconcile_supernet(SupernetObserved(supernet=again, **seen), NOW)
    assert plan.forget == [uid]
    assert [job.name for job in plan.create_jobs] == [PRETRAIN]


def test_a_predictor_without_its_figures_fails_it() -> None:
    plan = decide(make_supernet("Trained"), manifests=(pretrain_manifest(), predictor_manifest(figures={"samples": 4})))
    assert reason_of(status_of(plan), "Failed") == "BadManifest"


@pytest.mark.parametrize("end", [{"exit_code": 75}, {"infrastructure": True, "message": "Evicted"}])
def test_an_interrupted_training_goes_on_without_counting(end: dict[str, Any]) -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Failed", **end))
    assert plan.delete_jobs == [PRETRAIN]
    assert plan.create_jobs == []
    assert (status_of(plan).attempts, status_of(plan).interruptions) == ({}, {"Pretrain": 1})
    assert [(event.type, event.reason) for event in plan.events] == [("Warning", "Interrupted")]
    assert [job.name for job in decide(begun(interruptions={"Pretrain": 1})).create_jobs] == [PRETRAIN]


def test_interruptions_in_a_row_are_answered_with_pauses_that_grow() -> None:
    assert [pause_after(n).total_seconds() for n in range(6)] == [0, 10, 20, 40, 80, 160]
    assert pause_after(30) == LONGEST_PAUSE
    twice = begun(interruptions={"Pretrain": 2})
    plan = decide(twice, make_job(PRETRAIN, "Failed", exit_code=75, age=19))
    assert (plan.delete_jobs, plan.create_jobs) == ([], [])
    assert "is started again at" in message_of(status_of(plan), "Trained")
    later = decide(twice, make_job(PRETRAIN, "Failed", exit_code=75, age=20))
    assert (later.delete_jobs, status_of(later).interruptions) == ([PRETRAIN], {"Pretrain": 3})


def test_a_training_that_is_interrupted_time_and_again_fails_in_the_end() -> None:
    often = begun(interruptions={"Pretrain": MOST_INTERRUPTIONS - 1})
    plan = decide(often, make_job(PRETRAIN, "Failed", infrastructure=True, message="preempted"))
    assert reason_of(status_of(plan), "Failed") == "Interrupted"
    assert f"{MOST_INTERRUPTIONS} times in a row: preempted" in message_of(status_of(plan), "Failed")


def test_a_training_that_runs_for_a_while_is_forgiven_its_interruptions() -> None:
    steady = STEADY.total_seconds()
    often = begun(interruptions={"Pretrain": 9})
    assert status_of(decide(often, make_job(PRETRAIN, age=steady + 1, quiet=1))).interruptions == {}
    plan = decide(often, make_job(PRETRAIN, age=steady - 1, quiet=1))
    assert status_of(plan).interruptions == {"Pretrain": 9}


def test_other_ends_are_counted_and_tried_again() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Failed", exit_code=1))
    assert status_of(plan).attempts == {"Pretrain": 1}
    assert plan.delete_jobs == [PRETRAIN]
    assert plan.create_jobs == []  # a Job of the same name has to be gone first
    assert not reason_of(status_of(plan), "Failed")


def test_the_last_attempt_fails_it() -> None:
    plan = decide(begun(attempts={"Pretrain": MOST_ATTEMPTS - 1}), make_job(PRETRAIN, "Failed", exit_code=-9))
    assert reason_of(status_of(plan), "Failed") == "JobFailed"
    assert status_of(plan).finished_at == NOW


def test_each_stage_has_its_own_attempts() -> None:
    supernet = make_supernet("Trained", attempts={"Pretrain": MOST_ATTEMPTS - 1})
    plan = decide(supernet, make_job(FIT, "Failed", exit_code=1), manifests=(pretrain_manifest(),))
    assert status_of(plan).attempts == {"Pretrain": MOST_ATTEMPTS - 1, "FitPredictor": 1}


def test_a_job_that_says_nothing_new_for_too_long_is_tried_again() -> None:
    limit = STALL_DEADLINE.total_seconds()
    assert decide(begun(), make_job(PRETRAIN, age=10 * limit, quiet=limit)).delete_jobs == []
    plan = decide(begun(), make_job(PRETRAIN, age=10 * limit, quiet=limit + 1))
    assert plan.delete_jobs == [PRETRAIN]
    assert status_of(plan).attempts == {"Pretrain": 1}


def waiting_of(plan: Plan, kind: str = "Trained") -> tuple[str, str]:
    found = find_condition(status_of(plan).conditions, kind)
    assert found is not None
    assert found.status == "False"
    return found.reason, found.message


def test_a_job_may_wait_in_its_queue_for_as_long_as_it_takes() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Queued", age=10**7, message="no quota left"))
    assert waiting_of(plan) == waiting_of(plan, "Ready") == ("Queued", f"{PRETRAIN}: no quota left")
    assert (plan.create_jobs, plan.delete_jobs, plan.events) == ([], [], [])
    (again,) = plan.waiting_jobs
    assert (again.name, again.workload) == (PRETRAIN, "pretrain")


WAITS = [
    ("", "Pending", PENDING_DEADLINE),
    ("ContainerCreating", "Pending", PENDING_DEADLINE),
    ("what is this?", "Pending", PENDING_DEADLINE),
    ("Unschedulable", "Unschedulable", UNSCHEDULABLE_DEADLINE),
    ("JobRefused", "JobRefused", UNSCHEDULABLE_DEADLINE),
    ("NoPod", "NoPod", UNSCHEDULABLE_DEADLINE),
    ("ErrImagePull", "ImagePullBackOff", BROKEN_DEADLINE),
    ("ImagePullBackOff", "ImagePullBackOff", BROKEN_DEADLINE),
    ("InvalidImageName", "InvalidImageName", BROKEN_DEADLINE),
    ("CreateContainerConfigError", "CreateContainerConfigError", BROKEN_DEADLINE),
]


@pytest.mark.parametrize(("said", "shown", "deadline"), WAITS)
def test_why_a_pod_does_not_start_is_said_with_its_own_words_until_its_deadline(
    said: str, shown: str, deadline: Any
) -> None:
    age = deadline.total_seconds()
    waits = make_job(PRETRAIN, "Pending", age=age, reason=said, message="0/3 nodes are available")
    plan = decide(begun(), waits)
    assert waiting_of(plan) == (shown, f"{PRETRAIN}: 0/3 nodes are available")
    assert (plan.create_jobs, plan.delete_jobs) == ([], [])
    over = decide(begun(), make_job(PRETRAIN, "Pending", age=age + 1, reason=said, message="0/3 nodes are available"))
    assert reason_of(status_of(over), "Failed") == shown
    assert "0/3 nodes are available" in message_of(status_of(over), "Failed")
    assert over.delete_jobs == [PRETRAIN]


def test_trouble_is_an_event_once() -> None:
    waits = make_job(PRETRAIN, "Pending", reason="Unschedulable", message="no GPU")
    first = decide(begun(), waits)
    assert [(event.type, event.reason) for event in first.events] == [("Warning", "Unschedulable")]
    again = make_supernet("New").model_copy(update={"status": status_of(first)})
    other_words = make_job(PRETRAIN, "Pending", reason="Unschedulable", message="still no GPU")
    assert decide(again, other_words).events == []


@pytest.mark.parametrize("state", ["Running", "Failed", "Succeeded"])
def test_a_job_that_is_leaving_is_waited_for(state: str) -> None:
    plan = decide(begun(), make_job(PRETRAIN, state, leaving=True, age=STALL_DEADLINE.total_seconds() + 1))
    assert waiting_of(plan)[0] == "Terminating"
    assert (plan.create_jobs, plan.delete_jobs, status_of(plan).attempts) == ([], [], {})


# -- suspended -------------------------------------------------------------------------------------------------------


def suspend(supernet: Supernet, *, wanted: bool = True) -> Supernet:
    return supernet.model_copy(update={"spec": supernet.spec.model_copy(update={"suspend": wanted})})


def test_a_suspended_one_loses_its_job_and_keeps_its_progress() -> None:
    training = begun(progress=StageProgress(stage="Pretrain", percent=40, eta_seconds=7))
    plan = decide(suspend(training), make_job(PRETRAIN))
    status = status_of(plan)
    assert (plan.delete_jobs, plan.create_jobs) == ([PRETRAIN], [])
    assert reason_of(status, "Suspended") == "Suspended"
    assert waiting_of(plan) == waiting_of(plan, "Ready") == ("Suspended", "spec.suspend is true")
    assert status.progress == StageProgress(stage="Pretrain", percent=40)
    assert (status.attempts, status.interruptions) == ({}, {})


def test_while_it_is_suspended_nothing_is_done_and_nothing_started() -> None:
    status = status_of(decide(suspend(begun()), make_job(PRETRAIN)))
    suspended = suspend(make_supernet("New").model_copy(update={"status": status}))
    assert decide(suspended, make_job(PRETRAIN, leaving=True)) == decide(suspended) == Plan()


def test_a_resumed_one_goes_on_with_the_same_job_once_the_old_one_is_gone() -> None:
    asleep = status_of(decide(suspend(begun()), make_job(PRETRAIN)))
    resumed = make_supernet("New").model_copy(update={"status": asleep})
    plan = decide(resumed, make_job(PRETRAIN, leaving=True))
    assert (plan.create_jobs, waiting_of(plan)[0]) == ([], "Terminating")
    plan = decide(resumed)
    assert [job.name for job in plan.create_jobs] == [PRETRAIN]
    assert waiting_of(plan, "Suspended") == ("Resumed", "")
    assert [event.reason for event in plan.events] == ["Resumed"]


def test_suspending_a_ready_one_only_says_that_there_is_nothing_to_suspend() -> None:
    plan = decide(suspend(make_supernet("Ready")))
    assert waiting_of(plan, "Suspended")[0] == "Ended"
    assert reason_of(status_of(plan), "Ready")


def test_where_and_whether_its_pods_run_is_no_part_of_what_is_trained() -> None:
    plain = make_supernet("New")
    moved = {"queue_name": "gpu", "pod_template": PodTemplate(priority_class_name="high"), "deletion_policy": "Retain"}
    other = plain.model_copy(update={"spec": plain.spec.model_copy(update=moved)})
    assert decide(other).create_jobs == decide(plain).create_jobs
    longer = plain.spec.model_copy(update={"training": plain.spec.training.model_copy(update={"epochs": 91})})
    assert training_of(longer) != training_of(plain.spec)


def test_a_job_that_ended_without_a_manifest_is_tried_again() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Succeeded", exit_code=0))
    assert status_of(plan).attempts == {"Pretrain": 1}


def test_a_failed_one_stays_failed() -> None:
    failed = status_of(decide(begun(), make_job(PRETRAIN, "Failed", exit_code=42)))
    supernet = make_supernet("New").model_copy(update={"status": failed})
    assert decide(supernet, manifests=(pretrain_manifest(),)) == Plan()


def changed(supernet: Supernet) -> Supernet:
    return supernet.model_copy(update={"metadata": supernet.metadata.model_copy(update={"generation": 2})})


def test_a_failed_one_is_tried_again_once_its_spec_is_changed() -> None:
    over = BROKEN_DEADLINE.total_seconds() + 1
    late = make_job(PRETRAIN, "Pending", age=over, reason="ImagePullBackOff")
    failed = status_of(decide(begun(attempts={"Pretrain": 2}), late))
    again = changed(make_supernet("New").model_copy(update={"status": failed}))
    plan = decide(again, make_job(PRETRAIN, "Pending", leaving=True))
    status = status_of(plan)
    assert (reason_of(status, "Failed"), status.attempts, status.finished_at) == (None, {}, None)
    assert [event.reason for event in plan.events] == ["TriedAgain"]
    assert [job.name for job in decide(again).create_jobs] == [PRETRAIN]


def test_a_refusal_of_what_was_changed_since_is_forgotten_and_good_work_is_not() -> None:
    refusal = pretrain_manifest(outcome="BadInput", message="no such folder", artifacts={}, figures={})
    failed = status_of(decide(begun(), manifests=(refusal,)))
    again = changed(make_supernet("New").model_copy(update={"status": failed}))
    plan = decide(again, manifests=(refusal,))
    assert plan.forget == [refusal.uid]
    assert [job.name for job in plan.create_jobs] == [PRETRAIN]
    assert decide(again, manifests=(pretrain_manifest(),)).forget == []


def test_a_failed_one_that_is_to_be_suspended_stays_failed_until_it_is_resumed() -> None:
    failed = status_of(decide(begun(), make_job(PRETRAIN, "Failed", exit_code=42)))
    asleep = suspend(changed(make_supernet("New").model_copy(update={"status": failed})))
    plan = decide(asleep)
    assert (reason_of(status_of(plan), "Failed"), plan.create_jobs) == ("BadInput", [])
    assert decide(asleep.model_copy(update={"status": status_of(plan)})) == Plan()


def test_names_and_uids_of_its_jobs_belong_to_its_uid() -> None:
    first, second = names.supernet_manifests(make_supernet())
    assert (first, second) == ("sn-uid-pretrain", "sn-uid-predictor")
