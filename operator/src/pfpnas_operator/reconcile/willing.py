"""Which agents of a pool take an experiment's tasks: one that does not is not to decide for the others.

A task goes to whoever asks first, and who refuses has done with it at once: while others measure, it would take every
task there is. So, while one refuses, a task is put on the road only for an agent that is idle and may take it.
"""

from collections.abc import Mapping

from pfpnas_api.messages import EXPERIMENT_REASONS, RETRY_REASONS
from pfpnas_operator.reconcile.deadlines import MOST_REFUSALS
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan

AGENTS_REASONS = EXPERIMENT_REASONS | RETRY_REASONS
"""Failures that are an agent's (its file, its data, its device): another one of the pool may measure the candidate."""


def refusing(observed: ExperimentObserved) -> Mapping[str, str]:
    """Agents that do not take tasks of this experiment, and why: known before, or by what they answer now."""
    now = {
        answer.agent: answer.result.failure
        for task_id, answers in observed.results.items()
        if task_id not in observed.strange
        for answer in answers
        if answer.result.failure in AGENTS_REASONS
    }
    return {**observed.refusers, **now}


def may_go_to_another(observed: ExperimentObserved, task_id: str) -> bool:
    """Whether an agent is heard that may take a task which was refused, and it was not refused too often by now."""
    willing = observed.agents.keys() - refusing(observed).keys()
    return bool(willing) and observed.refusals.get(task_id, 0) < MOST_REFUSALS


def has_taker(observed: ExperimentObserved, plan: Plan) -> bool:
    """Whether one more task is to be put on the road now, beside those that lie there and those of the plan."""
    willing = observed.agents.keys() - refusing(observed).keys()
    if not willing or willing == observed.agents.keys():
        return True
    idle = sum(observed.agents[agent].state == "Idle" for agent in willing)
    waiting = sum(lease.state == "Waiting" for lease in observed.tasks.values())
    return waiting + len(plan.tasks) < idle


def said_of(refusers: Mapping[str, str]) -> str:
    """Who refuses, in words; nothing when nobody does."""
    who = ", ".join(f"{agent} ({why})" for agent, why in sorted(refusers.items()))
    return f"; refused by {who}" if who else ""
