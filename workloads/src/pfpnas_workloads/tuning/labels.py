"""From trials to what the private predictors are fitted to."""

from collections.abc import Iterable
from statistics import median

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.scoring.limits import STATIC_FIELDS
from pfpnas_workloads.prediction.labels import Label
from pfpnas_workloads.tuning._base import Observation


def labels_of(observations: Iterable[Observation], objective: ObjectiveSpec) -> list[Label]:
    """What was measured of the trials, in their order; those of which nothing was are left out."""
    found = [_label(observation, objective) for observation in observations]
    return [label for label in found if label.latency is not None or label.accuracy is not None]


def milliseconds(observations: Iterable[Observation], objective: ObjectiveSpec) -> float | None:
    """What one unit of the labels' latency is in milliseconds: 1, or the reference model's median; None if unknown."""
    if not is_relative(objective):
        return 1.0
    references = [observation.reference_ms for observation in observations if observation.reference_ms]
    return median(references) if references else None


def _label(observation: Observation, objective: ObjectiveSpec) -> Label:
    latency, reference = observation.latency_ms, observation.reference_ms
    if is_relative(objective):
        latency = latency / reference if latency and reference else None
    # What follows from the architecture is known without prediction; what is 0 has no logarithm.
    ratios = {
        metric: ratio
        for metric, ratio in observation.ratios.items()
        if metric != "Latency" and metric not in STATIC_FIELDS and ratio > 0
    }
    return Label(observation.architecture, latency or None, observation.accuracy, ratios)


def is_relative(objective: ObjectiveSpec) -> bool:
    """Whether latencies are judged, and so predicted, as multiples of the reference model."""
    limit = objective.constraint("Latency")
    return limit is not None and limit.relative
