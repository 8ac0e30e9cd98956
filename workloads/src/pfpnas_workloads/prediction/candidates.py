"""The ways in which a metric may be predicted: what is told of an architecture, and who learns from it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.prediction.encoding import ENCODINGS, Array, Coded, EncodingName, features, log_macs
from pfpnas_workloads.prediction.network import Layer, forward, train
from pfpnas_workloads.prediction.predictor import AccuracyPredictor
from pfpnas_workloads.prediction.smoother import Smooth, fit_affine, fit_process, fit_ridge

Floats = NDArray[np.float64]

Start = Literal["log MACs", "public"]
"""An affine map of this, fitted without penalty, is what the regressor starts from: the logarithm of the MACs, or what
the supernet's public predictor says. None: a constant."""

RegressorName = Literal["affine", "ridge", "Gaussian process", "boosted trees", "extra trees", "perceptron 3x400"]

MANY: Final = 32
"""Labels from which more than a few robust candidates are tried: the noise of a comparison picks a bad one else."""

SLOW: Final[dict[RegressorName, int]] = {"boosted trees": 64, "extra trees": 64, "perceptron 3x400": 96}
"""Regressors whose fit is costly, and the labels from which they are tried: with fewer they don't win."""


@dataclass(frozen=True)
class Candidate:
    """One way to predict a metric.

    Attributes:
        start: What the affine map is of.
        encoding: What the regressor sees; None for the affine map alone.
        regressor: Who learns what the affine map leaves.
    """

    start: Start | None
    encoding: EncodingName | None
    regressor: RegressorName

    @property
    def code(self) -> str:
        """What is told of an architecture, in words."""
        parts = [self.start, *(self.encoding or "").split(" + ")]
        return " + ".join(dict.fromkeys(part for part in parts if part))


class Inputs:
    """What candidates are told of n architectures; each feature is computed once, when it is first asked for.

    Args:
        space: Their space.
        rows: The architectures.
        public: The supernet's public predictor, if there is one.
    """

    def __init__(self, space: SearchSpace, rows: Coded, *, public: AccuracyPredictor | None) -> None:
        self._space, self._rows, self._predictor = space, rows, public
        self._features: dict[EncodingName, Array] = {}

    def start(self, start: Start | None) -> Array:
        """The unpenalised columns, `(0 or 1, n)`."""
        if start is None:
            return np.empty((0, len(self._rows.resolutions)), np.float32)
        return self._log_macs if start == "log MACs" else self._public

    def features(self, encoding: EncodingName | None) -> Array | None:
        """The features of an encoding, `(d, n)`."""
        if encoding is None:
            return None
        if encoding not in self._features:
            self._features[encoding] = features(self._space, encoding, self._rows)
        return self._features[encoding]

    @cached_property
    def _log_macs(self) -> Array:
        return log_macs(self._space, self._rows)

    @cached_property
    def _public(self) -> Array:
        assert self._predictor is not None  # who has none doesn't offer candidates that start from it
        return self._predictor.score(self._rows)[None]


class Model(Protocol):
    """A fitted regression: predictions for unpenalised columns `z (q, n)` and features `x (d, n)`, `(n,)`."""

    def __call__(self, z: Array, x: Array | None) -> Floats: ...  # noqa: D102


class Ensemble(Protocol):
    """Trees as scikit-learn has them."""

    def predict(self, x: Array) -> Floats: ...  # noqa: D102


@dataclass(frozen=True)
class Residual:
    """An affine map, and a regressor of what it leaves: trees, or a perceptron's layers."""

    affine: Smooth
    rest: Ensemble | tuple[Layer, ...]

    def __call__(self, z: Array, x: Array | None) -> Floats:
        """Predictions for unpenalised columns `z (q, n)` and features `x (d, n)`, `(n,)`."""
        assert x is not None  # such candidates have an encoding
        rest = forward(self.rest, x) if isinstance(self.rest, tuple) else self.rest.predict(x.T)
        return self.affine(z, None) + rest


def fit_candidate(candidate: Candidate, z: Array, x: Array | None, y: Floats, *, seed: int) -> Model:
    """Fit to labels `y (n,)` of architectures with unpenalised columns `z (q, n)` and features `x (d, n)`."""
    if x is None:
        return fit_affine(z, y)
    if candidate.regressor == "ridge":
        return fit_ridge(z, x, y)
    if candidate.regressor == "Gaussian process":
        return fit_process(z, x, y)
    affine = fit_affine(z, y)
    rest = y - affine(z, None)
    if candidate.regressor == "perceptron 3x400":
        return Residual(affine, _perceptron(x, rest, seed=seed))
    return Residual(affine, _trees(candidate.regressor, x, rest, seed=seed))


def _perceptron(x: Array, rest: Floats, *, seed: int) -> tuple[Layer, ...]:
    """A perceptron of residuals, which are learned in units of their deviation."""
    unit = np.float32(max(float(rest.std()), 1e-9))
    *hidden, last = train(x, rest.astype(np.float32) / unit, rng=np.random.default_rng(seed))
    return (*hidden, Layer(last.weight * unit, last.bias * unit))


def _trees(regressor: RegressorName, x: Array, rest: Floats, *, seed: int) -> Ensemble:
    # Imported when first needed: it takes over a second, which short searches never spend.
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor  # noqa: PLC0415

    if regressor == "boosted trees":
        trees = GradientBoostingRegressor(n_estimators=100, max_depth=3, subsample=0.7, random_state=seed)
    else:
        trees = ExtraTreesRegressor(n_estimators=50, min_samples_leaf=2, random_state=seed)
    fitted: Ensemble = trees.fit(x.T, rest)
    return fitted


def candidates(labels: int, *, public: bool) -> list[Candidate]:
    """What is tried with so many labels, the simplest first.

    Args:
        labels: Measurements of the metric.
        public: Whether there is a public predictor to start from, and the metric is an accuracy.
    """
    starts: tuple[Start, ...] = ("public", "log MACs") if public else ("log MACs",)
    few = [
        *(Candidate(start, None, "affine") for start in starts),
        *(Candidate(start, "compact", "ridge") for start in starts),
        *(Candidate(start, "compact + 0.35 one-hot", "ridge") for start in starts),
    ]
    if labels < MANY:
        return few
    many = [
        *few,
        *(Candidate(start, "one-hot", "ridge") for start in starts),
        *(Candidate(None, encoding, "ridge") for encoding in ENCODINGS if encoding != "log MACs"),
        *(Candidate(start, "compact", "Gaussian process") for start in starts),
        *(Candidate(start, "compact + 0.35 one-hot", "Gaussian process") for start in starts),
        Candidate(starts[0], "compact + log MACs", "boosted trees"),
        Candidate(starts[0], "compact + log MACs", "extra trees"),
        Candidate(starts[0], "one-hot", "perceptron 3x400"),
    ]
    return [candidate for candidate in many if labels >= SLOW.get(candidate.regressor, 0)]
