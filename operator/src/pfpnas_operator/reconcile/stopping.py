"""When a search is over: its time, its goal, its convergence, its budget. The same question decides what reopens it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pfpnas_api.kinds import NASExperiment
from pfpnas_api.quantities import DECIMAL
from pfpnas_operator.reconcile.summary import Summary

REOPENED = {
    "BudgetSpent": ("BudgetRaised", "the budget was raised: the search goes on"),
    "DurationSpent": ("BudgetRaised", "the budget was raised: the search goes on"),
    "GoalReached": ("GoalRaised", "objective.goal is no longer reached: the search goes on"),
    "Converged": ("ConvergenceRelaxed", "budget.convergence no longer holds: the search goes on"),
}
"""Ends of a search that a change of the spec may undo, with what is said then."""

REMEDIES = {
    "BudgetSpent": "raise budget.maxTrials",
    "DurationSpent": "raise budget.maxDurationSeconds, which counts from the first trial on, suspensions left out",
    "GoalReached": "raise objective.goal, or take it out",
    "Converged": "relax budget.convergence, or take it out",
}
"""What makes a search go on that is over for this reason."""


@dataclass(frozen=True, kw_only=True)
class End:
    """Why no further trial is started."""

    reason: str
    message: str


def end_of_search(experiment: NASExperiment, summary: Summary, *, started: int, now: datetime) -> End | None:
    """Why the search is over; None while it goes on.

    Args:
        experiment: As wished now.
        summary: Of the trials that are finished.
        started: Trials that count against `maxTrials`, those under way included.
        now: The time.
    """
    late = overdue(experiment, now)
    if late:
        return End(reason="DurationSpent", message=late)
    return _goal_reached(experiment, summary) or _converged(experiment, summary) or _spent(experiment, started)


def overdue(experiment: NASExperiment, now: datetime) -> str | None:
    """Why no time is left, if none is."""
    limit, started = experiment.spec.budget.max_duration_seconds, experiment.status.started_at
    if limit is None or started is None or now - started - _suspended(experiment, now) <= timedelta(seconds=limit):
        return None
    return f"the search ran for budget.maxDurationSeconds ({limit} s)"


def _suspended(experiment: NASExperiment, now: datetime) -> timedelta:
    """For how long it was suspended since it began, up to now."""
    status = experiment.status
    slept = timedelta(seconds=status.suspended_seconds)
    if status.suspended_at is None or status.started_at is None:
        return slept
    return slept + max(timedelta(0), now - max(status.suspended_at, status.started_at))


def _goal_reached(experiment: NASExperiment, summary: Summary) -> End | None:
    goal, best = experiment.spec.objective.goal, summary.best
    if goal is None or best is None or not best.feasible or best.score is None or best.score < DECIMAL.parse(goal):
        return None
    return End(reason="GoalReached", message=f"{best.trial} scored {best.score:.4f}, and objective.goal is {goal}")


def _converged(experiment: NASExperiment, summary: Summary) -> End | None:
    convergence, since = experiment.spec.budget.convergence, summary.growth.since
    if convergence is None or since < convergence.patience:
        return None
    text = f"the last {since} trials made the front's hypervolume grow by less than {convergence.min_gain} of it"
    return End(reason="Converged", message=f"{text} (budget.convergence)")


def _spent(experiment: NASExperiment, started: int) -> End | None:
    most = experiment.spec.budget.max_trials
    return End(reason="BudgetSpent", message=f"all {most} trials were started") if started >= most else None
