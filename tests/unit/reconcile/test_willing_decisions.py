"""Agents of which some refuse, or take nothing: others' searches, pardon, and what was measured before."""

from typing import Any

import pytest

from pfpnas_api.kinds import find_condition
from pfpnas_api.messages import Heartbeat
from pfpnas_operator.reconcile import Plan, reconcile_experiment
from pfpnas_operator.reconcile.deadlines import (
    BUSY_DEADLINE,
    CLAIM_DEADLINE,
    DEVICE_PARDON,
    MOST_REFUSALS,
    REFUSAL_PARDON,
    REFUSAL_PAUSE,
    WAIT_DEADLINE,
)
from support.reconcile_builders import (
    NOW,
    condition,
    experiment_status,
    make_answer,
    make_experiment,
    make_lease,
    make_trial,
    message_of,
    observe,
    reason_of,
    seconds,
    task_id_of,
)

ALONE = {"agent-1": Heartbeat(state="Idle")}
BOTH_IDLE = {**ALONE, "agent-2": Heartbeat(state="Idle")}
OTHER_BUSY = {**ALONE, "agent-2": Heartbeat(state="Busy")}
REFUSES = {"agent-1": "UnknownDataset"}
EXPERIMENT = make_experiment(budget={"maxTrials": 4, "parallelTrials": 2, "maxFailedTrials": 5})
CANDIDATE = make_trial(1, "Built")
TASK = task_id_of(EXPERIMENT, CANDIDATE)


def decide(*, measured: int = 0, refused: str | None = None, **seen: Any) -> Plan:
    """With so many trials measured before, and perhaps a refusal by the first agent in this look."""
    experiment = seen.pop("experiment", EXPERIMENT)
    before = [make_trial(2 + number, "Succeeded") for number in range(measured)]
    if refused is not None:
        seen["results"] = {TASK: (make_answer(TASK, failure=refused),)}
    return reconcile_experiment(observe(experiment, CANDIDATE, *before, **seen), NOW)


def said(plan: Plan, kind: str = "AgentsAvailable") -> tuple[str, str] | None:
    found = find_condition(experiment_status(plan).conditions, kind)
    return found and (found.status, found.reason)


# -- others' searches --------------------------------------------------------------------------------------------------


def test_one_task_lies_there_for_an_agent_that_is_never_seen_idle() -> None:
    busy: dict[str, Any] = {"agents": OTHER_BUSY, "refusers": REFUSES}
    assert decide(**busy, refused_ago={"agent-1": REFUSAL_PAUSE - seconds(1)}).tasks == []
    assert len(decide(**busy, refused_ago={"agent-1": REFUSAL_PAUSE}).tasks) == 1
    there = {"f" * 32: make_lease("Waiting")}
    assert decide(**busy, refused_ago={"agent-1": REFUSAL_PAUSE}, tasks=there).tasks == []


def test_a_task_that_is_refused_over_and_over_is_put_on_the_road_more_slowly() -> None:
    again: dict[str, Any] = {"refused": "UnknownDataset", "agents": BOTH_IDLE}
    assert len(decide(**again, refusals={TASK: MOST_REFUSALS - 1}).tasks) == 1
    slow = decide(**again, refusals={TASK: MOST_REFUSALS})
    assert (slow.tasks, reason_of(experiment_status(slow), "Failed")) == ([], None)
    later = decide(
        agents=BOTH_IDLE, refusers=REFUSES, refusals={TASK: MOST_REFUSALS}, refused_ago={"agent-1": REFUSAL_PAUSE}
    )
    assert len(later.tasks) == 1


# -- pardon ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "pardon"), [("DeviceUnavailable", DEVICE_PARDON), ("UnknownDataset", REFUSAL_PARDON)]
)
def test_who_refused_is_asked_again_after_a_while(reason: str, pardon: Any) -> None:
    known: dict[str, Any] = {"measured": 1, "agents": ALONE, "refusers": {"agent-1": reason}}
    assert decide(**known, refused_ago={"agent-1": pardon - seconds(1)}).tasks == []
    assert len(decide(**known, refused_ago={"agent-1": pardon}).tasks) == 1


def test_a_pardoned_agent_that_refuses_again_is_not_asked_at_once() -> None:
    plan = decide(
        measured=1,
        refused="UnknownDataset",
        agents=ALONE,
        refusers=REFUSES,
        refused_ago={"agent-1": REFUSAL_PARDON},
    )
    assert (plan.tasks, len(plan.delete_results)) == ([], 1)


# -- what was measured before ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["UnknownDataset", "NamespaceRefused", "DeviceUnavailable"])
def test_a_search_that_measured_waits_for_whoever_did(reason: str) -> None:
    heard = EXPERIMENT.model_copy(
        update={"status": EXPERIMENT.status.model_copy(update={"conditions": (condition("AgentsAvailable"),)})}
    )
    plan = decide(experiment=heard, measured=1, refused=reason, agents=ALONE)
    status = experiment_status(plan)
    assert reason_of(status, "Failed") is None
    assert not reason_of(plan.trial_status[CANDIDATE.metadata.name], "Failed")
    assert (plan.tasks, len(plan.delete_results)) == ([], 1)
    assert said(plan) == ("False", "AgentsRefuse")
    assert message_of(status, "AgentsAvailable").endswith(f"refused by agent-1 ({reason})")
    assert said(plan, "Succeeded") == ("False", "AgentsRefuse")
    assert "AgentsRefuse" in {event.reason for event in plan.events if event.type == "Warning"}


