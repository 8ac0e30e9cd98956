"""A trial's build, in either mode: started, lost, overdue, refused, done; and nothing of it left behind."""

from typing import Any

import pytest

from pfpnas_api.jobs import TrialJob
from pfpnas_api.kinds import NASExperiment, Trial, find_condition, is_true
from pfpnas_api.kinds.experiment import TrialTemplate
from pfpnas_operator.reconcile import BadManifest, Plan, names, reconcile_experiment
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.deadlines import (
    ANSWER_GRACE,
    BROKEN_DEADLINE,
    MOST_ATTEMPTS,
    MOST_INTERRUPTIONS,
    PENDING_DEADLINE,
    UNSCHEDULABLE_DEADLINE,
)
from pfpnas_operator.reconcile.experiment import build_uids
from support.reconcile_builders import (
    NOW,
    artifact,
    build_manifest,
    build_uid_of,
    experiment_status,
    make_checkpoint,
    make_experiment,
    make_job,
    make_lease,
    make_supernet,
    make_trial,
    message_of,
    observe,
    own_jobs,
    reason_of,
)

DEADLINE = TrialTemplate().deadline_seconds

BUSY = {"maxTrials": 1, "parallelTrials": 1}


def experiment(mode: str = "Pooled") -> NASExperiment:
    return make_experiment(mode=mode, budget=BUSY)


def job_name(trial: Trial, attempt: int = 1) -> str:
    request = build_request(experiment("Pod"), make_checkpoint(), trial.spec.architecture)
    return names.build_job(experiment("Pod"), request.model_copy(update={"attempt": attempt}))


def pooled(trial: Trial, *, manifest: Any = None, lease: Any = None) -> Plan:
    uid = build_uid_of(experiment(), trial)
    manifests = {} if manifest is None else {uid: build_manifest(uid, **manifest)}
    builds = {} if lease is None else {uid: lease}
    return reconcile_experiment(observe(experiment(), trial, manifests=manifests, builds=builds), NOW)


def pod(trial: Trial, *jobs: Any, manifest: Any = None) -> Plan:
    uid = build_uid_of(experiment("Pod"), trial)
    manifests = {} if manifest is None else {uid: build_manifest(uid, **manifest)}
    everything = own_jobs(experiment("Pod")) | {job.name: job for job in jobs}
    return reconcile_experiment(observe(experiment("Pod"), trial, manifests=manifests, jobs=everything), NOW)


# -- either mode -----------------------------------------------------------------------------------------------------


def test_a_new_trial_is_built_by_the_pool() -> None:
    plan = pooled(make_trial())
    (request,) = plan.builds
    assert request.uid == build_uid_of(experiment(), make_trial())
    assert (request.attempt, plan.create_jobs) == (1, [])
    status = plan.trial_status["digits-00000"]
    assert (status.build_attempts, status.build_started_at) == (1, NOW)


def test_a_new_trial_is_built_by_a_job_of_its_own() -> None:
    plan = pod(make_trial())
    (job,) = plan.create_jobs
    assert (job.name, job.workload) == (job_name(make_trial()), "trial")
    assert isinstance(job.document, TrialJob)
    assert plan.builds == []


@pytest.mark.parametrize("decide", [pooled, pod])
def test_the_manifest_makes_it_built_also_after_everything_else_is_gone(decide: Any) -> None:
    plan = decide(make_trial(), manifest={"figures": {"buildMilliseconds": 12.5}})
    status = plan.trial_status["digits-00000"]
    assert is_true(status.conditions, "Built")
    assert status.observed_generation == make_trial().metadata.generation
    assert (status.build_milliseconds, status.built_at) == (12.5, NOW)
    assert status.metrics is not None
    assert status.metrics.flops
    assert (plan.builds, plan.create_jobs) == ([], [])


@pytest.mark.parametrize("decide", [pooled, pod])
@pytest.mark.parametrize(("outcome", "reason"), [("BadArchitecture", "BadArchitecture"), ("BadInput", "BuildFailed")])
def test_a_refused_build_fails_the_trial_with_its_words(decide: Any, outcome: str, reason: str) -> None:
    plan = decide(make_trial(), manifest={"outcome": outcome, "message": "no such kernel", "artifacts": {}})
    status = plan.trial_status["digits-00000"]
    assert reason_of(status, "Failed") == reason
    assert message_of(status, "Failed") == "no such kernel"


def test_a_manifest_without_a_model_fails_the_trial() -> None:
    assert reason_of(pooled(make_trial(), manifest={"artifacts": {}}).trial_status["digits-00000"], "Failed")


