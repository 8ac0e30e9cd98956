"""Architectures as vectors, many at once.

Codes are feature-major, `(features, n)`: each feature is then computed for all architectures in one pass over
contiguous memory, and matrix products take such operands as well as the transposed ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, check_matrix, sample_matrix, to_matrix
from pfpnas_api.spaces.slots import SlotCodes, block_genes, size_tables, slot_codes, stage_slots

Array = NDArray[np.float32]

EncodingName = Literal[
    "log MACs", "compact", "compact + log MACs", "compact + 0.35 one-hot", "one-hot", "one-hot + log MACs"
]
"""How an architecture is told to a regressor; see `features`."""

ENCODINGS: Final[tuple[EncodingName, ...]] = get_args(EncodingName)

ONE_HOT_SHARE: Final = np.float32(0.35)
"""Weight of the one-hot part beside the compact one: the few features explain what they can, the many the rest."""

SCALE_SAMPLES: Final = 2048
"""Uniform architectures that the features' scales are taken from, so that these don't hang on which are measured."""


@dataclass(frozen=True)
class Coded:
    """Architectures in the form that all features are computed from.

    Attributes:
        resolutions: Index of each one's resolution, `(n,)`.
        slots: What each block slot is, `(slots, n)`.
    """

    resolutions: NDArray[np.int8]
    slots: SlotCodes


def coded(space: SearchSpace, matrix: GeneMatrix) -> Coded:
    """The rows of an `(n, genes)` matrix.

    Raises:
        ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
    """
    check_matrix(space, matrix)
    return Coded(np.ascontiguousarray(matrix[:, 0]), slot_codes(space, matrix))


def encode(space: SearchSpace, architectures: Sequence[Architecture]) -> Array:
    """The masked one-hot code of once-for-all's accuracy predictor (Cai et al., ICLR 2020, appendix B).

    A one-hot resolution, then for each block slot a one-hot kernel and a one-hot expand, all zeros where the slot is
    inactive. A stage's depth has no place of its own: it shows in the zeros.

    Returns:
        `(len(architectures), width(space))`, float32.

    Raises:
        ArchitectureError: One of `architectures` is not of `space`.
    """
    return np.ascontiguousarray(one_hot(space, coded(space, to_matrix(space, architectures))).T)


def width(space: SearchSpace) -> int:
    """The length of an architecture's one-hot code."""
    return sum(len(gene.values) for gene in space.genes() if gene.kind != "depth")


def one_hot(space: SearchSpace, rows: Coded) -> Array:
    """The code of `encode` feature-major, `(width(space), n)`."""
    resolutions, kernels, expands = len(space.resolutions), len(space.kernel_sizes), len(space.expand_ratios)
    slots, count = rows.slots.shape
    code = np.empty((width(space), count), np.float32)
    np.equal(rows.resolutions, np.arange(resolutions, dtype=np.int8)[:, None], out=code[:resolutions])
    kernel, expand = _gene_codes(space)
    blocks = code[resolutions:].reshape(slots, kernels + expands, count)
    np.equal(kernel[rows.slots][:, None], _numbers(kernels), out=blocks[:, :kernels])
    np.equal(expand[rows.slots][:, None], _numbers(expands), out=blocks[:, kernels:])
    return code


def features(space: SearchSpace, encoding: EncodingName, rows: Coded) -> Array:
    """The features of an encoding, `(features, n)`.

    "one-hot" is the code of `encode`; "compact" the resolution, and of every stage the depth, the sum of its kernels
    and the sum of its expands; "log MACs" the logarithm of the multiply-accumulates. All but the one-hot ones have mean
    0 and deviation 1 over the space, or are 0 where the space leaves no choice.
    """
    parts = [_PARTS[part](space, rows) for part in encoding.split(" + ")]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def log_macs(space: SearchSpace, rows: Coded) -> Array:
    """The feature "log MACs", `(1, n)`."""
    return _scaled(space, rows, _raw_log_macs)


def _compact(space: SearchSpace, rows: Coded) -> Array:
    return _scaled(space, rows, _raw_compact)


def _faint_one_hot(space: SearchSpace, rows: Coded) -> Array:
    code = one_hot(space, rows)
    code *= ONE_HOT_SHARE
    return code


_Part = Callable[[SearchSpace, Coded], Array]

_PARTS: Final[dict[str, _Part]] = {
    "log MACs": log_macs,
    "compact": _compact,
    "one-hot": one_hot,
    "0.35 one-hot": _faint_one_hot,
}


def _raw_log_macs(space: SearchSpace, rows: Coded) -> Array:
    macs = size_tables(space).macs.total(rows.resolutions, rows.slots)
    return np.log(macs)[None].astype(np.float32)


def _raw_compact(space: SearchSpace, rows: Coded) -> Array:
    stages = stage_slots(space)
    kernels, expands = _gene_values(space)
    found = np.empty((1 + 3 * len(stages), len(rows.resolutions)), np.float32)
    found[0] = np.array(space.resolutions, np.float32)[rows.resolutions]
    for index, stage in enumerate(stages):
        slots = rows.slots[stage.first : stage.last]
        # At most 8 blocks of at most 8 each: bytes hold the sums.
        found[1 + 3 * index] = (slots > 0).sum(axis=0, dtype=np.uint8)
        found[2 + 3 * index] = kernels[slots].sum(axis=0, dtype=np.uint8)
        found[3 + 3 * index] = expands[slots].sum(axis=0, dtype=np.uint8)
    return found


def _scaled(space: SearchSpace, rows: Coded, part: _Part) -> Array:
    mean, factor = _scale(space, part)
    found = part(space, rows)
    found -= mean
    found *= factor
    return found


@lru_cache(maxsize=64)
def _scale(space: SearchSpace, part: _Part) -> tuple[Array, Array]:
    """Mean and 1 / deviation of each feature over the space, `(features, 1)`; a factor of 0 where it has one value."""
    sample = coded(space, sample_matrix(space, SCALE_SAMPLES, rng=np.random.default_rng(0)))
    found = part(space, sample).astype(np.float64)
    mean, deviation = found.mean(axis=1, keepdims=True), found.std(axis=1, keepdims=True)
    factor = np.divide(1, deviation, out=np.zeros_like(deviation), where=np.ptp(found, axis=1, keepdims=True) > 0)
    return mean.astype(np.float32), factor.astype(np.float32)


@lru_cache(maxsize=32)
def _gene_codes(space: SearchSpace) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """By slot code 1 + the index of its kernel and of its expand; 0 where the slot is inactive."""
    codes = np.arange(len(block_genes(space)))
    kernel, expand = np.divmod(codes, len(space.expand_ratios))
    return np.r_[0, kernel + 1].astype(np.uint8), np.r_[0, expand + 1].astype(np.uint8)


@lru_cache(maxsize=32)
def _gene_values(space: SearchSpace) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """By slot code its kernel and its expand; 0 where the slot is inactive."""
    genes = block_genes(space)
    kernels, expands = [0, *(gene.kernel for gene in genes)], [0, *(gene.expand for gene in genes)]
    return np.array(kernels, np.uint8), np.array(expands, np.uint8)


def _numbers(count: int) -> NDArray[np.uint8]:
    """1 to `count`, `(1, count, 1)`."""
    return np.arange(1, count + 1, dtype=np.uint8)[None, :, None]
