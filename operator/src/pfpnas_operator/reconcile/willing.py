"""Which agents of a pool take an experiment's tasks: one that does not is not to decide for the others.

A task goes to whoever asks first, and who refuses has done with it at once: while others measure, it would take every
task there is. So, while one refuses, a task is put on the road only for an agent that is idle and may take it. Where
others' searches keep those busy they are never seen idle: then one task at a time lies there for them all the same,
but not in the time right after a refusal.

Who refused is asked again after a while. And what agents say of themselves never fails a search that goes on
and has measured something: it waits for whoever did.
"""

from collections.abc import Mapping, Set
from datetime import datetime, timedelta

from pfpnas_api.messages import EXPERIMENT_REASONS, RETRY_REASONS
from pfpnas_operator.reconcile.deadlines import (
    BUSY_DEADLINE,
    DEVICE_PARDON,
    MOST_REFUSALS,
    REFUSAL_PARDON,
    REFUSAL_PAUSE,
)
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan

AGENTS_REASONS = EXPERIMENT_REASONS | RETRY_REASONS
"""Failures that are an agent's (its file, its data, its device): another one of the pool may measure the candidate."""


def refusing(observed: ExperimentObserved) -> Mapping[str, str]:
    """Agents that refused tasks of this experiment and measured none since, and why; by this look's answers, too."""
    return {**observed.refusers, **_refusing_now(observed)}


def all_refuse(observed: ExperimentObserved) -> bool:
    """Whether a search that measured something hears but agents that refuse: its tasks wait for others, or pardon."""
    return bool(observed.agents) and observed.agents.keys() <= refusing(observed).keys() and _holds_back(observed)


def may_wait(observed: ExperimentObserved) -> bool:
    """Whether a task that was refused may wait: another agent may take it, or one that is away did such before."""
    return bool(_willing(observed)) or _holds_back(observed)


def may_go_to_another(observed: ExperimentObserved) -> bool:
    """Whether an agent is heard that may take a task which was refused."""
    return bool(_willing(observed))


def has_taker(observed: ExperimentObserved, plan: Plan, *, task_id: str) -> bool:
    """Whether a task is to be put on the road now, beside those that lie there and those of the plan."""
    willing, refusers = _willing(observed), refusing(observed).keys() & observed.agents.keys()
    if not willing or not refusers:
        return not refusers or not _holds_back(observed)
    idle = sum(observed.agents[agent].state == "Idle" for agent in willing)
    if observed.refusals.get(task_id, 0) >= MOST_REFUSALS:
        idle = 0
    waiting = sum(lease.state == "Waiting" for lease in observed.tasks.values())
    return waiting + len(plan.tasks) < max(idle, 1 if _calm(observed) else 0)


def nobody_takes(observed: ExperimentObserved, now: datetime, *, after: timedelta) -> bool:
    """Whether tasks have lain on the road for so long though every agent that may take them was free.

    Its heart beats by itself: that an agent is heard does not tell whether its loop can take anything. One that is busy
    measures for another search, or prepares its data; but not for ever.
    """
    leases, willing = observed.tasks.values(), _willing(observed)
    if not leases or not willing or any(lease.state != "Waiting" for lease in leases):
        return False
    if now - min(lease.since for lease in leases) < after:
        return False
    patience = {"Idle": after, "Busy": BUSY_DEADLINE}
    return all(observed.said_for.get(agent, timedelta()) >= patience[observed.agents[agent].state] for agent in willing)


def _refusing_now(observed: ExperimentObserved) -> dict[str, str]:
    return {
        answer.agent: answer.result.failure
        for task_id, answers in observed.results.items()
        if task_id not in observed.strange
        for answer in answers
        if answer.result.failure in AGENTS_REASONS
    }


def _willing(observed: ExperimentObserved) -> Set[str]:
    """Agents that are heard, without those that refuse and are not forgiven yet."""
    fresh = _refusing_now(observed).keys()
    return {
        agent
        for agent in observed.agents.keys() - fresh
        if agent not in observed.refusers or _ago(observed, agent) >= _pardon(observed.refusers[agent])
    }


def _pardon(reason: str) -> timedelta:
    return DEVICE_PARDON if reason in RETRY_REASONS else REFUSAL_PARDON


def _ago(observed: ExperimentObserved, agent: str) -> timedelta:
    return observed.refused_ago.get(agent, timedelta())


def _calm(observed: ExperimentObserved) -> bool:
    """Whether nobody refused lately."""
    known = observed.refusers.keys()
    return not _refusing_now(observed) and all(_ago(observed, agent) >= REFUSAL_PAUSE for agent in known)


def _holds_back(observed: ExperimentObserved) -> bool:
    """Whether refusals by all agents that are heard say nothing: the search goes on, and some of its trials succeeded.

    Once the search is over a refusal costs one figure, and fails nothing: that is not worth days of waiting.
    """
    return observed.summary.succeeded > 0 and observed.experiment.status.search_finished_at is None


def said_of(refusers: Mapping[str, str]) -> str:
    """Who refuses, in words; nothing when nobody does."""
    who = ", ".join(f"{agent} ({why})" for agent, why in sorted(refusers.items()))
    return f"; refused by {who}" if who else ""
