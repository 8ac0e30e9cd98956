"""Finished trials as points, with the front and the best so far at each of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from pfpnas_api.kinds import Accuracy, NASExperiment, ObjectiveSpec, Trial, TrialMetrics, find_condition, is_true
from pfpnas_api.kinds.metrics import Latency
from pfpnas_api.scoring import (
    FrontPoint,
    Judgement,
    front_point,
    insert_point,
    is_better,
    latency_threshold,
    pareto_front,
    relative_hypervolume,
)
from pfpnas_operator.report.forecasts import forecast_of
from pfpnas_operator.report.schema import Outcome, Point, Threshold

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def finished_trials(experiment: NASExperiment, trials: Iterable[Trial]) -> list[Trial]:
    """The experiment's finished trials in the order of finishing."""
    name, namespace = experiment.metadata.name, experiment.metadata.namespace
    mine = [
        trial
        for trial in trials
        if trial.finished and trial.spec.experiment_ref.name == name and trial.metadata.namespace == namespace
    ]
    return sorted(mine, key=lambda trial: (trial.status.finished_at or _BEFORE_ALL, trial.metadata.name))


def front_of(objective: ObjectiveSpec, finished: Iterable[Trial]) -> tuple[FrontPoint, ...]:
    """The measured Pareto front of all trials, by rising latency on its scale."""
    return pareto_front([point for trial in finished if (point := _on_front(objective, trial)) is not None])


def _on_front(objective: ObjectiveSpec, trial: Trial) -> FrontPoint | None:
    if _outcome(trial) == "Failed":
        return None
    status = trial.status
    return front_point(objective, status.metrics, violation=status.violation, key=trial.metadata.name)


def latencies_of(front: Iterable[FrontPoint], finished: Sequence[Trial]) -> list[Latency]:
    """Latencies of the front's trials; while it is empty, those of all that were measured."""
    names = {point.key for point in front}
    chosen = [trial for trial in finished if trial.metadata.name in names] or finished
    found = (trial.status.metrics.latency_milliseconds for trial in chosen if trial.status.metrics)
    return [latency for latency in found if latency is not None]


def threshold_of(experiment: NASExperiment, front: Sequence[Latency]) -> Threshold | None:
    """The latency limit in milliseconds; a relative one by the median of the reference model over the front."""
    objective = experiment.spec.objective
    limit = objective.constraint("Latency")
    if limit is None:
        return None
    relative = limit.limit if limit.relative else None
    return Threshold(milliseconds=latency_threshold(objective, front), relative=relative)


def measured(trial: Trial) -> int:
    """Measurements that a trial brought: 0 where it failed without one, 2 where it was measured again."""
    return is_true(trial.status.conditions, "Measured") + (trial.status.repeat is not None)


def build_points(finished: Sequence[Trial], *, best: str | None) -> tuple[Point, ...]:
    """A point for every finished trial; progress and front are added by `with_progress`."""
    spent = accumulate(measured(trial) for trial in finished)
    return tuple(
        _point(trial, order, measurements=measurements, best=best)
        for order, (trial, measurements) in enumerate(zip(finished, spent, strict=True), start=1)
    )


def _point(trial: Trial, order: int, *, measurements: int, best: str | None) -> Point:
    status, metrics = trial.status, trial.status.metrics or TrialMetrics()
    latency = metrics.latency_milliseconds
    return Point(
        trial=trial.metadata.name,
        order=order,
        measurements=measurements,
        architecture=trial.spec.architecture,
        origin=trial.spec.origin,
        outcome=_outcome(trial),
        reason=_reason(trial),
        score=status.score,
        accuracy=metrics.accuracy,
        standard_error=standard_error(metrics),
        accuracy_skipped=metrics.accuracy_skipped,
        latency_p50=latency.p50 if latency else None,
        latency_p90=latency.p90 if latency else None,
        latency_relative=latency.relative if latency else None,
        flops=metrics.flops,
        parameters=metrics.parameters,
        model_bytes=metrics.model_bytes,
        predicted_accuracy=status.predicted.public_accuracy if status.predicted else None,
        forecast=forecast_of(status.predicted, reference=latency.reference if latency else None),
        best=trial.metadata.name == best,
    )


def _outcome(trial: Trial) -> Outcome:
    if is_true(trial.status.conditions, "Failed"):
        return "Failed"
    return "Feasible" if trial.status.feasible else "Infeasible"


def _reason(trial: Trial) -> str | None:
    failed = find_condition(trial.status.conditions, "Failed")
    if failed is not None and failed.status == "True":
        return failed.reason
    succeeded = find_condition(trial.status.conditions, "Succeeded")
    return succeeded.message or None if succeeded and succeeded.status == "True" else None


def standard_error(metrics: TrialMetrics) -> float | None:
    """Of the accuracy; None where it was skipped or its number of images is not known."""
    if metrics.accuracy is None or not metrics.accuracy_samples:
        return None
    return Accuracy(value=metrics.accuracy, samples=metrics.accuracy_samples).standard_error


def with_progress(
    points: Sequence[Point], finished: Sequence[Trial], *, objective: ObjectiveSpec, reference: float | None
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """The points with best, front and hypervolume so far, and the trials of the final front by rising latency.

    Hypervolumes are judged from the `reference` latency, on the scale of the front (`front_point`).
    """
    front: tuple[FrontPoint, ...] = ()
    best: tuple[str, Judgement] | None = None
    grown: list[Point] = []
    for point, trial in zip(points, finished, strict=True):
        if point.outcome != "Failed":
            judged = _judgement(point, violation=trial.status.violation or 0.0)
            if best is None or is_better(judged, best[1]):
                best = (point.trial, judged)
        seen = _on_front(objective, trial)
        front = insert_point(front, seen) if seen else front
        volume = relative_hypervolume(front, reference)
        so_far = {"best_so_far": best[0], "best_score_so_far": best[1].score} if best else {}
        grown.append(point.model_copy(update={**so_far, "hypervolume": volume}))
    names = tuple(point.key for point in front)
    return tuple(point.model_copy(update={"on_front": point.trial in names}) for point in grown), names


def _judgement(point: Point, *, violation: float) -> Judgement:
    return Judgement(
        score=point.score, feasible=point.outcome == "Feasible", violation=violation, accuracy=point.accuracy
    )
