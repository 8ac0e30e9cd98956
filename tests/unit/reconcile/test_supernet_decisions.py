"""Supernet: New → pretrain → Trained → fit → Ready, and every way in which a stage may end."""

from typing import Any

import pytest

from pfpnas_api.jobs import FitPredictorJob, PretrainJob
from pfpnas_api.kinds import Supernet, SupernetStatus
from pfpnas_api.messages import Progress
from pfpnas_operator.reconcile import Plan, SupernetObserved, names, reconcile_supernet
from pfpnas_operator.reconcile.deadlines import MOST_ATTEMPTS, STALL_DEADLINE
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
    plan = decide(begun(), make_job(PRETRAIN))
    assert plan == Plan()


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


def test_a_predictor_without_its_figures_fails_it() -> None:
    plan = decide(make_supernet("Trained"), manifests=(pretrain_manifest(), predictor_manifest(figures={"samples": 4})))
    assert reason_of(status_of(plan), "Failed") == "BadManifest"


def test_exit_75_goes_on_without_counting() -> None:
    interrupted = decide(begun(), make_job(PRETRAIN, "Failed", exit_code=75))
    assert interrupted == Plan(delete_jobs=[PRETRAIN])
    assert [job.name for job in decide(begun()).create_jobs] == [PRETRAIN]


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


def test_a_job_may_wait_in_its_queue_for_as_long_as_it_takes() -> None:
    limit = STALL_DEADLINE.total_seconds()
    assert decide(begun(), make_job(PRETRAIN, "Pending", age=10 * limit)) == Plan()


def test_a_job_that_ended_without_a_manifest_is_tried_again() -> None:
    plan = decide(begun(), make_job(PRETRAIN, "Succeeded", exit_code=0))
    assert status_of(plan).attempts == {"Pretrain": 1}


def test_a_failed_one_stays_failed() -> None:
    failed = status_of(decide(begun(), make_job(PRETRAIN, "Failed", exit_code=42)))
    supernet = make_supernet("New").model_copy(update={"status": failed})
    assert decide(supernet, manifests=(pretrain_manifest(),)) == Plan()


def test_names_and_uids_of_its_jobs_belong_to_its_uid() -> None:
    first, second = names.supernet_manifests(make_supernet())
    assert (first, second) == ("sn-uid-pretrain", "sn-uid-predictor")
