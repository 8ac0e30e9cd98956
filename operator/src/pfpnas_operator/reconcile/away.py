"""While Redis or the artifact store is away not all is seen: what needs neither is done, the rest is said to wait."""

from datetime import datetime

from pfpnas_api.kinds import NASExperimentStatus, find_condition, is_true
from pfpnas_operator.reconcile.conditions import FALSE, Stamp
from pfpnas_operator.reconcile.cycle import Cycle
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.patience import state_of
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.suspending import suspend_unseen
from pfpnas_operator.reconcile.waits import Wait

REDIS_AWAY, STORE_AWAY = "RedisAway", "StoreAway"
AWAY = frozenset({REDIS_AWAY, STORE_AWAY})
"""Reasons of a lack that passes by itself, or is mended elsewhere: nothing is given up for it."""


def reconcile_without(observed: ExperimentObserved, now: datetime, *, lack: Wait) -> Plan:
    """The next step of an experiment of which not all is seen: a wish to suspend it is obeyed; else it is only said.

    Args:
        observed: The experiment and its Jobs; nothing else of it is looked at.
        now: The time.
        lack: What is away, and what is wrong with it, for whoever reads the condition.
    """
    metadata, status = observed.experiment.metadata, observed.experiment.status
    stamp = Stamp(now=now, generation=metadata.generation)
    cycle = Cycle(observed=observed, stamp=stamp, status=status, summary=observed.summary)
    if not cycle.ended:
        _decide(cycle, lack)
    if cycle.status != status:
        cycle.plan.status = cycle.status
    return cycle.plan


def _decide(cycle: Cycle, lack: Wait) -> None:
    if cycle.experiment.spec.suspend:
        cycle.update(observed_generation=cycle.stamp.generation)
        suspend_unseen(cycle)
        return cycle.put("Succeeded", FALSE, *state_of(cycle.status))
    # How a search ended that is over stays said: nothing would say it again.
    if cycle.status.search_finished_at is None:
        since = _true_since(cycle.status)
        cycle.put("Searching", "Unknown", lack.reason, lack.message)
        cycle.status = _since(cycle.status, since)
    return cycle.put("Succeeded", FALSE, lack.reason, lack.message)


def seen_again(status: NASExperimentStatus) -> NASExperimentStatus:
    """The status without what was away: what `Searching` is, where it is something, is said anew."""
    searching = find_condition(status.conditions, "Searching")
    if searching is None or searching.reason not in AWAY:
        return status
    return status.model_copy(update={"conditions": tuple(one for one in status.conditions if one is not searching)})


def as_before(status: NASExperimentStatus, before: NASExperimentStatus) -> NASExperimentStatus:
    """The status with the time since when it searches, where `before` says that something was away meanwhile."""
    away = find_condition(before.conditions, "Searching")
    if away is None or away.reason not in AWAY or not is_true(status.conditions, "Searching"):
        return status
    return _since(status, away.last_transition_time)


def _true_since(status: NASExperimentStatus) -> datetime | None:
    """Since when it searches, if it does; kept while something is away, for the time when it is back."""
    searching = find_condition(status.conditions, "Searching")
    return searching.last_transition_time if searching is not None and searching.status == "True" else None


def _since(status: NASExperimentStatus, moment: datetime | None) -> NASExperimentStatus:
    if moment is None:
        return status
    conditions = tuple(
        one.model_copy(update={"last_transition_time": moment}) if one.type == "Searching" else one
        for one in status.conditions
    )
    return status.model_copy(update={"conditions": conditions})
