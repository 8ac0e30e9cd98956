"""Which of many predicted architectures is worth a measurement next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import GeneMatrix
from pfpnas_workloads.prediction.private import Prediction
from pfpnas_workloads.tuning.refill import row_keys
from pfpnas_workloads.tuning.worth import FloatArray, gain, worth

REACH: Final = 2.0
"""Genes within which a trial under way will tell much of what there is to learn."""

REPULSION: Final = 0.8
"""Share of a draw's promise that a trial under way takes from its closest neighbours. On the known-answer space the
regret of four at once after 40 measurements was the same from 0 to 0.95: no harm was seen."""

LEAST_GAIN: Final = 1e-300
"""Where a gain is less than any number there is, it has no logarithm."""


@dataclass(frozen=True)
class Pool:
    """Pseudo trials: draws within the limits, each once, and what the predictors say of them.

    Attributes:
        matrix: Canonical rows, `(n, genes)`.
        prediction: Of each.
    """

    matrix: GeneMatrix
    prediction: Prediction


def best_first(
    pool: Pool, objective: ObjectiveSpec, *, best: float | None, tried: GeneMatrix, waiting: GeneMatrix
) -> Sequence[int]:
    """Rows of the pool that were not tried yet, the most promising first.

    Args:
        pool: To choose from.
        objective: Says what is promising.
        best: Score of the best trial that keeps its limits, which is to be improved on; None while there is none.
        tried: All trials so far, `(trials, genes)`.
        waiting: Those among them whose results the predictors don't know.
    """
    promise = _promise(pool.prediction, objective, best=best) + _repelled(pool.matrix, waiting)
    new = np.flatnonzero(~np.isin(row_keys(pool.matrix), row_keys(tried)))
    # By what is expected, where no gain is: far from the best all gains are 0.
    order: list[int] = new[np.lexsort((-worth(objective, pool.prediction).score[new], -promise[new]))].tolist()
    return order


def _promise(prediction: Prediction, objective: ObjectiveSpec, *, best: float | None) -> FloatArray:
    """The logarithm of the expected gain; until something keeps the limits, that of the chance of it."""
    if best is None or prediction.accuracy is None:
        return np.log(np.maximum(worth(objective, prediction).feasible, LEAST_GAIN))
    return np.log(np.maximum(gain(objective, prediction, best=best), LEAST_GAIN))


def _repelled(matrix: GeneMatrix, waiting: GeneMatrix) -> FloatArray:
    """The logarithm of the share of its promise that each of `(n, genes)` rows keeps beside trials under way, `(n,)`.

    Neighbours share the predictors' errors: of several at once all but one would tell little. After the local
    penalisation of González et al., "Batch Bayesian optimization via local penalization" (2016), with the number of
    different genes as distance.
    """
    if not len(waiting):
        return np.zeros(len(matrix))
    differing = np.min([(matrix != row).sum(axis=1) for row in waiting], axis=0)
    shares: FloatArray = np.log1p(-REPULSION * np.exp(-differing / REACH))
    return shares
