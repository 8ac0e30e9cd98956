"""The private predictors: what a search knows of its own device and data, refitted while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.kinds.prediction import PredictorStatus
from pfpnas_api.spaces import GeneMatrix, SearchSpace, to_matrix
from pfpnas_workloads.prediction.candidates import Candidate, Floats, Inputs, Model, candidates, fit_candidate
from pfpnas_workloads.prediction.choosing import choose
from pfpnas_workloads.prediction.encoding import coded
from pfpnas_workloads.prediction.labels import (
    FEWEST_LABELS,
    Column,
    Label,
    TooFewLabels,
    accuracies,
    log_latencies,
    log_ratios,
)
from pfpnas_workloads.prediction.predictor import BLOCK, AccuracyPredictor
from pfpnas_workloads.prediction.quality import Validated, status_of
from pfpnas_workloads.prediction.threads import one_thread
from pfpnas_workloads.prediction.validation import Problem, deviation, out_of_fold, split

VALIDATED: Final = 400
"""Labels that a choice is judged by at most, drawn from all: more don't change it, and its cost would grow on."""

BEYOND: Final = 3.0
"""How far a logarithm may be predicted outside those measured, a factor of 20: a line through few goes anywhere."""


@dataclass(frozen=True)
class Choice:
    """How each metric is predicted, by its name: `latency`, `accuracy`, or one of the ratios'."""

    metrics: tuple[tuple[str, Candidate], ...]

    def of(self, metric: str) -> Candidate | None:
        """What was chosen for a metric, if it had labels enough."""
        return dict(self.metrics).get(metric)


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

    accuracy: Floats | None
    accuracy_deviation: Floats | None
    latency: Floats | None
    latency_deviation: Floats | None
    ratios: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Fitted:
    """One metric's predictor, the deviation of its errors, and the range that it may say."""

    candidate: Candidate
    model: Model
    deviation: float
    bounds: tuple[float, float]
    validated: Validated

    def predict(self, inputs: Inputs) -> Floats:
        raw = self.model(inputs.start(self.candidate.start), inputs.features(self.candidate.encoding))
        return np.clip(raw, *self.bounds)


@dataclass(frozen=True)
class PrivatePredictors:
    """Predictors of latency, accuracy and other limited metrics, as fitted to all labels at one moment.

    Attributes:
        space: Of the architectures.
        choice: Given to the next `fit` it saves the cross-validation.
        labels: How many there were, whatever was measured of each.
    """

    space: SearchSpace
    choice: Choice
    labels: int
    _public: AccuracyPredictor | None
    _fitted: Mapping[str, _Fitted]

    def predict(self, matrix: GeneMatrix) -> Prediction:
        """What they say of the rows of an `(n, genes)` matrix.

        Raises:
            ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
        """
        found = {name: np.empty(len(matrix)) for name in self._fitted}
        with one_thread():
            for start in range(0, len(matrix), BLOCK):
                rows = slice(start, start + BLOCK)
                inputs = Inputs(self.space, coded(self.space, matrix[rows]), public=self._public)
                for name, fitted in self._fitted.items():
                    found[name][rows] = fitted.predict(inputs)
        pairs = {name: (values, np.full(len(matrix), self._fitted[name].deviation)) for name, values in found.items()}
        accuracy, accuracy_deviation = pairs.pop("accuracy", (None, None))
        ratios = {name: (np.exp(values), spread) for name, (values, spread) in pairs.items()}
        latency, latency_deviation = ratios.pop("latency", (None, None))
        return Prediction(accuracy, accuracy_deviation, latency, latency_deviation, ratios)

    def quality(self, objective: ObjectiveSpec) -> PredictorStatus:
        """How good they are on labels they were not fitted to, by cross-validation; the noise floor is left out."""
        with one_thread():
            validated = {name: fitted.validated for name, fitted in self._fitted.items()}
            return status_of(self.space, validated, objective, labels=self.labels)


