"""Which of many predicted architectures is worth a measurement next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import GeneMatrix
from pfpnas_workloads.prediction.private import Prediction
from pfpnas_workloads.tuning.worth import worth


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
    pool: Pool, objective: ObjectiveSpec, *, tried: GeneMatrix, waiting: GeneMatrix, optimism: float
) -> Sequence[int]:
    """Rows of the pool that were not tried yet, the most promising first.

    Args:
        pool: To choose from.
        objective: Says what is promising.
        tried: All trials so far, `(trials, genes)`.
        waiting: Those among them that the predictors don't know the results of.
        optimism: Deviations by which accuracies are taken to be better than predicted.
    """
    new = np.flatnonzero(~np.isin(_keys(pool.matrix), _keys(tried)))
    score = worth(objective, pool.prediction, optimism=optimism).score[new]
    order: list[int] = new[np.argsort(-score, kind="stable")].tolist()
    return order


def _keys(matrix: GeneMatrix) -> NDArray[np.bytes_]:
    """Each row as one value that can be compared, `(n,)`."""
    # A gene's index plus 1: bytes that end with 0 would be cut.
    shifted = np.ascontiguousarray(matrix + 1)
    return shifted.view(f"S{matrix.shape[1]}").ravel()
