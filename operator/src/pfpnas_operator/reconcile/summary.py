"""What is known of the finished trials, kept incrementally: its cost does not grow with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pfpnas_api.kinds import (
    MOST_FINALISTS,
    NASExperiment,
    ObjectiveSpec,
    RankedTrial,
    Repeat,
    Trial,
    find_condition,
    is_true,
)
from pfpnas_api.scoring import FrontPoint, front_point, insert_point, is_better, order_key
from pfpnas_operator.reconcile.growth import Growth, Yardstick
from pfpnas_operator.reconcile.noise import Noise
from pfpnas_operator.reconcile.origins import is_own

FRONT_SHOWN = 20
"""Points of the front in a status."""

TOP = MOST_FINALISTS
"""Best trials that are known by name: as many as may become finalists."""

UNCOUNTED = frozenset({"Withdrawn"})
"""Reasons that say nothing against a trial: they do not count against maxFailedTrials."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One of the best trials, with its second measurement where there is one."""

    ranked: RankedTrial
    repeat: Repeat | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Finished trials in a few numbers.

    Attributes:
        objective: What they are judged by.
        succeeded: Measured and scored.
        infeasible: Of them, those outside a limit.
        failed: Number by reason.
        failures: Of them, those that count against `maxFailedTrials` (the search's own).
        tuned: Finished trials that count against `maxTrials` (the search's own).
        next_index: One above the largest index of the tuner's.
        warmed: Names of those of the warm start; their number is bounded by the fronts that they were taken from.
        top: The best, best first and every architecture once: feasible ones, then those closest to feasible.
        front: Measured Pareto front of those that break no limit but the latency's, by rising latency.
        noise: How far second measurements are from the first ones.
        growth: Whether the front still grows.
    """

    objective: ObjectiveSpec = field(default_factory=ObjectiveSpec)
    succeeded: int = 0
    infeasible: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    tuned: int = 0
    next_index: int = 0
    warmed: frozenset[str] = frozenset()
    top: tuple[Contender, ...] = ()
    front: tuple[RankedTrial, ...] = ()
    noise: Noise = field(default_factory=Noise)
    growth: Growth = field(default_factory=Growth)

    @classmethod
    def of(cls, experiment: NASExperiment) -> "Summary":
        """That of an experiment without finished trials; to be built anew when its objective or budget changes."""
        limit = experiment.spec.objective.constraint("Latency")
        return cls(
            objective=experiment.spec.objective,
            growth=Growth(yardstick=Yardstick.of(experiment.spec)),
            noise=Noise(relative=limit is not None and limit.relative),
        )

    @property
    def best(self) -> RankedTrial | None:
        """The best feasible one by its first measurement, else the one closest to feasible."""
        return self.top[0].ranked if self.top else None

    def add(self, trial: Trial) -> "Summary":
        """The summary with one more finished trial."""
        if not is_true(trial.status.conditions, "Failed"):
            return self._counted(trial)._with_success(trial)
        condition = find_condition(trial.status.conditions, "Failed")
        reason = condition.reason if condition else "Unknown"
        counts = is_own(trial) and reason not in UNCOUNTED
        return replace(
            self._counted(trial),
            failed={**self.failed, reason: self.failed.get(reason, 0) + 1},
            failures=self.failures + counts,
            growth=self.growth if reason in UNCOUNTED else self.growth.add(trial),
        )

    def _counted(self, trial: Trial) -> "Summary":
        index = trial.spec.index
        warm = trial.spec.origin == "WarmStart"
        return replace(
            self,
            tuned=self.tuned + is_own(trial),
            next_index=max(self.next_index, -1 if index is None else index + 1),
            warmed=self.warmed | {trial.metadata.name} if warm else self.warmed,
        )

    def _with_success(self, trial: Trial) -> "Summary":
        ranked = rank(trial)
        return replace(
            self,
            succeeded=self.succeeded + 1,
            infeasible=self.infeasible + (not ranked.feasible),
            top=extend_top(self.top, Contender(ranked=ranked, repeat=trial.status.repeat)),
            front=extend_front(self.front, ranked, objective=self.objective),
            noise=_with_repeat(self.noise, trial),
            growth=self.growth.add(trial),
        )


def _with_repeat(noise: Noise, trial: Trial) -> Noise:
    metrics, repeat = trial.status.metrics, trial.status.repeat
    if metrics is None or repeat is None:
        return noise
    second = repeat.accuracy.value if repeat.accuracy else None
    return noise.with_pair(
        (metrics.latency_milliseconds, repeat.latency_milliseconds),
        (metrics.accuracy, second),
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


def extend_top(top: tuple[Contender, ...], new: Contender) -> tuple[Contender, ...]:
    """The best with one more: of equal ones the first comes first, of two with one architecture the better stays."""
    twin = next((known for known in top if known.ranked.architecture == new.ranked.architecture), None)
    if twin is not None and not is_better(new.ranked, twin.ranked):
        return top
    others = [known for known in top if known is not twin]
    behind = (place for place, known in enumerate(others) if is_better(new.ranked, known.ranked))
    place = next(behind, len(others))
    return (*others[:place], new, *others[place:])[:TOP]


def extend_front(
    front: tuple[RankedTrial, ...], new: RankedTrial, *, objective: ObjectiveSpec
) -> tuple[RankedTrial, ...]:
    """The Pareto front (accuracy up, latency down) with one more trial, if it has a place there; by rising latency."""
    point = _point(objective, new)
    if point is None:
        return front
    trials = {ranked.trial: ranked for ranked in (*front, new)}
    there = [known for known in (_point(objective, ranked) for ranked in front) if known is not None]
    return tuple(trials[point.key] for point in insert_point(there, point))


def _point(objective: ObjectiveSpec, ranked: RankedTrial) -> FrontPoint | None:
    return front_point(objective, ranked.metrics, violation=ranked.violation, key=ranked.trial)


def shown_front(front: tuple[RankedTrial, ...]) -> tuple[RankedTrial, ...]:
    """The front as a status shows it: at most `FRONT_SHOWN` points, best scores first."""
    ordered = sorted(front, key=order_key, reverse=True)
    return tuple(ordered[:FRONT_SHOWN])
