"""A full set of pseudo trials, whatever a tuner drew: a posterior that has narrowed draws the same few nets again."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import GeneMatrix, SearchSpace, canonical, sample_matrix
from pfpnas_workloads.tuning.region import Region

NEARBY_ROUNDS: Final = 4
"""Rounds of mutations of the draws, as many in each as rows are wanted."""

UNIFORM_ROUNDS: Final = 4
"""Rounds of uniform draws after them; what is still missing then a small space doesn't have."""

REDRAWN: Final = 2.0
"""Genes of a mutation that are drawn anew, on the average."""


def refilled(
    region: Region, drawn: GeneMatrix, *, count: int, tried: GeneMatrix, rng: np.random.Generator
) -> GeneMatrix:
    """Different canonical rows within the limits that were not tried: the draws, then neighbours of them, then any.

    Args:
        region: Whose limits are kept; its smallest architecture has to.
        drawn: A tuner's draws, `(draws, genes)`; they may repeat, and lie outside the limits.
        count: Rows that are wanted.
        tried: Rows that are left out, `(trials, genes)`.
        rng: Of all that is drawn here.

    Returns:
        `(count, genes)` in random order; fewer only where hardly any are left.
    """
    rows = _unlike(region.lowered(drawn, rng), tried)[:count]
    for number in range(NEARBY_ROUNDS + UNIFORM_ROUNDS):
        if len(rows) >= count:
            break
        near = number < NEARBY_ROUNDS and len(drawn)
        further = _mutated(region.space, drawn, count, rng) if near else sample_matrix(region.space, count, rng=rng)
        fresh = _unlike(region.lowered(further, rng), np.concatenate([tried, rows]))
        rows = np.concatenate([rows, rng.permutation(fresh)[: count - len(rows)]])
    # Sorted rows begin with the smallest nets, which would win every tie.
    return rng.permutation(rows)


def row_keys(matrix: GeneMatrix) -> NDArray[np.bytes_]:
    """Each row as one value that can be compared, `(n,)`."""
    # A gene's index plus 1: bytes that end with 0 would be cut.
    shifted = np.ascontiguousarray(matrix + 1)
    return shifted.view(f"S{matrix.shape[1]}").ravel()


def _unlike(matrix: GeneMatrix, known: GeneMatrix) -> GeneMatrix:
    """The rows once each, without those that are known."""
    unique: GeneMatrix = np.unique(matrix, axis=0)
    return unique[~np.isin(row_keys(unique), row_keys(known))]


def _mutated(space: SearchSpace, matrix: GeneMatrix, count: int, rng: np.random.Generator) -> GeneMatrix:
    """`count` of the rows, with few genes drawn anew."""
    values = np.array([len(gene.values) for gene in space.genes()])
    rows = matrix[rng.integers(len(matrix), size=count)]
    redrawn = rng.random(rows.shape) < REDRAWN / len(values)
    return canonical(space, np.where(redrawn, rng.integers(values, size=rows.shape), rows).astype(np.int8))
