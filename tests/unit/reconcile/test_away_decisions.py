"""Redis or the store is away: it is said, a wish to suspend is obeyed, and nothing of it stays when it is back."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, NASExperimentStatus, Supernet, SupernetStatus, find_condition
from pfpnas_operator.reconcile import (
    BadManifest,
    JobView,
    Plan,
    SupernetObserved,
    reconcile_experiment,
    reconcile_supernet,
    reconcile_without,
)
from pfpnas_operator.reconcile.away import REDIS_AWAY, STORE_AWAY
from pfpnas_operator.reconcile.deadlines import PENDING_DEADLINE, STALL_DEADLINE
from pfpnas_operator.reconcile.supernet import manifest_uids
from pfpnas_operator.reconcile.waits import Wait
from support.reconcile_builders import (
    NOW,
    condition,
    experiment_status,
    make_experiment,
    make_job,
    make_supernet,
    message_of,
    observe,
    own_jobs,
    predictor_manifest,
    pretrain_manifest,
    reason_of,
    seconds,
)

WHY = "it does not answer"


def away(experiment: NASExperiment, reason: str = REDIS_AWAY, **seen: Any) -> Plan:
    return reconcile_without(observe(experiment, **seen), NOW, lack=Wait(reason=reason, message=WHY))


def said(status: NASExperimentStatus | SupernetStatus, kind: str) -> tuple[str, str] | None:
    found = find_condition(status.conditions, kind)
    return found and (found.status, found.reason)


def wishing(experiment: NASExperiment, *, suspend: bool) -> NASExperiment:
    return experiment.model_copy(update={"spec": experiment.spec.model_copy(update={"suspend": suspend})})


def then(experiment: NASExperiment, plan: Plan) -> NASExperiment:
    return experiment.model_copy(update={"status": experiment_status(plan)})


@pytest.mark.parametrize("reason", [REDIS_AWAY, STORE_AWAY])
def test_it_is_said_once_and_no_job_goes(reason: str) -> None:
    experiment = make_experiment(conditions=(condition("Searching", "Searching"),))
    plan = away(experiment, reason)
    assert said(experiment_status(plan), "Searching") == ("Unknown", reason)
    assert said(experiment_status(plan), "Succeeded") == ("False", reason)
    assert message_of(experiment_status(plan), "Searching") == WHY
    assert (plan.delete_jobs, plan.create_jobs, plan.tasks) == ([], [], [])
    assert away(then(experiment, plan), reason) == Plan()


def test_since_when_it_searches_is_known_after_an_outage_too() -> None:
    searching = condition("Searching", "Searching").model_copy(update={"last_transition_time": NOW - seconds(900)})
    experiment = make_experiment(conditions=(searching,))
    for reason in (REDIS_AWAY, REDIS_AWAY, STORE_AWAY):
        plan = away(experiment, reason)
        experiment = then(experiment, plan) if plan.status else experiment
    back = find_condition(experiment_status(reconcile_experiment(observe(experiment), NOW)).conditions, "Searching")
    assert back is not None
    assert (back.status, back.last_transition_time) == ("True", NOW - seconds(900))


def test_a_wish_to_suspend_is_obeyed() -> None:
    experiment = wishing(make_experiment(), suspend=True)
    plan = away(experiment)
    status = experiment_status(plan)
    assert sorted(plan.delete_jobs) == sorted(own_jobs(experiment))
    assert said(status, "Suspended") == ("True", "Suspended")
    assert said(status, "Searching") == said(status, "Succeeded") == ("False", "Suspended")
    assert status.suspended_at == NOW
    assert [event.reason for event in plan.events] == ["Suspended"]
    assert (status.trials, status.best) == (experiment.status.trials, experiment.status.best)


def test_one_that_is_to_go_on_stays_suspended_until_redis_is_back() -> None:
    since = NOW - seconds(60)
    experiment = make_experiment(suspended_at=since, conditions=(condition("Suspended", "Suspended"),))
    status = experiment_status(away(experiment))
    assert (said(status, "Suspended"), status.suspended_at) == (("True", "Suspended"), since)
    resumed = experiment_status(reconcile_experiment(observe(then(experiment, away(experiment))), NOW))
    assert (said(resumed, "Suspended"), resumed.suspended_seconds) == (("False", "Resumed"), 60)


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
@pytest.mark.parametrize("suspend", [True, False])
def test_one_that_has_ended_needs_no_redis(end: str, suspend: bool) -> None:
    assert away(wishing(make_experiment(conditions=(condition(end),)), suspend=suspend)) == Plan()


def test_how_a_search_ended_stays_said() -> None:
    over = condition("Searching", "BudgetSpent", status="False")
    experiment = make_experiment(search_finished_at=NOW, conditions=(over,))
    status = experiment_status(away(experiment))
    assert said(status, "Searching") == ("False", "BudgetSpent")
    assert said(status, "Succeeded") == ("False", "RedisAway")


@pytest.mark.parametrize("reason", [REDIS_AWAY, STORE_AWAY])
def test_nothing_of_it_stays_once_it_is_back(reason: str) -> None:
    experiment = make_experiment(conditions=(condition("Searching", "Searching"),))
    gone = then(experiment, away(experiment, reason))
    back = experiment_status(reconcile_experiment(observe(gone), NOW))
    assert said(back, "Searching") == ("True", "Searching")
    waiting = experiment_status(reconcile_experiment(observe(gone, supernet=None), NOW))
    assert said(waiting, "Searching") is None
    assert said(waiting, "Succeeded") == ("False", "SupernetNotFound")


# -- a Supernet ------------------------------------------------------------------------------------------------------

PRETRAIN, FIT = "tiny-pretrain", "tiny-predictor"
AWAY = Wait(reason=REDIS_AWAY, message=WHY)


def step(supernet: Supernet, *jobs: JobView, left: tuple[Any, ...] = (), lack: Wait | None = AWAY) -> Plan:
    seen = {job.name: job for job in jobs}
    observed = SupernetObserved(supernet=supernet, jobs=seen, manifests={one.uid: one for one in left})
    return reconcile_supernet(observed, NOW, lack=lack)


def status_of(plan: Plan) -> SupernetStatus:
    assert isinstance(plan.status, SupernetStatus)
    return plan.status


def after(supernet: Supernet, plan: Plan) -> Supernet:
    return supernet.model_copy(update={"status": status_of(plan)})


def training() -> Supernet:
    begun = after(make_supernet("New"), step(make_supernet("New"), lack=None))
    return after(begun, step(begun, make_job(PRETRAIN), lack=None))


def to_suspend(supernet: Supernet, *, wanted: bool = True) -> Supernet:
    return supernet.model_copy(update={"spec": supernet.spec.model_copy(update={"suspend": wanted})})


@pytest.mark.parametrize("reason", [REDIS_AWAY, STORE_AWAY])
@pytest.mark.parametrize(("stage", "job"), [("Trained", PRETRAIN), ("PredictorReady", FIT)])
def test_of_a_supernet_it_is_said_once_on_the_stage_under_way(reason: str, stage: str, job: str) -> None:
    supernet = training() if job == PRETRAIN else make_supernet("Trained")
    lack = Wait(reason=reason, message=WHY)
    plan = step(supernet, make_job(job), lack=lack)
    assert said(status_of(plan), stage) == ("Unknown", reason)
    assert said(status_of(plan), "Ready") == ("False", reason)
    assert message_of(status_of(plan), stage) == message_of(status_of(plan), "Ready") == WHY
    assert (plan.delete_jobs, plan.jobs_to_make()) == ([], [])
    assert step(after(supernet, plan), make_job(job), lack=lack) == Plan()
    back = status_of(step(after(supernet, plan), make_job(job), lack=None))
    assert said(back, stage) == said(back, "Ready") == ("False", "Training" if job == PRETRAIN else "Fitting")


def test_meanwhile_no_job_of_a_supernet_is_started_and_none_is_judged() -> None:
    long = STALL_DEADLINE.total_seconds() + 1
    pending = make_job(PRETRAIN, "Pending", age=PENDING_DEADLINE.total_seconds() + 1)
    for jobs in ((), (make_job(PRETRAIN, age=long),), (pending,), (make_job(PRETRAIN, "Failed", exit_code=1),)):
        plan = step(training(), *jobs)
        assert (plan.delete_jobs, plan.jobs_to_make(), status_of(plan).attempts) == ([], [], {})
        assert reason_of(status_of(plan), "Failed") is None


def test_meanwhile_a_supernet_is_suspended_and_resumed_only_afterwards() -> None:
    plan = step(to_suspend(training()), make_job(PRETRAIN))
    assert plan.delete_jobs == [PRETRAIN]
    assert said(status_of(plan), "Suspended") == ("True", "Suspended")
    assert said(status_of(plan), "Ready") == ("False", "Suspended")
    resumed = to_suspend(after(training(), plan), wanted=False)
    waiting = step(resumed)
    assert said(status_of(waiting), "Suspended") == ("True", "Suspended")
    assert said(status_of(waiting), "Ready") == ("False", REDIS_AWAY)
    assert said(status_of(step(after(resumed, waiting), lack=None)), "Suspended") == ("False", "Resumed")


def test_meanwhile_what_a_job_of_a_supernet_left_behind_is_taken_up() -> None:
    supernet, done = training(), make_job(PRETRAIN, "Succeeded", exit_code=0)
    trained = step(supernet, done, left=(pretrain_manifest(),))
    assert reason_of(status_of(trained), "Trained") == "Trained"
    assert (trained.delete_jobs, trained.jobs_to_make()) == ([PRETRAIN], [])
    supernet = after(supernet, trained)
    fitting = step(supernet, left=(pretrain_manifest(),))
    assert fitting.jobs_to_make() == []
    assert said(status_of(fitting), "PredictorReady") == ("Unknown", REDIS_AWAY)
    ready = step(after(supernet, fitting), left=(pretrain_manifest(), predictor_manifest()))
    assert reason_of(status_of(ready), "Ready")


def test_a_supernet_that_has_ended_is_left_as_it_is_until_all_is_seen() -> None:
    assert step(make_supernet("Ready"), make_job(PRETRAIN, "Succeeded", exit_code=0)) == Plan()
    uid = pretrain_manifest().uid
    seen = SupernetObserved(supernet=training(), manifests={uid: BadManifest(why="no such word")})
    failed = after(training(), reconcile_supernet(seen, NOW))
    assert reason_of(failed, "Failed") == "BadManifest"
    changed = failed.model_copy(update={"metadata": failed.metadata.model_copy(update={"generation": 2})})
    assert step(changed) == Plan(), (
        "tried again it would meet the same manifest, which is not seen and so not forgotten"
    )


def test_a_supernet_that_rests_wants_no_manifest_and_so_no_store() -> None:
    failed = make_supernet("New", conditions=(condition("Failed", "JobFailed"),), observed_generation=1)
    changed = failed.model_copy(update={"metadata": failed.metadata.model_copy(update={"generation": 2})})
    wanted = [pretrain_manifest().uid, predictor_manifest().uid]
    for resting in (make_supernet("Ready"), failed, to_suspend(training()), to_suspend(changed)):
        assert manifest_uids(resting) == []
    for at_work in (make_supernet("New"), training(), make_supernet("Trained"), changed):
        assert manifest_uids(at_work) == wanted
