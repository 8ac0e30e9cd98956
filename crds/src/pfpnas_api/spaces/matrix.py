"""Many architectures at once, as a matrix of gene indices: for tuners and predictors.

A row is one architecture, a column one gene of `space.genes()`, a value the gene's index as in `space.to_genes`. A row
is canonical when its inactive genes are 0; equal nets are then equal rows.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces.architecture import Architecture, ArchitectureError, BlockGene
from pfpnas_api.spaces.cost import ONNX_CONSTANTS
from pfpnas_api.spaces.slots import block_genes, size_tables, slot_codes, stage_slots
from pfpnas_api.spaces.space import SearchSpace

GeneMatrix: TypeAlias = NDArray[np.int8]
"""`(n, len(space.genes()))`; no gene has more than 127 values."""


def to_matrix(space: SearchSpace, architectures: Sequence[Architecture]) -> GeneMatrix:
    """The canonical rows of `architectures`, `(n, genes)`.

    Raises:
        ArchitectureError: One of them is not of `space`.
    """
    matrix = np.zeros((len(architectures), len(space.genes())), np.int8)
    reader = _Reader(space)
    for row, architecture in enumerate(architectures):
        matrix[row] = reader.row(architecture)
    return matrix


def to_architectures(space: SearchSpace, matrix: GeneMatrix) -> list[Architecture]:
    """The architectures of the rows of an `(n, genes)` matrix; inactive genes are ignored.

    Raises:
        ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
    """
    check_matrix(space, matrix)
    codes = np.ascontiguousarray(slot_codes(space, matrix).T)  # (n, slots)
    stages = stage_slots(space)
    blocks, memory = block_genes(space), [dict[bytes, tuple[BlockGene, ...]]() for _ in stages]
    found = []
    for resolution, row in zip(matrix[:, 0].tolist(), codes, strict=True):
        text = row.tobytes()
        chosen = []
        for stage, known in zip(stages, memory, strict=True):
            key = text[stage.first : stage.last]
            if key not in known:  # few stages are all different
                known[key] = tuple(blocks[code - 1] for code in key if code)
            chosen.append(known[key])
        found.append(Architecture(space.resolutions[resolution], tuple(chosen)))
    return found


def sample_matrix(space: SearchSpace, count: int, *, rng: np.random.Generator) -> GeneMatrix:
    """`count` canonical rows with every gene drawn uniformly, as `space.sample` draws one; rows may repeat."""
    highs = [len(gene.values) for gene in space.genes()]
    return canonical(space, rng.integers(0, highs, size=(count, len(highs)), dtype=np.int8))


def active_mask(space: SearchSpace, matrix: GeneMatrix) -> NDArray[np.bool_]:
    """For every gene of every row whether it means something, `(n, genes)`: `space.active` of each.

    Raises:
        ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
    """
    check_matrix(space, matrix)
    stages = stage_slots(space)
    mask = np.ones(matrix.shape, np.bool_)
    for index, stage in enumerate(stages):
        depth = stage.depths[matrix[:, 1 + index]]  # (n,)
        acting = depth[:, None] > np.repeat(np.arange(stage.last - stage.first), 2)  # (n, 2 × slots of the stage)
        mask[:, 1 + len(stages) + 2 * stage.first : 1 + len(stages) + 2 * stage.last] = acting
    return mask


def canonical(space: SearchSpace, matrix: GeneMatrix) -> GeneMatrix:
    """The matrix with all inactive genes 0, `(n, genes)`.

    Raises:
        ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
    """
    rows: GeneMatrix = matrix.astype(np.int8, copy=False) * active_mask(space, matrix)
    return rows


def static_costs(space: SearchSpace, matrix: GeneMatrix) -> dict[str, NDArray[np.float64]]:
    """`cost()` of every row: `flops`, `macs`, `parameters` and `model_bytes`, each `(n,)` and exact.

    Raises:
        ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
    """
    check_matrix(space, matrix)
    codes, tables = slot_codes(space, matrix), size_tables(space)
    macs, weights, channels = (
        table.total(matrix[:, 0], codes) for table in (tables.macs, tables.weights, tables.channels)
    )
    head = space.feature_channels * space.classes + space.classes
    return {
        "flops": 2 * macs,
        "macs": macs,
        "parameters": weights + 2 * channels + head,
        "model_bytes": 4 * (weights + channels + head + ONNX_CONSTANTS),
    }


def check_matrix(space: SearchSpace, matrix: GeneMatrix) -> None:
    """Raise ArchitectureError, with what is wrong, unless `matrix` is `(n, genes)` with every index in range."""
    genes = space.genes()
    if matrix.ndim != 2 or matrix.shape[1] != len(genes):
        raise ArchitectureError(f"a matrix of shape {matrix.shape} given, the space has {len(genes)} genes")
    if not len(matrix):
        return
    counts = np.array([len(gene.values) for gene in genes])
    lowest, highest = matrix.min(axis=0), matrix.max(axis=0)
    wrong = np.flatnonzero((lowest < 0) | (highest >= counts))
    if len(wrong):
        gene, index = genes[wrong[0]], lowest[wrong[0]] if lowest[wrong[0]] < 0 else highest[wrong[0]]
        raise ArchitectureError(f"gene {gene.name}: index {index} is not within 0..{len(gene.values) - 1}")


class _Reader:
    """Gene indices of architectures, by dictionaries: `space.to_genes` many times over."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._resolutions = {value: index for index, value in enumerate(space.resolutions)}
        self._depths = [{int(depth): index for index, depth in enumerate(stage.depths)} for stage in stage_slots(space)]
        self._lengths = [2 * (stage.last - stage.first) for stage in stage_slots(space)]
        expands = len(space.expand_ratios)
        self._blocks = {gene: divmod(index, expands) for index, gene in enumerate(block_genes(space))}

    def row(self, architecture: Architecture) -> list[int]:
        """The index of every gene, 0 for inactive ones; ArchitectureError for one of another space."""
        try:
            return self._read(architecture)
        except (KeyError, ValueError):
            self._space.require(architecture)
            raise  # never reached: what can't be read is not of the space

    def _read(self, architecture: Architecture) -> list[int]:
        depths = [known[len(stage)] for known, stage in zip(self._depths, architecture.stages, strict=True)]
        row = [self._resolutions[architecture.resolution], *depths]
        for length, stage in zip(self._lengths, architecture.stages, strict=True):
            genes = [index for gene in stage for index in self._blocks[gene]]
            row += genes + [0] * (length - len(genes))
        return row
