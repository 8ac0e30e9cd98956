"""What private predictors are fitted to: measured trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import Architecture

FEWEST_LABELS = 4
"""With fewer measurements of a metric nothing can be fitted to some and judged on others."""


class TooFewLabels(ValueError):  # noqa: N818 - reads as the state it names
    """Neither latency nor accuracy was measured often enough for a predictor."""


@dataclass(frozen=True)
class Label:
    """One measured trial.

    Whoever makes labels leaves out trials whose weights were another checkpoint's: their accuracies are stale.

    Attributes:
        architecture: What was measured.
        latency: In the unit in which the search judges it: relative to the reference model where the limit on Latency
            is relative, else milliseconds. Positive; None where it wasn't measured.
        accuracy: On the private validation split, 0 to 1; None where it was skipped.
        ratios: Metrics other than Latency that are limited and measured, as a share of their limit; positive.

    Raises:
        ValueError: A figure is not finite, or out of its range.
    """

    architecture: Architecture
    latency: float | None
    accuracy: float | None
    ratios: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        positive = {"latency": self.latency, **self.ratios}
        for name, value in positive.items():
            if value is not None and not (isfinite(value) and value > 0):
                raise ValueError(f"label of {self.architecture.id}: {name} {value!r} is not a positive number")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError(f"label of {self.architecture.id}: accuracy {self.accuracy!r} is not within 0..1")


Column = NDArray[np.float64]
"""One metric of every label, `(n,)`; NaN where it wasn't measured."""


def accuracies(labels: Sequence[Label]) -> Column:
    """The accuracies."""
    return _column([label.accuracy for label in labels])


def log_latencies(labels: Sequence[Label]) -> Column:
    """The natural logarithms of the latencies: a device is slower by a factor, not by a summand."""
    return np.log(_column([label.latency for label in labels]))


def log_ratios(labels: Sequence[Label]) -> dict[str, Column]:
    """The natural logarithms of the other limited metrics, by name."""
    names = sorted({name for label in labels for name in label.ratios})
    return {name: np.log(_column([label.ratios.get(name) for label in labels])) for name in names}


def _column(values: Sequence[float | None]) -> Column:
    return np.array([np.nan if value is None else value for value in values], np.float64)