@pytest.mark.parametrize("decide", [pooled, pod])
@pytest.mark.parametrize("size", [0, 2**31 + 1])
def test_a_model_of_an_impossible_size_fails_the_trial_before_it_is_a_task(decide: Any, size: int) -> None:
    plan = decide(make_trial(), manifest={"artifacts": {"model": artifact("model", size=size)}})
    status = plan.trial_status["digits-00000"]
    assert reason_of(status, "Failed") == "BadManifest"
    assert f"artifacts.model.size {size};" in message_of(status, "Failed")
    assert (plan.tasks, status.artifact) == ([], None)


@pytest.mark.parametrize("took", [-1.0, float("nan"), float("inf")])
def test_a_duration_that_no_status_can_hold_fails_the_trial(took: float) -> None:
    plan = pooled(make_trial(), manifest={"figures": {"buildMilliseconds": took}})
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BadManifest"


@pytest.mark.parametrize("mode", ["Pooled", "Pod"])
def test_what_is_no_manifest_fails_its_trial_only_and_is_forgotten(mode: str) -> None:
    bad, good = make_trial(0), make_trial(1)
    tried = make_experiment(mode=mode, budget={"maxTrials": 2, "parallelTrials": 2})
    unreadable, other = build_uid_of(tried, bad), build_uid_of(tried, good)
    manifests = {unreadable: BadManifest(why="outcome: no such word"), other: build_manifest(other)}
    plan = reconcile_experiment(observe(tried, bad, good, manifests=manifests, jobs=own_jobs(tried)), NOW)
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BadManifest"
    assert message_of(plan.trial_status["digits-00000"], "Failed") == "outcome: no such word"
    assert is_true(plan.trial_status["digits-00001"].conditions, "Built")
    assert plan.forget == [unreadable]


def test_an_architecture_of_another_space_is_never_built() -> None:
    stranger = make_trial()
    stranger = stranger.model_copy(update={"spec": stranger.spec.model_copy(update={"architecture": "r224-k7e6"})})
    plan = pooled(stranger)
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BadArchitecture"
    assert plan.builds == []


def test_equal_candidates_are_built_once() -> None:
    twin = make_trial(None)
    twin = twin.model_copy(
        update={"spec": twin.spec.model_copy(update={"architecture": make_trial().spec.architecture})}
    )
    plan = reconcile_experiment(observe(experiment(), make_trial(), twin), NOW)
    assert len(plan.builds) == 1
    assert {status.build_attempts for status in plan.trial_status.values()} == {1}


def test_manifests_are_looked_for_where_builds_are_under_way() -> None:
    building, built = make_trial(0), make_trial(1, "Built")
    assert build_uids(experiment(), make_supernet(), [building, built]) == [build_uid_of(experiment(), building)]
    assert build_uids(experiment(), make_supernet("New"), [building]) == []
    without = make_experiment(reference=None)
    assert len(build_uids(without, make_supernet(), [])) == 1


# -- Pooled ----------------------------------------------------------------------------------------------------------


def test_a_build_under_way_is_left_alone() -> None:
    trial = make_trial(buildAttempts=1)
    for state in ("Waiting", "Claimed"):
        plan = pooled(trial, lease=make_lease(state, age=60))
        assert (plan.builds, plan.delete_builds) == ([], [])


def test_a_build_that_redis_lost_is_asked_for_again_and_not_counted() -> None:
    plan = pooled(make_trial(buildAttempts=2))
    assert [request.attempt for request in plan.builds] == [2]
    assert plan.trial_status["digits-00000"].build_attempts == 2


def test_a_claim_past_its_deadline_is_another_attempt() -> None:
    over = DEADLINE + 1
    plan = pooled(make_trial(buildAttempts=1), lease=make_lease(age=over, entry="5-0"))
    assert plan.delete_builds == ["5-0"]
    assert [request.attempt for request in plan.builds] == [2]


def test_waiting_in_the_queue_has_no_deadline() -> None:
    plan = pooled(make_trial(buildAttempts=1), lease=make_lease("Waiting", age=10**6))
    assert (plan.builds, plan.delete_builds) == ([], [])


def test_an_acknowledged_build_without_a_manifest_is_another_attempt() -> None:
    grace = ANSWER_GRACE.total_seconds()
    assert pooled(make_trial(buildAttempts=1), lease=make_lease("Answered", age=grace)).builds == []
    assert len(pooled(make_trial(buildAttempts=1), lease=make_lease("Answered", age=grace + 1)).builds) == 1


def test_the_last_attempt_fails_the_trial() -> None:
    over = DEADLINE + 1
    plan = pooled(make_trial(buildAttempts=MOST_ATTEMPTS), lease=make_lease(age=over, entry="5-0"))
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BuildFailed"
    assert (plan.delete_builds, plan.builds) == (["5-0"], [])


