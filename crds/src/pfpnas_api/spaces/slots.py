"""What `matrix` computes with: the choices of every block slot as one small number, and sizes by look-up table."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces.architecture import Architecture, BlockGene
from pfpnas_api.spaces.cost import LayerSize, part_layers
from pfpnas_api.spaces.space import SearchSpace

SlotCodes = NDArray[np.uint8]
"""`(slots, n)`: 0 where a slot is inactive, else 1 + kernel index × number of expands + expand index."""


@dataclass(frozen=True)
class StageSlots:
    """The block slots of one elastic stage: `slots[first:last]` of all, and the depths it may have."""

    first: int
    last: int
    depths: NDArray[np.uint8]


@lru_cache(maxsize=32)
def stage_slots(space: SearchSpace) -> tuple[StageSlots, ...]:
    """The stages of a space in order; their genes are the depths' `1 + stage`, then two for every slot."""
    depths = [space.depths_of(row) for row in space.elastic_rows]
    ends = list(accumulate(max(values) for values in depths))
    starts = [0, *ends[:-1]]
    rows = zip(starts, ends, depths, strict=True)
    return tuple(StageSlots(start, end, np.array(values, np.uint8)) for start, end, values in rows)


def slot_codes(space: SearchSpace, matrix: NDArray[np.int8]) -> SlotCodes:
    """The codes of all slots of an `(n, genes)` matrix with valid indices, `(slots, n)`; inactive genes are ignored."""
    columns = np.ascontiguousarray(matrix.T).view(np.uint8)  # (genes, n)
    stages = stage_slots(space)
    first = 1 + len(stages)
    codes: SlotCodes = columns[first::2] * np.uint8(len(space.expand_ratios))
    codes += columns[first + 1 :: 2]
    codes += np.uint8(1)
    for index, stage in enumerate(stages):
        depth = stage.depths[columns[1 + index]]  # (n,)
        for slot in range(stage.first + int(stage.depths[0]), stage.last):
            codes[slot] *= depth > slot - stage.first
    return codes


@dataclass(frozen=True)
class SizeTable:
    """One size of a net as a sum: what the resolution decides, and what each slot adds.

    Attributes:
        base: `(resolutions,)`, all that has no genes.
        slots: `(slots, resolutions × codes)`, by slot code.
    """

    base: NDArray[np.float64]
    slots: NDArray[np.float64]

    def total(self, resolutions: NDArray[np.int8], codes: SlotCodes) -> NDArray[np.float64]:
        """The sizes of n nets by their resolution's index `(n,)` and slot codes `(slots, n)`; exact below 2^53."""
        rows = resolutions.astype(np.intp)
        total: NDArray[np.float64] = self.base[rows]
        offsets = rows * (self.slots.shape[1] // len(self.base))
        for table, code in zip(self.slots, codes, strict=True):
            total += table.take(offsets + code)
        return total


@dataclass(frozen=True)
class SizeTables:
    """MACs, classifier included; weights and output channels of all convolutions."""

    macs: SizeTable
    weights: SizeTable
    channels: SizeTable


@lru_cache(maxsize=32)
def size_tables(space: SearchSpace) -> SizeTables:
    """The tables of a space, read off the layers of nets whose blocks are all alike."""
    slots, codes = stage_slots(space)[-1].last, 1 + len(space.kernel_sizes) * len(space.expand_ratios)
    base = np.zeros((3, len(space.resolutions)))
    table = np.zeros((3, slots, len(space.resolutions), codes))
    for row, resolution in enumerate(space.resolutions):
        for code, gene in enumerate(block_genes(space), start=1):
            fixed, blocks = _sizes(space, _uniform(space, resolution, gene))
            base[:, row], table[:, :, row, code] = fixed, blocks.T
    return SizeTables(*(SizeTable(base[i], table[i].reshape(slots, -1)) for i in range(3)))


def block_genes(space: SearchSpace) -> tuple[BlockGene, ...]:
    """What an active slot may be; the i-th has slot code i + 1."""
    return tuple(BlockGene(k, e) for k in space.kernel_sizes for e in space.expand_ratios)


def _uniform(space: SearchSpace, resolution: int, gene: BlockGene) -> Architecture:
    """The deepest net with the same choice in every block. Channels don't depend on depth, so it shows every slot."""
    return Architecture(resolution, tuple((gene,) * (stage.last - stage.first) for stage in stage_slots(space)))


def _sizes(space: SearchSpace, architecture: Architecture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """MACs, weights and channels of all that has no genes `(3,)`, and of each slot `(slots, 3)`."""
    elastic = {row.name for row in space.elastic_rows}
    fixed, slots = np.zeros(3), []
    for name, layers in part_layers(space, architecture):
        if name.split(".")[0] in elastic:
            slots.append(_size(layers))
        else:  # the classifier has a bias instead of a BatchNorm, so only its MACs are counted here
            fixed += _size(layers) * (1, name != "classifier", name != "classifier")
    return fixed, np.array(slots)


def _size(layers: list[LayerSize]) -> NDArray[np.float64]:
    sums = [sum(values) for values in zip(*((x.macs, x.weights, x.channels) for x in layers), strict=True)]
    return np.array(sums, np.float64)
