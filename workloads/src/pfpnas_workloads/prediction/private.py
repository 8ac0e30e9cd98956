"""The private predictors: what a search knows of its own device and data, refitted while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.kinds.prediction import PredictorStatus
from pfpnas_api.spaces import GeneMatrix, SearchSpace, to_matrix
from pfpnas_workloads.prediction.encoding import coded, one_hot
from pfpnas_workloads.prediction.labels import (
    FEWEST_LABELS,
    Column,
    Label,
    TooFewLabels,
    accuracies,
    log_latencies,
    log_ratios,
)
from pfpnas_workloads.prediction.predictor import AccuracyPredictor

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """Which encoding and regressor each metric has; opaque to callers."""


@dataclass(frozen=True)
class Prediction:
    """What the predictors say of n architectures, arrays `(n,)`.

    Attributes:
        accuracy: 0 to 1; None where too few accuracies were measured.
        accuracy_deviation: Standard deviation of its error.
        latency: In the labels' unit; None where too few latencies were measured.
        latency_deviation: Standard deviation of the natural logarithm of the latency.
        ratios: By metric the share of its limit, and the standard deviation of its natural logarithm.
    """

    accuracy: FloatArray | None
    accuracy_deviation: FloatArray | None
    latency: FloatArray | None
    latency_deviation: FloatArray | None
    ratios: dict[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Line:
    weights: FloatArray
    bias: float
    deviation: float


@dataclass(frozen=True)
class PrivatePredictors:
    """Fitted predictors."""

    space: SearchSpace
    choice: Choice
    labels: int
    _lines: dict[str, _Line]

    def predict(self, matrix: GeneMatrix) -> Prediction:
        """What they say of the rows of an `(n, genes)` matrix."""
        code = one_hot(self.space, coded(self.space, matrix)).T.astype(np.float64)
        found = {
            name: (code @ line.weights + line.bias, np.full(len(matrix), line.deviation))
            for name, line in self._lines.items()
        }
        accuracy, accuracy_deviation = found.pop("accuracy", (None, None))
        latency, latency_deviation = found.pop("latency", (None, None))
        return Prediction(
            None if accuracy is None else np.clip(accuracy, 0, 1),
            accuracy_deviation,
            None if latency is None else np.exp(latency),
            latency_deviation,
            {name: (np.exp(value), deviation) for name, (value, deviation) in found.items()},
        )

    def quality(self, objective: ObjectiveSpec) -> PredictorStatus:
        """How good they are on labels they were not fitted to."""
        return PredictorStatus(labels=self.labels)


def fit(
    space: SearchSpace,
    labels: Sequence[Label],
    *,
    public: AccuracyPredictor | None,
    seed: int,
    choice: Choice | None = None,
) -> PrivatePredictors:
    """Fit predictors of latency, accuracy and the other limited metrics to all the labels given.

    Raises:
        TooFewLabels: Neither latency nor accuracy has enough labels.
        ArchitectureError: A label is not of `space`.
    """
    columns = {"latency": log_latencies(labels), "accuracy": accuracies(labels), **log_ratios(labels)}
    fitted = {name: column for name, column in columns.items() if np.isfinite(column).sum() >= FEWEST_LABELS}
    if not fitted.keys() & {"latency", "accuracy"}:
        raise TooFewLabels(f"{len(labels)} labels: {FEWEST_LABELS} of latency or of accuracy are needed")
    matrix = to_matrix(space, [label.architecture for label in labels])
    code = one_hot(space, coded(space, matrix)).T.astype(np.float64)
    return PrivatePredictors(
        space, choice or Choice(), len(labels), {name: _fit(code, column) for name, column in fitted.items()}
    )


def _fit(code: FloatArray, column: Column) -> _Line:
    kept = np.isfinite(column)
    x, y = code[kept], column[kept]
    centred, mean = x - x.mean(axis=0), float(y.mean())
    weights = centred.T @ np.linalg.solve(centred @ centred.T + np.eye(len(x)), y - mean)
    bias = mean - float(x.mean(axis=0) @ weights)
    return _Line(weights, bias, float(np.sqrt(np.mean((x @ weights + bias - y) ** 2))))
