"""What an experiment needs: its Supernet, agents, its own Jobs, the reference model."""

from typing import Any

import pytest

from pfpnas_api.jobs import TrialWorkerJob, TuneJob
from pfpnas_api.kinds import NASExperiment, Trial, find_condition
from pfpnas_operator.reconcile import BadManifest, LogView, Plan, reconcile_experiment
from pfpnas_operator.reconcile.deadlines import CLAIM_DEADLINE, MOST_ATTEMPTS, STEADY, SUGGESTION_DEADLINE
from pfpnas_operator.reconcile.experiment import build_uids
from support.reconcile_builders import (
    NOW,
    SPACE,
    build_manifest,
    build_uid_of,
    condition,
    experiment_status,
    make_answer,
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
    seconds,
    suggest,
    task_id_of,
)

TUNE, WORKER = "digits-tune", "digits-worker"


def decide(experiment: NASExperiment | None = None, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def why(plan: Plan, kind: str) -> str:
    found = find_condition(experiment_status(plan).conditions, kind)
    assert found is not None
    return found.reason


@pytest.mark.parametrize(
    ("supernet", "reason"),
    [
        (None, "NotFound"),
        (make_supernet("New"), "Waiting"),
        (make_supernet("Trained"), "Waiting"),
        (make_supernet("New", conditions=(condition("Failed"),)), "SupernetFailed"),
    ],
)
def test_without_a_supernet_it_waits_and_takes_nothing_away(supernet: Any, reason: str) -> None:
    experiment, trial = make_experiment(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(
        experiment, trial, supernet=supernet, tasks={task: make_lease()}, results={task: (make_answer(task),)}
    )
    assert why(plan, "SupernetReady") == reason
    assert plan == Plan(status=plan.status)


def test_it_says_whether_anybody_measures() -> None:
    assert why(decide(), "AgentsAvailable") == "Heartbeat"
    assert why(decide(agents={}), "AgentsAvailable") == "NoHeartbeat"


@pytest.mark.parametrize(("mode", "expected"), [("Pooled", [TUNE, WORKER]), ("Pod", [TUNE])])
def test_its_own_jobs_are_started(mode: str, expected: list[str]) -> None:
    plan = decide(make_experiment(mode=mode), jobs={})
    assert [job.name for job in plan.create_jobs] == expected
    documents = [job.document for job in plan.create_jobs]
    assert isinstance(documents[0], TuneJob)
    assert documents[0].predictor is not None
    assert documents[0].checkpoint == make_checkpoint().sha256, "by which it knows results of other weights"
    assert all(isinstance(document, TrialWorkerJob) for document in documents[1:])


def test_a_job_that_died_is_started_again_in_the_next_cycle() -> None:
    jobs = {**own_jobs(make_experiment()), TUNE: make_job(TUNE, "Failed", exit_code=-9)}
    plan = decide(jobs=jobs)
    assert (plan.delete_jobs, plan.create_jobs) == ([TUNE], [])
    assert experiment_status(plan).attempts == {TUNE: 1}
    del jobs[TUNE]
    assert [job.name for job in decide(make_experiment(attempts={TUNE: 1}), jobs=jobs).create_jobs] == [TUNE]


def test_a_job_that_keeps_dying_fails_the_experiment_but_not_what_was_measured() -> None:
    experiment = make_experiment(attempts={TUNE: MOST_ATTEMPTS - 1, WORKER: MOST_ATTEMPTS - 1})
    measured, waiting = make_trial(0, "Built"), make_trial(1, "Built")
    task = task_id_of(experiment, measured)
    jobs = {name: make_job(name, "Failed", exit_code=1, message="no memory") for name in (TUNE, WORKER)}
    plan = decide(experiment, measured, waiting, jobs=jobs, results={task: (make_answer(task),)})
    status = experiment_status(plan)
    assert reason_of(status, "Failed") == "JobFailed"
    assert "no memory" in message_of(status, "Failed")
    assert reason_of(plan.trial_status["digits-00000"], "Succeeded")
    assert reason_of(plan.trial_status["digits-00001"], "Failed") == "Withdrawn"
    assert (status.trials.succeeded, status.trials.failed, status.trials.created) == (1, 1, 2)


def test_a_job_that_refuses_its_document_fails_the_experiment_at_once() -> None:
    jobs = {**own_jobs(make_experiment()), TUNE: make_job(TUNE, "Failed", exit_code=42, message="bad space")}
    assert reason_of(experiment_status(decide(jobs=jobs)), "Failed") == "BadInput"


def test_a_job_that_stays_up_is_forgiven_its_deaths() -> None:
    long = STEADY.total_seconds() + 1
    jobs = {TUNE: make_job(TUNE, age=long), WORKER: make_job(WORKER, age=long - 2)}
    plan = decide(make_experiment(attempts={TUNE: 2, WORKER: 2}), jobs=jobs)
    assert experiment_status(plan).attempts == {TUNE: 0, WORKER: 2}


@pytest.mark.parametrize("silent", [0, 1])
def test_a_tuner_that_owes_a_suggestion_for_too_long_is_started_again(silent: int) -> None:
    limit = SUGGESTION_DEADLINE.total_seconds() + silent
    jobs = {**own_jobs(make_experiment()), TUNE: make_job(TUNE, age=limit)}
    log = LogView(asked=4, asked_at=NOW - seconds(limit))
    assert decide(jobs=jobs, log=log).delete_jobs == ([TUNE] if silent else [])


def test_a_tuner_that_owes_nothing_may_be_silent() -> None:
    jobs = {**own_jobs(make_experiment()), TUNE: make_job(TUNE, age=10**6)}
    log = LogView(asked=4, asked_at=NOW - seconds(10**6))
    assert decide(jobs=jobs, log=log, suggestions=suggest(0, 1, 2, 3)).delete_jobs == []


def test_after_the_search_the_tuner_goes_and_the_worker_stays() -> None:
    finished = make_experiment(search_finished_at=NOW, conditions=(condition("Searching", "Spent", status="False"),))
    plan = decide(finished, make_trial(0, "Succeeded"))
    assert plan.delete_jobs == [TUNE]


def test_workers_that_leave_builds_lying_are_started_again() -> None:
    late = CLAIM_DEADLINE.total_seconds()
    experiment, trial = make_experiment(budget={"maxTrials": 1}), make_trial(0, buildAttempts=1)

    def after(lying: float, up: float, **leases: Any) -> list[str]:
        builds = {build_uid_of(experiment, trial): make_lease("Waiting", age=lying), **leases}
        jobs = own_jobs(experiment) | {WORKER: make_job(WORKER, age=up)}
        return decide(experiment, trial, builds=builds, jobs=jobs).delete_jobs

    assert after(late + 1, late + 1) == [WORKER]
    assert after(late, late + 1) == after(late + 1, late) == []
    assert after(late + 1, late + 1, other=make_lease(age=10, entry="9-0")) == []


# -- the reference model ---------------------------------------------------------------------------------------------


def without_reference(**fields: Any) -> NASExperiment:
    return make_experiment(reference=None, started_at=None, **fields)


def test_the_reference_is_the_smallest_subnet_and_built_before_all_else() -> None:
    plan = decide(without_reference(), make_trial(0), suggestions=suggest(1))
    assert [request.architecture for request in plan.builds] == [SPACE.minimum().id]
    assert plan.create_trials == []
    assert plan.trial_status["digits-00000"].build_attempts == 0
    assert experiment_status(plan).attempts == {"reference": 1}
    assert why(plan, "Searching") == "BuildingReference"


def test_the_reference_stands_in_the_status_once_it_is_built() -> None:
    (uid,) = build_uids(without_reference(), make_supernet(), [])
    status = experiment_status(decide(without_reference(), manifests={uid: build_manifest(uid)}))
    assert status.reference == build_manifest(uid).artifacts["model"]
    assert status.reference_architecture == SPACE.minimum().id


def test_a_reference_whose_image_left_nothing_of_use_is_built_anew_when_it_is_tried_again() -> None:
    (uid,) = build_uids(without_reference(), make_supernet(), [])
    plan = decide(without_reference(), manifests={uid: BadManifest(why="outcome: no such word")})
    assert reason_of(experiment_status(plan), "Failed") == "BadManifest"
    assert plan.forget == [uid]


def test_a_reference_that_cannot_be_built_fails_the_experiment_and_withdraws_its_trials() -> None:
    (uid,) = build_uids(without_reference(), make_supernet(), [])
    bad = build_manifest(uid, outcome="BadInput", message="no such checkpoint", artifacts={})
    plan = decide(without_reference(), make_trial(None), manifests={uid: bad})
    assert "no such checkpoint" in message_of(experiment_status(plan), "Failed")
    assert reason_of(plan.trial_status["by-hand"], "Failed") == "Withdrawn"
