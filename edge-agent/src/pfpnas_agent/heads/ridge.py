"""A ridge classifier in closed form, its strength by closed-form leave-one-out.

Features are standardised on the training split, labels are one-hot, the intercept is not penalised. With the centred
features' singular values s and left vectors U, the fit to the training labels is H y with
H = U diag(s² / (s² + λ)) Uᵀ + 1/n, and the error of leaving row i out is (y_i − (H y)_i) / (1 − H_ii)
(T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd edition, section 7.10 (eq. 7.64)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

STRENGTHS = np.logspace(-6, 3, 28)
"""Ridge strengths tried, per training sample (features have unit variance)."""


@dataclass(frozen=True)
class Ridge:
    """A fitted head: class scores are `features @ weights + bias`."""

    weights: Array
    """`(d, classes)`, standardisation folded in."""
    bias: Array
    """`(classes)`."""
    strength: float
    """Chosen, per training sample."""

    def predicted(self, features: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The class `(n)` of every row of `features (n, d)`."""
        return np.argmax(features.astype(np.float64) @ self.weights + self.bias, axis=1)  # type: ignore[no-any-return]


def fit(features: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], *, classes: int) -> Ridge:
    """Fit to `features (n, d)` and `labels (n)`; strength by leave-one-out over a logarithmic grid."""
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    # A feature that never changes (but for rounding) says nothing; dividing by its noise would make it shout.
    scale = np.where(deviation > 1e-7 * (1 + np.abs(mean)), 1 / np.maximum(deviation, 1e-30), 0.0)
    x = (features - mean) * scale  # (n, d), centred
    y = np.eye(classes)[labels]  # (n, classes)
    intercept = y.mean(axis=0)
    weights, strength = _solve(x, y - intercept)
    weights = scale[:, None] * weights
    return Ridge(weights=weights, bias=intercept - mean @ weights, strength=strength)


def _solve(x: Array, y: Array) -> tuple[Array, float]:
    """Weights `(d, classes)` and the best strength, by one eigendecomposition of the smaller Gram matrix."""
    n, d = x.shape
    tall = n >= d
    values, vectors = np.linalg.eigh(x.T @ x if tall else x @ x.T)
    kept = values > values[-1] * max(n, d) * np.finfo(np.float64).eps
    squares, vectors = values[kept], vectors[:, kept]
    u = x @ (vectors / np.sqrt(squares)) if tall else vectors  # (n, k)
    coordinates = u.T @ y  # (k, classes)
    shrink = squares / (squares + n * STRENGTHS[:, None])  # (strengths, k)
    strength = float(STRENGTHS[np.argmin(_leave_one_out(u, coordinates, y, shrink))])
    coefficients = coordinates / (squares + n * strength)[:, None]
    if tall:
        return vectors @ (np.sqrt(squares)[:, None] * coefficients), strength
    return x.T @ (u @ coefficients), strength


def _leave_one_out(u: Array, coordinates: Array, y: Array, shrink: Array) -> Array:
    """Mean squared error `(strengths)` of predicting each row from all the others."""
    n = len(y)
    leverage = np.square(u) @ shrink.T + 1 / n  # (n, strengths)
    errors = np.empty(len(shrink))
    for at, row in enumerate(shrink):
        left_out = (y - u @ (row[:, None] * coordinates)) / np.maximum(1 - leverage[:, at : at + 1], 1e-9)
        errors[at] = np.mean(np.square(left_out))
    return errors
