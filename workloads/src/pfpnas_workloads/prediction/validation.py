"""How well a candidate predicts what it was not fitted to: repeated cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfpnas_workloads.prediction.candidates import Candidate, Floats, Inputs, fit_candidate

LEAST_DEVIATION: Final = 1e-4
"""Of any prediction: with labels that are all alike it would be 0, and every limit met or broken for certain."""

INTERVAL: Final = 0.9
"""Share of the measurements that an interval is to hold."""

NORMAL_QUANTILE: Final = 1.6448536269514722
"""Deviations from the mean within which 90 % of a normal distribution lie."""


@dataclass(frozen=True)
class Problem:
    """One metric to predict.

    Attributes:
        inputs: What is known of the n labelled architectures.
        y: Their labels, `(n,)`, all finite.
        folds: By repetition the number of the fold in which each is held out, `(repetitions, n)`.
        seed: Of regressors that draw.
    """

    inputs: Inputs
    y: Floats
    folds: NDArray[np.intp]
    seed: int
    _guesses: dict[tuple[Candidate, int], Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def guesses(self, candidate: Candidate, repetition: int) -> Floats:
        """Predictions of every label by fits without its fold, `(n,)`: once each, since the choice, the deviation and
        the status all go by them, and a costly regressor takes seconds."""
        key = candidate, repetition
        if key not in self._guesses:
            self._guesses[key] = held_out(self, candidate, self.folds[repetition])
        return self._guesses[key]


def split(groups: NDArray[np.intp], *, seed: int) -> NDArray[np.intp]:
    """Folds of repeated cross-validation, `(repetitions, n)`.

    Labels of one group (the same architecture measured twice) are held out together, as long as there are groups
    enough; else a fold would know what it is asked.

    Args:
        groups: The group of each label, `(n,)`.
        seed: Of the draws.
    """
    count = len(np.unique(groups))
    if count < 3:
        groups, count = np.arange(len(groups)), len(groups)
    number = np.unique(groups, return_inverse=True)[1]
    few = count < 40
    rng = np.random.default_rng(seed)
    # With few labels a fold of a fifth is missed by the fit, and repetitions are cheap.
    repetitions, folds = (10, min(count, 10)) if few else (4, 5)
    return np.array([(rng.permutation(count) % folds)[number] for _ in range(repetitions)])


def out_of_fold(problem: Problem, candidate: Candidate, repetitions: Sequence[int]) -> Floats:
    """Predictions of every label by fits without its fold, `(len(repetitions), n)`."""
    return np.array([problem.guesses(candidate, repetition) for repetition in repetitions])


def held_out(problem: Problem, candidate: Candidate, folds: NDArray[np.intp], *, first: int | None = None) -> Floats:
    """The same for one repetition's folds `(n,)`, `(n,)`; NaN in others than the `first` so many folds, if given."""
    z, x = problem.inputs.start(candidate.start), problem.inputs.features(candidate.encoding)
    found = np.full(len(problem.y), np.nan)
    for fold in range(int(folds.max()) + 1)[:first]:
        held = folds == fold
        known, unknown = (None, None) if x is None else (x[:, ~held], x[:, held])
        model = fit_candidate(candidate, z[:, ~held], known, problem.y[~held], seed=problem.seed)
        found[held] = model(z[:, held], unknown)
    return found


def kendall_tau(a: Floats, b: Floats) -> float:
    """Kendall's τ-b of `a (n,)` and `b (n,)` (Kendall, 1945); 0 where either has no order. O(n²)."""
    first, second = (np.sign(v[:, None] - v[None, :]).astype(np.int8).ravel() for v in (a, b))
    ordered = float(np.count_nonzero(first)) * float(np.count_nonzero(second))
    return float(np.sum(first * second, dtype=np.int64)) / ordered**0.5 if ordered else 0.0


def deviation(errors: Floats) -> float:
    """Deviation of the errors `(n,)` that gives intervals of the right width.

    From few errors the deviation itself is uncertain: it is widened by Student's quantile over the normal one.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a third of a second that a plain tuner needn't spend

    freedom = max(len(errors) - 1, 1)
    widening = float(stdtrit(freedom, (1 + INTERVAL) / 2)) / NORMAL_QUANTILE
    return max(float(np.sqrt(np.square(errors).sum() / freedom)) * widening, LEAST_DEVIATION)


def coverage(errors: Floats, folds: NDArray[np.intp]) -> float:
    """Share of the errors `(n,)` within 90 % intervals whose width was taken from the other folds `(n,)` only."""
    inside = np.zeros(len(errors), np.bool_)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        inside[held] = np.abs(errors[held]) <= NORMAL_QUANTILE * deviation(errors[~held])
    return float(inside.mean())
