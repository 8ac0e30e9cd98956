"""Architectures as vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import Architecture, SearchSpace

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
    genes = [gene for gene in space.genes() if gene.kind != "depth"]
    kept = [index for index, gene in enumerate(space.genes()) if gene.kind != "depth"]
    starts = np.cumsum([0] + [len(gene.values) for gene in genes])[:-1]
    code = np.zeros((len(architectures), width(space)), np.float32)
    for row, architecture in enumerate(architectures):
        chosen = np.array(space.to_genes(architecture))[kept]
        active = np.array(space.active(architecture))[kept]
        code[row, (starts + chosen)[active]] = 1
    return code


def width(space: SearchSpace) -> int:
    """The length of an architecture's code."""
    return sum(len(gene.values) for gene in space.genes() if gene.kind != "depth")
