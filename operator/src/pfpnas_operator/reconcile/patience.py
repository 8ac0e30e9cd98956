"""How long an experiment waits for what only people can bring, and the one word that sums up where it stands.

Which waits have a deadline:

- a Supernet that is not there or has failed, an agent of the pool that takes its tasks, the right to use the pool, an
  experiment to start warm from: `WAIT_DEADLINE`, since nothing but somebody's doing ends them, and nothing is kept up
  meanwhile;
- a Supernet that is being trained, another search that is waited for: none here, they have their own;
- a task that no agent claims though all of them are free: `CLAIM_DEADLINE`, and from then on as if there were none;
- a Job in its queue (Kueue), a task whose agents are busy with others: none, since a queue says nothing about how long
  it is; `budget.maxDurationSeconds` bounds both once the search has begun;
- Redis or the artifact store, when they are away: none, since nothing can be decided before they are back.

The time in suspension counts nowhere.
"""

from datetime import datetime

from pfpnas_api.kinds import NASExperimentStatus, find_condition, is_true
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.deadlines import WAIT_DEADLINE
from pfpnas_operator.reconcile.ending import fail

SOMEBODYS = {
    "Accepted": {"PoolNotAllowed"},
    "SupernetReady": {"NotFound", "SupernetFailed"},
    "AgentsAvailable": {"NoHeartbeat", "AgentsRefuse", "NotClaimed"},
    "Searching": {"WarmStartNotFound", "WarmStartMismatch", "WarmStartInTurn"},
}
"""Reasons, by the condition that is False for them, of the waits that only somebody's doing ends."""

STATES = {
    ("SupernetReady", "NotFound"): "SupernetNotFound",
    ("SupernetReady", "Waiting"): "WaitingForSupernet",
    ("AgentsAvailable", "NoHeartbeat"): "WaitingForAgents",
}
"""What a reason is called where its condition isn't named beside it."""


def gives_up(cycle: Cycle) -> bool:
    """Fail an experiment that has waited for too long; whether it has."""
    for kind, reasons in SOMEBODYS.items():
        condition = find_condition(cycle.status.conditions, kind)
        if condition is None or condition.status == "True" or condition.reason not in reasons:
            continue
        if cycle.stamp.now - max(condition.last_transition_time, _resumed(cycle)) > WAIT_DEADLINE:
            text = f"waited for more than {WAIT_DEADLINE.days} days: {condition.message}"
            reason = STATES.get((kind, condition.reason), condition.reason)
            fail(cycle, Fault(reason=reason, message=text), cycle.observed.active)
            return True
    return False


def _resumed(cycle: Cycle) -> datetime:
    """When it last went on after a suspension; long ago if never."""
    suspended = find_condition(cycle.status.conditions, "Suspended")
    beginning = datetime.min.replace(tzinfo=cycle.stamp.now.tzinfo)
    return suspended.last_transition_time if suspended and suspended.status == "False" else beginning


def state_of(status: NASExperimentStatus) -> tuple[str, str]:
    """Where an experiment stands that has not succeeded: one word, and what is said of it."""
    conditions = {condition.type: condition for condition in status.conditions}
    searching = conditions.get("Searching")
    for kind in ("Failed", "Suspended"):
        if is_true(status.conditions, kind):
            return conditions[kind].reason, conditions[kind].message
    for kind in ("Accepted", "SupernetReady"):
        if kind in conditions and conditions[kind].status != "True":
            return _named(kind, conditions[kind].reason), conditions[kind].message
    if status.search_finished_at is not None:
        return "MeasuringFinalists", "the best are measured again and scored on the private test split"
    agents = conditions.get("AgentsAvailable")
    if searching is not None and searching.status == "True" and agents is not None and agents.status != "True":
        return _named("AgentsAvailable", agents.reason), agents.message
    return (searching.reason, searching.message) if searching else ("Accepted", "")


def _named(kind: str, reason: str) -> str:
    return STATES.get((kind, reason), reason)