def test_a_candidate_whose_chunks_are_still_pushed_is_not_measured_yet() -> None:
    trial = make_trial(buildAttempts=1)
    assert "digits-00000" not in {
        name for name, s in pooled(trial, lease=make_lease(), manifest={}).trial_status.items() if s.artifact
    }
    plan = pooled(trial, lease=make_lease("Answered", entry="5-0"), manifest={})
    assert plan.trial_status["digits-00000"].artifact
    assert plan.delete_builds == ["5-0"]


def test_a_worker_that_never_says_done_does_not_hold_up_what_it_made() -> None:
    over = DEADLINE + 1
    plan = pooled(make_trial(buildAttempts=1), lease=make_lease(age=over, entry="5-0"), manifest={})
    assert plan.trial_status["digits-00000"].artifact
    assert plan.delete_builds == ["5-0"]


def test_a_build_that_nobody_waits_for_is_swept_unless_a_worker_has_it() -> None:
    leases = {"a": make_lease("Waiting", entry="1-0"), "b": make_lease("Answered", entry="2-0"), "c": make_lease()}
    plan = reconcile_experiment(observe(experiment(), make_trial(0, "Built"), builds=leases), NOW)
    assert plan.delete_builds == ["1-0", "2-0"]


# -- Pod -------------------------------------------------------------------------------------------------------------


def built_of(plan: Plan) -> tuple[str, str]:
    found = find_condition(plan.trial_status["digits-00000"].conditions, "Built")
    assert found is not None
    assert found.status == "False"
    return found.reason, found.message


def test_a_job_that_waits_in_its_queue_has_no_deadline_and_its_wait_is_no_build_time() -> None:
    waits = make_job(job_name(make_trial()), "Queued", age=10**6, message="no quota left")
    plan = pod(make_trial(buildAttempts=1, buildStartedAt=NOW), waits)
    assert (plan.create_jobs, plan.delete_jobs, plan.events) == ([], [], [])
    assert built_of(plan) == ("Queued", f"{waits.name}: no quota left")
    assert plan.trial_status["digits-00000"].build_started_at is None
    assert (experiment_status(plan).trials.pending, experiment_status(plan).trials.running) == (1, 0)


def test_a_pod_that_just_starts_is_building() -> None:
    plan = pod(make_trial(buildAttempts=1), make_job(job_name(make_trial()), "Pending", reason="ContainerCreating"))
    assert built_of(plan) == ("Building", "build 1")


@pytest.mark.parametrize(
    ("said", "deadline"),
    [
        ("", PENDING_DEADLINE),
        ("ImagePullBackOff", BROKEN_DEADLINE),
        ("Unschedulable", UNSCHEDULABLE_DEADLINE),
        ("JobRefused", UNSCHEDULABLE_DEADLINE),
    ],
)
def test_a_pod_that_does_not_start_in_time_fails_the_trial_with_its_reason(said: str, deadline: Any) -> None:
    age = deadline.total_seconds()
    name = job_name(make_trial())
    waits = {"reason": said, "message": "0/3 nodes are available"}
    plan = pod(make_trial(buildAttempts=1), make_job(name, "Pending", age=age, **waits))
    assert (plan.create_jobs, plan.delete_jobs) == ([], [])
    assert [(job.name, job.document.uid) for job in plan.waiting_jobs] == [
        (name, build_uid_of(experiment(), make_trial()))
    ]
    plan = pod(make_trial(buildAttempts=1), make_job(name, "Pending", age=age + 1, **waits))
    status = plan.trial_status["digits-00000"]
    assert reason_of(status, "Failed") == (said or "Pending")
    assert "0/3 nodes are available" in message_of(status, "Failed")
    assert plan.create_jobs == []
    assert name in plan.delete_jobs


def test_trouble_of_a_pod_is_said_on_the_trial_and_by_one_event() -> None:
    waits = make_job(job_name(make_trial()), "Pending", reason="ErrImagePull", message="no such image")
    plan = pod(make_trial(buildAttempts=1), waits)
    assert built_of(plan)[0] == "ImagePullBackOff"
    assert [(e.type, e.reason, e.subject) for e in plan.events] == [("Warning", "ImagePullBackOff", "digits-00000")]
    again = make_trial().model_copy(update={"status": plan.trial_status["digits-00000"]})
    backing_off = make_job(waits.name, "Pending", reason="ImagePullBackOff", message="Back-off pulling")
    assert pod(again, backing_off).events == []