def fit(
    space: SearchSpace,
    labels: Sequence[Label],
    *,
    public: AccuracyPredictor | None,
    seed: int,
    choice: Choice | None = None,
) -> PrivatePredictors:
    """Fit predictors of latency, accuracy and the other limited metrics to all the labels given.

    The same arguments give the same predictors, to the bit. One metric needs at least `FEWEST_LABELS` labels to be
    predicted; the others are then predicted without it.

    Args:
        space: The search space.
        labels: Measured trials, oldest first; of the weights that are searched now, and no others.
        public: The supernet's predictor of the public accuracy.
        seed: Of the folds, and of regressors that draw.
        choice: How each metric is predicted, of an earlier fit. Metrics that it doesn't name are chosen anew.

    Raises:
        TooFewLabels: Neither latency nor accuracy has enough labels.
        ArchitectureError: A label is not of `space`.
        ValueError: `public` is of a space with other genes.
    """
    if public is not None and public.space.genes() != space.genes():
        raise ValueError("the public predictor is of another search space: fit it again for this one")
    columns = {"latency": log_latencies(labels), "accuracy": accuracies(labels), **log_ratios(labels)}
    enough = {name: y for name, y in columns.items() if np.isfinite(y).sum() >= FEWEST_LABELS}
    if not enough.keys() & {"latency", "accuracy"}:
        raise TooFewLabels(f"{len(labels)} labels: {FEWEST_LABELS} of latency or of accuracy are needed")
    matrix = to_matrix(space, [label.architecture for label in labels])
    with one_thread():
        fitted = {
            name: _fit(_Metric(name, space, matrix, y, public=public), (choice or Choice(())).of(name), seed=seed)
            for name, y in enough.items()
        }
    chosen = Choice(tuple((name, one.candidate) for name, one in fitted.items()))
    return PrivatePredictors(space, chosen, len(labels), public, fitted)


class _Metric:
    """One metric's labels.

    Args:
        name: Of the metric.
        space: Of the architectures.
        matrix: All labelled architectures, `(n, genes)`.
        y: The labels, `(n,)`, NaN where there is none.
        public: The supernet's predictor.
    """

    def __init__(
        self, name: str, space: SearchSpace, matrix: GeneMatrix, y: Column, *, public: AccuracyPredictor | None
    ) -> None:
        self.name, self.space, self.matrix, self.y, self.public = name, space, matrix, y, public
        self.known = np.flatnonzero(np.isfinite(y))

    def inputs(self, rows: NDArray[np.intp]) -> Inputs:
        """What is known of some of the architectures."""
        return Inputs(self.space, coded(self.space, self.matrix[rows]), public=self.public)

    def validated(self, *, seed: int) -> tuple[NDArray[np.intp], Problem]:
        """The labels that candidates are judged by, and their folds."""
        order = np.random.default_rng(seed).permutation(len(self.y))  # the same for all metrics, so that they overlap
        rows = np.sort(order[np.isfinite(self.y[order])][:VALIDATED])
        groups = np.unique(self.matrix[rows], axis=0, return_inverse=True)[1].ravel()
        return rows, Problem(self.inputs(rows), self.y[rows], split(groups, seed=seed), seed)

    @property
    def candidates(self) -> list[Candidate]:
        """The simplest first."""
        return candidates(len(self.known), public=self.name == "accuracy" and self.public is not None)

    @property
    def bounds(self) -> tuple[float, float]:
        """The range that a prediction may have."""
        if self.name == "accuracy":
            return 0.0, 1.0
        return float(np.nanmin(self.y)) - BEYOND, float(np.nanmax(self.y)) + BEYOND


def _fit(metric: _Metric, chosen: Candidate | None, *, seed: int) -> _Fitted:
    rows, problem = metric.validated(seed=seed)
    if chosen is None or (chosen.start == "public" and metric.public is None):
        chosen = choose(problem, metric.candidates)
    inputs, y = metric.inputs(metric.known), metric.y[metric.known]
    model = fit_candidate(chosen, inputs.start(chosen.start), inputs.features(chosen.encoding), y, seed=seed)
    errors = out_of_fold(problem, chosen, [0])[0] - problem.y
    validated = Validated(chosen, problem, rows, metric.matrix[rows], labels=len(y))
    return _Fitted(chosen, model, deviation(errors), metric.bounds, validated)
