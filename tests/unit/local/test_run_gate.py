"""On one machine nothing else works while the agent measures."""

from typing import Any

import pytest

from pfpnas_api.messages import LogEntry
from pfpnas_operator.local.gate import hold_back
from pfpnas_operator.reconcile import ExperimentObserved, Plan
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.measuring import measure_task
from support.reconcile_builders import (
    architecture,
    artifact,
    make_checkpoint,
    make_experiment,
    make_job,
    make_lease,
    observe,
    suggest,
)

ASK = LogEntry(event="Ask", count=3)
TOLD = LogEntry(event="Started", index=0, architecture=architecture(0))


def _plan(*, builds: bool = True, log: tuple[LogEntry, ...] = (TOLD, ASK)) -> Plan:
    experiment = make_experiment()
    plan = Plan(log=list(log))
    plan.tasks.append(measure_task(experiment, artifact("candidate"), artifact("reference")))
    if builds:
        plan.builds.append(build_request(experiment, make_checkpoint(), architecture(1)))
    return plan


def _held(plan: Plan, **seen: Any) -> Plan:
    observed: ExperimentObserved = observe(make_experiment(), **seen)
    return hold_back(plan, observed)


@pytest.mark.parametrize("state", ["Waiting", "Claimed"])
def test_while_a_task_lies_on_the_road_nothing_is_built_or_asked(state: str) -> None:
    plan = _held(_plan(), tasks={"t": make_lease(state)})
    assert (plan.builds, plan.log) == ([], [TOLD])
    assert len(plan.tasks) == 1


def test_answered_task_disturbs_nobody() -> None:
    assert len(_held(_plan(), tasks={"t": make_lease("Answered")}).builds) == 1


def test_task_waits_for_the_builds_of_the_same_plan() -> None:
    plan = _held(_plan(log=()))
    assert (len(plan.builds), plan.tasks) == (1, [])


@pytest.mark.parametrize("state", ["Waiting", "Claimed"])
def test_task_waits_for_builds_under_way(state: str) -> None:
    assert _held(_plan(builds=False, log=()), builds={"b": make_lease(state)}).tasks == []


def test_task_waits_for_a_trials_own_process() -> None:
    job = make_job("digits-0123abcd-1")
    assert _held(_plan(builds=False, log=()), jobs={job.name: job}).tasks == []


def test_tuner_and_worker_at_rest_disturb_nobody() -> None:
    jobs = {name: make_job(name) for name in ("digits-tune", "digits-worker")}
    assert len(_held(_plan(builds=False, log=()), jobs=jobs).tasks) == 1


def test_task_waits_for_the_tuners_answer() -> None:
    assert _held(_plan(builds=False, log=(ASK,))).tasks == []
    assert len(_held(_plan(builds=False, log=()), suggestions=suggest(0, 1)).tasks) == 1
