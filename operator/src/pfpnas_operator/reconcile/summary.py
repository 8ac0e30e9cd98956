"""What is known of the finished trials, kept incrementally: its cost does not grow with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pfpnas_api.kinds import RankedTrial, Trial, find_condition, is_true
from pfpnas_api.scoring import FrontPoint, insert_point, is_better, order_key

FRONT_SHOWN = 20
"""Points of the front in a status."""

UNCOUNTED = frozenset({"Withdrawn"})
"""Reasons that say nothing against a trial: they do not count against maxFailedTrials."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Finished trials in a few numbers.

    Attributes:
        succeeded: Measured and scored.
        infeasible: Of them, those outside a limit.
        failed: Number by reason.
        failures: Of them, those that count against `maxFailedTrials` (the tuner's own).
        tuned: Finished trials that count against `maxTrials` (those of the tuner).
        next_index: One above the largest index of the tuner's.
        best: The best feasible one, else the one closest to feasible.
        front: Measured Pareto front, by rising latency.
    """

    succeeded: int = 0
    infeasible: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    tuned: int = 0
    next_index: int = 0
    best: RankedTrial | None = None
    front: tuple[RankedTrial, ...] = ()

    def add(self, trial: Trial) -> "Summary":
        """The summary with one more finished trial."""
        index = trial.spec.index
        mine = replace(
            self,
            tuned=self.tuned + (index is not None),
            next_index=max(self.next_index, -1 if index is None else index + 1),
        )
        if is_true(trial.status.conditions, "Failed"):
            condition = find_condition(trial.status.conditions, "Failed")
            reason = condition.reason if condition else "Unknown"
            return replace(
                mine,
                failed={**self.failed, reason: self.failed.get(reason, 0) + 1},
                failures=self.failures + (index is not None and reason not in UNCOUNTED),
            )
        ranked = rank(trial)
        return replace(
            mine,
            succeeded=self.succeeded + 1,
            infeasible=self.infeasible + (not ranked.feasible),
            best=ranked if is_better(ranked, self.best) else self.best,
            front=extend_front(self.front, ranked),
        )


def reasons(summary: Summary) -> str:
    """Why trials failed and how many, in words."""
    return ", ".join(f"{reason} {number}" for reason, number in sorted(summary.failed.items()))


def rank(trial: Trial) -> RankedTrial:
    """A finished trial as a status shows it."""
    status = trial.status
    if status.metrics is None:
        raise ValueError(f"trial {trial.metadata.name} has no metrics")
    return RankedTrial(
        trial=trial.metadata.name,
        architecture=trial.spec.architecture,
        score=status.score,
        feasible=bool(status.feasible),
        violation=status.violation or 0.0,
        metrics=status.metrics,
        artifact=status.artifact,
    )


def extend_front(front: tuple[RankedTrial, ...], new: RankedTrial) -> tuple[RankedTrial, ...]:
    """The Pareto front (accuracy up, latency down) with one more trial, by rising latency."""
    latency = new.metrics.latency_milliseconds
    if new.accuracy is None or latency is None:
        return front
    trials = {ranked.trial: ranked for ranked in (*front, new)}
    points = insert_point(front_points(front), FrontPoint(new.accuracy, latency.p50, new.trial))
    return tuple(trials[point.key] for point in points)


def front_points(front: Iterable[RankedTrial]) -> tuple[FrontPoint, ...]:
    """Trials as points of a front; those without accuracy or latency are left out."""
    return tuple(
        FrontPoint(ranked.accuracy, ranked.metrics.latency_milliseconds.p50, ranked.trial)
        for ranked in front
        if ranked.accuracy is not None and ranked.metrics.latency_milliseconds is not None
    )


def shown_front(front: tuple[RankedTrial, ...]) -> tuple[RankedTrial, ...]:
    """The front as a status shows it: at most `FRONT_SHOWN` points, best scores first."""
    ordered = sorted(front, key=order_key, reverse=True)
    return tuple(ordered[:FRONT_SHOWN])
