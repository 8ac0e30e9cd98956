"""From where a measured front is judged, and how much of that it dominates: one definition for status and report."""

from collections.abc import Iterable, Sequence
from statistics import median

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.kinds.metrics import Latency
from pfpnas_api.scoring.front import FrontPoint, hypervolume


def latency_threshold(objective: ObjectiveSpec, front: Iterable[Latency]) -> float | None:
    """The latency limit in milliseconds, a relative one by the median of the reference model beside the front.

    None without a limit, and for a relative one as long as no point has its reference.
    """
    limit = objective.constraint("Latency")
    if limit is None or not limit.relative:
        return limit.limit if limit else None
    references = [latency.reference for latency in front if latency.reference]
    return limit.limit * median(references) if references else None


def reference_latency(objective: ObjectiveSpec, front: Sequence[Latency]) -> float | None:
    """Where the hypervolume is measured from, in milliseconds: the limit, else the slowest point of the front."""
    return latency_threshold(objective, front) or max((latency.p50 for latency in front), default=None)


def relative_hypervolume(points: Sequence[FrontPoint], reference: float | None) -> float | None:
    """The hypervolume of a front as a share of what is possible within the reference latency, 0…1; None of nothing."""
    return hypervolume(points, reference_latency=reference) / reference if points and reference else None
