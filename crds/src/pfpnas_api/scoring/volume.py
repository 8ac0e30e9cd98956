"""The measured front of a search, and how much it dominates: one definition for status, convergence and report.

Where the limit on the latency is relative, latencies are multiples of the reference model that was measured beside each
candidate: a device that drifts is no gain. Else they are milliseconds.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from pfpnas_api.kinds.experiment import Constraint, ObjectiveSpec
from pfpnas_api.kinds.metrics import Latency, TrialMetrics
from pfpnas_api.scoring.front import FrontPoint, hypervolume
from pfpnas_api.scoring.metrics import excess

ROUNDING = 1e-9
"""Of a sum of relative excesses."""


def front_point(
    objective: ObjectiveSpec, metrics: TrialMetrics | None, *, violation: float | None, key: str = ""
) -> FrontPoint | None:
    """A finished trial as the front sees it; None when it has no place there.

    That is a trial without accuracy or latency, and one that breaks another limit than the latency's: it can't become
    the best, however fast and accurate it is. What is over the latency limit stays, since it shows the trade-off.

    Args:
        objective: Its limit on the latency says what the latency is a share of.
        metrics: Of the trial.
        violation: Sum of the relative excesses over all limits, as `judge` found it.
        key: Whose point it is.
    """
    latency = metrics.latency_milliseconds if metrics else None
    if metrics is None or metrics.accuracy is None or latency is None:
        return None
    limit = objective.constraint("Latency")
    value = _on_scale(limit, latency)
    if value is None:
        return None
    beyond = (violation or 0.0) - (excess(limit, value) if limit else 0.0)
    return None if beyond > ROUNDING else FrontPoint(metrics.accuracy, value, key)


def _on_scale(limit: Constraint | None, latency: Latency) -> float | None:
    return latency.relative if limit is not None and limit.relative else latency.p50


def latency_threshold(objective: ObjectiveSpec, front: Iterable[Latency]) -> float | None:
    """The latency limit in milliseconds to show, a relative one by the median of the reference model beside the front.

    None without a limit, and for a relative one as long as no point has its reference.
    """
    limit = objective.constraint("Latency")
    if limit is None or not limit.relative:
        return limit.limit if limit else None
    references = [latency.reference for latency in front if latency.reference]
    return limit.limit * median(references) if references else None


def reference_latency(objective: ObjectiveSpec, front: Iterable[FrontPoint]) -> float | None:
    """Where the hypervolume is measured from, on the front's scale: the limit, else the slowest point of the front."""
    limit = objective.constraint("Latency")
    return limit.limit if limit else max((point.latency for point in front), default=None)


def relative_hypervolume(points: Sequence[FrontPoint], reference: float | None) -> float | None:
    """The hypervolume of a front as a share of what is possible within the reference latency, 0…1; None of nothing."""
    return hypervolume(points, reference_latency=reference) / reference if points and reference else None
