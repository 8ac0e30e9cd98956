"""The one-machine gate: nothing disturbs a measurement, and nothing waits for ever."""

from typing import Any

import pytest

from pfpnas_api.messages import LogEntry
from pfpnas_operator.local.gate import hold_back
from pfpnas_operator.reconcile import ExperimentObserved, LogView, Plan, reconcile_experiment
from support.reconcile_builders import (
    NOW,
    make_experiment,
    make_finalist,
    make_job,
    make_lease,
    make_trial,
    observe,
    own_jobs,
    suggest,
)


def planned(observed: ExperimentObserved) -> Plan:
    return hold_back(reconcile_experiment(observed, NOW), observed)


def asks(plan: Plan) -> list[LogEntry]:
    return [entry for entry in plan.log if entry.event == "Ask"]


def busy(**fields: Any) -> ExperimentObserved:
    """A trial to measure, one to build, and room for more."""
    return observe(make_experiment(), make_trial(0, "Built"), make_trial(1), **fields)


def test_builds_and_asks_come_first() -> None:
    plan = planned(busy())
    assert (len(plan.builds), len(asks(plan)), plan.tasks) == (1, 1, [])


@pytest.mark.parametrize("state", ["Waiting", "Claimed"])
def test_while_something_is_measured_nothing_is_built_asked_or_started(state: str) -> None:
    seen = busy()
    task = next(iter(reconcile_experiment(seen, NOW).wanted_tasks))
    plan = planned(busy(tasks={task: make_lease(state)}, jobs={}))
    assert (plan.builds, asks(plan), plan.create_jobs) == ([], [], [])


def test_an_answered_task_holds_nothing_up() -> None:
    seen = busy()
    task = next(iter(reconcile_experiment(seen, NOW).wanted_tasks))
    assert planned(busy(tasks={task: make_lease("Answered")})).builds


def test_what_is_told_is_not_held_back() -> None:
    task = next(iter(reconcile_experiment(busy(), NOW).wanted_tasks))
    plan = planned(busy(tasks={task: make_lease()}, log=LogView()))
    assert {entry.event for entry in plan.log} == {"Started"}
    assert set(plan.told) == {"digits-00000", "digits-00001"}


def test_while_something_is_built_nothing_is_measured() -> None:
    everything = make_experiment(budget={"maxTrials": 1})
    trial = make_trial(0, "Built")
    assert planned(observe(everything, trial)).tasks
    assert planned(observe(everything, trial, builds={"b": make_lease()})).tasks == []
    assert planned(observe(everything, trial, builds={"b": make_lease("Answered")})).tasks
    building = {**own_jobs(everything), "digits-0badcafe-1": make_job("digits-0badcafe-1")}
    assert planned(observe(everything, trial, jobs=building)).tasks == []


def test_while_the_tuner_computes_nothing_is_measured() -> None:
    log = LogView(asked=4)
    trial = make_trial(0, "Built")
    assert planned(observe(make_experiment(), trial, log=log)).tasks == []
    assert planned(observe(make_experiment(), trial, log=log, suggestions=suggest(1, 2, 3))).tasks == []  # trials come
    waiting = [trial, *(make_trial(index, "Built") for index in (1, 2, 3))]
    assert len(planned(observe(make_experiment(), *waiting, log=log)).tasks) == 4


def test_a_tuner_that_is_gone_holds_nothing_up() -> None:
    log, trial = LogView(asked=2), make_trial(0, "Built")
    dead = {**own_jobs(make_experiment()), "digits-tune": make_job("digits-tune", "Failed", exit_code=1)}
    experiment = make_experiment(budget={"parallelTrials": 2})
    assert planned(observe(experiment, trial, log=log)).tasks == []
    assert planned(observe(experiment, trial, log=log, jobs=dead)).tasks


def test_an_ask_left_over_at_the_end_does_not_hold_up_the_evaluations() -> None:
    done = make_trial(0, "Succeeded")
    over = make_experiment(search_finished_at=NOW, finalists=(make_finalist(done),))
    first = reconcile_experiment(observe(over, done, log=LogView(asked=4)), NOW)
    evaluating = over.model_copy(update={"status": first.status})
    observed = observe(evaluating, done, log=LogView(asked=4))
    plan = planned(observed)
    assert plan.builds
    builds = {request.uid: make_lease("Answered") for request in plan.builds}
    assert planned(observe(evaluating, done, log=LogView(asked=4), builds=builds)).tasks
