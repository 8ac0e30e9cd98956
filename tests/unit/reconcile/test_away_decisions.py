"""Redis is away: it is said, a wish to suspend is obeyed, and nothing of it stays when Redis is back."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, NASExperimentStatus, find_condition
from pfpnas_operator.reconcile import Plan, reconcile_experiment, reconcile_without_redis
from support.reconcile_builders import NOW, condition, experiment_status, make_experiment, observe, own_jobs, seconds

WHY = "Redis is away"


def away(experiment: NASExperiment, **seen: Any) -> Plan:
    return reconcile_without_redis(observe(experiment, **seen), NOW, why=WHY)


def said(status: NASExperimentStatus, kind: str) -> tuple[str, str] | None:
    found = find_condition(status.conditions, kind)
    return found and (found.status, found.reason)


def wishing(experiment: NASExperiment, *, suspend: bool) -> NASExperiment:
    return experiment.model_copy(update={"spec": experiment.spec.model_copy(update={"suspend": suspend})})


def then(experiment: NASExperiment, plan: Plan) -> NASExperiment:
    return experiment.model_copy(update={"status": experiment_status(plan)})


def test_it_is_said_once_and_no_job_goes() -> None:
    experiment = make_experiment(conditions=(condition("Searching", "Searching"),))
    plan = away(experiment)
    assert said(experiment_status(plan), "Searching") == ("Unknown", "RedisAway")
    assert said(experiment_status(plan), "Succeeded") == ("False", "RedisAway")
    assert (plan.delete_jobs, plan.create_jobs, plan.tasks) == ([], [], [])
    assert away(then(experiment, plan)) == Plan()


def test_since_when_it_searches_is_known_after_an_outage_too() -> None:
    searching = condition("Searching", "Searching").model_copy(update={"last_transition_time": NOW - seconds(900)})
    experiment = make_experiment(conditions=(searching,))
    for _ in range(2):
        experiment = then(experiment, away(experiment)) if away(experiment).status else experiment
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


def test_nothing_of_it_stays_once_redis_is_back() -> None:
    experiment = make_experiment(conditions=(condition("Searching", "Searching"),))
    back = experiment_status(reconcile_experiment(observe(then(experiment, away(experiment))), NOW))
    assert said(back, "Searching") == ("True", "Searching")
    waiting = experiment_status(reconcile_experiment(observe(then(experiment, away(experiment)), supernet=None), NOW))
    assert said(waiting, "Searching") is None
    assert said(waiting, "Succeeded") == ("False", "SupernetNotFound")