def test_an_evicted_build_is_made_again_under_its_name_once_its_job_is_gone() -> None:
    name = job_name(make_trial())
    plan = pod(make_trial(buildAttempts=1), make_job(name, "Failed", infrastructure=True, message="Evicted"))
    status = plan.trial_status["digits-00000"]
    assert (plan.delete_jobs, plan.create_jobs) == ([name], [])
    assert (status.build_attempts, status.build_interruptions) == (1, 1)
    assert [(event.type, event.reason) for event in plan.events] == [("Warning", "Interrupted")]
    leaving = make_job(name, "Failed", infrastructure=True, leaving=True)
    plan = pod(make_trial(buildAttempts=1, buildInterruptions=1), leaving)
    assert (plan.delete_jobs, plan.create_jobs, built_of(plan)[0]) == ([], [], "Terminating")
    plan = pod(make_trial(buildAttempts=1, buildInterruptions=1))
    assert [job.name for job in plan.create_jobs] == [name]
    assert plan.trial_status["digits-00000"].build_interruptions == 1


def test_a_build_that_is_interrupted_time_and_again_fails_in_the_end() -> None:
    often = make_trial(buildAttempts=1, buildInterruptions=MOST_INTERRUPTIONS - 1)
    plan = pod(often, make_job(job_name(make_trial()), "Failed", exit_code=75, age=10**4))
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "Interrupted"
    paused = make_trial(buildAttempts=1, buildInterruptions=3)
    plan = pod(paused, make_job(job_name(make_trial()), "Failed", exit_code=75, age=39))
    assert (plan.delete_jobs, plan.trial_status["digits-00000"].build_interruptions) == ([], 3)


def test_a_pod_that_runs_for_too_long_is_another_attempt() -> None:
    over = DEADLINE + 1
    plan = pod(make_trial(buildAttempts=1), make_job(job_name(make_trial()), age=over))
    assert plan.delete_jobs == [job_name(make_trial())]
    assert [job.name for job in plan.create_jobs] == [job_name(make_trial(), attempt=2)]


@pytest.mark.parametrize("mode", ["Pod", "Pooled"])
def test_a_build_that_took_too_long_every_time_says_how_long_it_may_take(mode: str) -> None:
    over, trial = DEADLINE + 1, make_trial(buildAttempts=MOST_ATTEMPTS)
    if mode == "Pod":
        plan = pod(trial, make_job(job_name(make_trial(), MOST_ATTEMPTS), age=over))
    else:
        plan = pooled(trial, lease=make_lease(age=over))
    failed = find_condition(plan.trial_status["digits-00000"].conditions, "Failed")
    assert failed is not None
    assert "not done within 900 s of its start (trialTemplate.deadlineSeconds)" in failed.message


def test_an_image_that_trains_is_given_the_time_that_it_asks_for() -> None:
    spec, trial = experiment().spec, make_trial(buildAttempts=1)
    template = spec.trial_template.model_copy(update={"deadline_seconds": 7200})
    slow = experiment().model_copy(update={"spec": spec.model_copy(update={"trial_template": template})})
    for age, again in ((7199, 0), (7201, 1)):
        lease = {build_uid_of(slow, trial): make_lease(age=age, entry="5-0")}
        plan = reconcile_experiment(observe(slow, trial, builds=lease), NOW)
        assert len(plan.builds) == again


def test_a_pod_that_died_is_another_attempt_and_the_third_is_the_last() -> None:
    dead = make_job(job_name(make_trial()), "Failed", exit_code=-9)
    assert [job.name for job in pod(make_trial(buildAttempts=1), dead).create_jobs] == [job_name(make_trial(), 2)]
    last = make_job(job_name(make_trial(), MOST_ATTEMPTS), "Failed", exit_code=1, message="out of memory")
    status = pod(make_trial(buildAttempts=MOST_ATTEMPTS), last).trial_status["digits-00000"]
    assert reason_of(status, "Failed") == "BuildFailed"
    assert "out of memory" in message_of(status, "Failed")


def test_exit_42_is_the_architectures_own_fault() -> None:
    plan = pod(make_trial(buildAttempts=1), make_job(job_name(make_trial()), "Failed", exit_code=42))
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BadArchitecture"
    assert plan.create_jobs == []


def test_a_job_that_redis_never_knew_is_made_again_and_not_counted() -> None:
    assert [job.name for job in pod(make_trial(buildAttempts=2)).create_jobs] == [job_name(make_trial(), 2)]


def test_a_pod_that_still_pushes_is_waited_for_and_goes_when_it_is_done() -> None:
    running = make_job(job_name(make_trial()))
    assert pod(make_trial(buildAttempts=1), running, manifest={}).delete_jobs == []
    plan = pod(make_trial(buildAttempts=1), make_job(running.name, "Succeeded", exit_code=0), manifest={})
    assert plan.trial_status["digits-00000"].artifact
    assert plan.delete_jobs == [running.name]


def test_jobs_that_nobody_waits_for_go() -> None:
    assert pod(make_trial(0, "Built"), make_job("digits-0badcafe-1")).delete_jobs == ["digits-0badcafe-1"]
