"""Another search for the same thing held against this one, measurement by measurement."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pfpnas_api.kinds import NASExperiment, Trial
from pfpnas_api.scoring import Judgement, is_better
from pfpnas_operator.report.points import build_points, finished_trials, with_progress
from pfpnas_operator.report.schema import OtherSearch, Point, Progress, Reached


class Search(Protocol):
    """An experiment with its trials, such as the records of a run."""

    @property
    def experiment(self) -> NASExperiment:
        """What was searched for."""

    @property
    def finished(self) -> Sequence[Trial]:
        """Its finished trials."""


def build_other(
    other: Search, points: Sequence[Point], finished: Iterable[Trial], *, reference: float | None
) -> OtherSearch:
    """The comparison.

    Args:
        other: The other search, for the same objective on the same target.
        points: This search's.
        finished: Its trials, in the same order.
        reference: Latency from which its hypervolume is judged, on the scale of the front; so is the other's.
    """
    experiment = other.experiment
    theirs = finished_trials(experiment, other.finished)
    other_points, _ = with_progress(
        build_points(theirs, best=None), theirs, objective=experiment.spec.objective, reference=reference
    )
    at = min(_spent(points), _spent(other_points))
    own, their = _last(points, at), _last(other_points, at)
    judged = _judgements(finished), _judgements(theirs)
    return OtherSearch(
        experiment=experiment.metadata.name,
        algorithm=experiment.spec.tuner.algorithm,
        seed=experiment.spec.tuner.seed,
        pseudo_trials=experiment.spec.tuner.pseudo_trials,
        measurements=_spent(other_points),
        progress=tuple(
            Progress(measurements=p.measurements, score=p.best_score_so_far, hypervolume=p.hypervolume)
            for p in other_points
        ),
        compared_at=at,
        own=_reached(own, points),
        other=_reached(their, other_points),
        caught_up_at=_caught_up(points, judged[0], judged[1].get(their.best_so_far or "") if their else None),
    )


def _spent(points: Sequence[Point]) -> int:
    return points[-1].measurements if points else 0


def _last(points: Sequence[Point], at: int) -> Point | None:
    """The last trial that had finished after so many measurements."""
    return next((point for point in reversed(points) if point.measurements <= at), None)


def _judgements(finished: Iterable[Trial]) -> dict[str, Judgement]:
    """What every measured trial is worth, by name."""
    return {
        trial.metadata.name: Judgement(
            score=trial.status.score,
            feasible=bool(trial.status.feasible),
            violation=trial.status.violation or 0.0,
            accuracy=trial.status.metrics.accuracy if trial.status.metrics else None,
        )
        for trial in finished
    }


def _reached(last: Point | None, points: Iterable[Point]) -> Reached | None:
    best = next((p for p in points if last is not None and p.trial == last.best_so_far), None)
    if last is None or best is None:
        return None
    return Reached(
        trial=best.trial,
        architecture=best.architecture,
        feasible=best.outcome == "Feasible",
        score=best.score,
        accuracy=best.accuracy,
        latency=best.latency_p50,
        hypervolume=last.hypervolume,
    )


def _caught_up(points: Iterable[Point], own: Mapping[str, Judgement], goal: Judgement | None) -> int | None:
    """Measurements after which the best so far was no worse than the goal."""
    if goal is None:
        return None
    for point in points:
        if point.best_so_far is not None and not is_better(goal, own[point.best_so_far]):
            return point.measurements
    return None