def test_it_goes_on_when_one_that_takes_its_tasks_is_back() -> None:
    plan = decide(measured=1, agents=BOTH_IDLE, refusers=REFUSES)
    assert len(plan.tasks) == 1
    assert said(plan) == ("True", "Heartbeat")


def test_a_pardon_alone_does_not_begin_the_deadline_anew() -> None:
    plan = decide(measured=1, agents=ALONE, refusers=REFUSES, refused_ago={"agent-1": REFUSAL_PARDON})
    assert said(plan) == ("False", "AgentsRefuse")


def test_nobody_waits_for_agents_that_refuse_for_ever() -> None:
    long_ago = NOW - WAIT_DEADLINE - seconds(1)
    refuse = condition("AgentsAvailable", "AgentsRefuse", status="False")
    refuse = refuse.model_copy(update={"last_transition_time": long_ago})
    waiting = EXPERIMENT.model_copy(update={"status": EXPERIMENT.status.model_copy(update={"conditions": (refuse,)})})
    plan = decide(experiment=waiting, measured=1, agents=ALONE, refusers=REFUSES)
    assert reason_of(experiment_status(plan), "Failed") == "AgentsRefuse"


def test_before_anything_was_measured_all_that_refuse_decide() -> None:
    plan = decide(refused="UnknownDataset", agents=ALONE)
    assert reason_of(experiment_status(plan), "Failed") == "UnknownDataset"


# -- agents that are heard, and take nothing ---------------------------------------------------------------------------

LATE = CLAIM_DEADLINE.total_seconds()
LONG, SHORT = {"agent-1": CLAIM_DEADLINE}, {"agent-1": CLAIM_DEADLINE - seconds(1)}


def lying(*, age: float = LATE, said_for: Any = LONG, **seen: Any) -> Plan:
    """With the candidate's task on the road for so long, and nobody who took it."""
    return decide(**{"tasks": {TASK: make_lease("Waiting", age=age)}, "agents": ALONE, "said_for": said_for, **seen})


def test_free_agents_that_take_nothing_are_as_none() -> None:
    heard = EXPERIMENT.status.model_copy(update={"conditions": (condition("AgentsAvailable"),)})
    plan = lying(experiment=EXPERIMENT.model_copy(update={"status": heard}))
    assert said(plan) == said(plan, "Succeeded") == ("False", "NotClaimed")
    assert "Redis refuses" in message_of(experiment_status(plan), "AgentsAvailable")
    assert "NotClaimed" in {event.reason for event in plan.events if event.type == "Warning"}
    assert (plan.tasks, plan.delete_tasks) == ([], []), "the task stays where they would find it"


BUSY_ELSEWHERE = {"agent-1": Heartbeat(state="Busy", task_id="a" * 32)}
PREPARING = {"agent-1": Heartbeat(state="Busy")}


@pytest.mark.parametrize(
    "seen",
    [
        {"age": LATE - 1},
        {"said_for": SHORT},
        {"said_for": {}},
        {"agents": BOTH_IDLE},
        {"agents": BOTH_IDLE, "said_for": {**LONG, "agent-2": CLAIM_DEADLINE - seconds(1)}},
        {"agents": BUSY_ELSEWHERE, "said_for": {"agent-1": BUSY_DEADLINE - seconds(1)}},
        {"agents": PREPARING, "said_for": {"agent-1": BUSY_DEADLINE - seconds(1)}},
        {"tasks": {TASK: make_lease("Waiting", age=LATE), "another": make_lease("Claimed")}},
        {"tasks": {}},
    ],
)
def test_nobody_is_missed_while_one_may_yet_take_them(seen: dict[str, Any]) -> None:
    assert said(lying(**seen)) == ("True", "Heartbeat")


def test_an_agent_that_is_never_done_with_what_it_does_is_none_either() -> None:
    assert said(lying(agents=PREPARING, said_for={"agent-1": BUSY_DEADLINE})) == ("False", "NotClaimed")


def test_of_agents_of_which_one_refuses_the_others_count() -> None:
    refuses = {"refusers": {"agent-2": "UnknownDataset"}, "agents": BOTH_IDLE}
    assert said(lying(**refuses)) == ("False", "NotClaimed")
    assert said(lying(**refuses, said_for={"agent-2": BUSY_DEADLINE})) == ("True", "Heartbeat")


def test_that_nobody_takes_them_stays_said_until_somebody_does_though_counting_begins_anew() -> None:
    """A new operator has not seen how long they lie there; the deadline for people must not begin anew with it."""
    missed = EXPERIMENT.status.model_copy(
        update={"conditions": (condition("AgentsAvailable", "NotClaimed", status="False"),)}
    )
    waiting = EXPERIMENT.model_copy(update={"status": missed})
    assert said(lying(experiment=waiting, age=0, said_for={})) == ("False", "NotClaimed")
    for seen in ({"agents": PREPARING}, {"tasks": {TASK: make_lease("Claimed")}}):
        assert said(lying(experiment=waiting, age=0, said_for={}, **seen)) == ("True", "Heartbeat")
