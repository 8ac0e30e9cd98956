"""Architectures as vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, active_mask, to_matrix

Array = NDArray[np.float32]


def encode(space: SearchSpace, architectures: Sequence[Architecture]) -> Array:
    """The masked one-hot code of once-for-all's accuracy predictor (Cai et al., ICLR 2020, appendix B).

    A one-hot resolution, then for each block slot a one-hot kernel and a one-hot expand, all zeros where the slot is
    inactive. A stage's depth has no place of its own: it shows in the zeros.

    Returns:
        `(len(architectures), width(space))`, float32.

    Raises:
        ArchitectureError: One of `architectures` is not of `space`.
    """
    return encode_matrix(space, to_matrix(space, architectures))


def encode_matrix(space: SearchSpace, matrix: GeneMatrix) -> Array:
    """The same code of the rows of an `(n, genes)` matrix, `(n, width(space))`."""
    kept = [index for index, gene in enumerate(space.genes()) if gene.kind != "depth"]
    columns, active = matrix[:, kept], active_mask(space, matrix)[:, kept]
    genes = [space.genes()[index] for index in kept]
    parts = [(columns[:, [i]] == np.arange(len(gene.values))) & active[:, [i]] for i, gene in enumerate(genes)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def width(space: SearchSpace) -> int:
    """The length of an architecture's code."""
    return sum(len(gene.values) for gene in space.genes() if gene.kind != "depth")
