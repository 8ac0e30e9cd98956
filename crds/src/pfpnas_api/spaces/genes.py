"""Genes: an architecture as a flat list of choices, for tuners and predictors.

A space has one gene for the resolution, one for the depth of every stage (also where it has one value only),
and two for every block slot. A slot beyond its stage's depth is inactive: its genes mean nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pfpnas_api.spaces.architecture import Architecture, ArchitectureError, BlockGene


@dataclass(frozen=True, slots=True)
class GeneRow:
    """One choice: its name, such as `stage2.block1.kernel`, and the values it may take, smallest first.

    `stage` and `block` index `Architecture.stages` and that stage; -1 where they mean nothing.
    """

    name: str
    kind: Literal["resolution", "depth", "kernel", "expand"]
    values: tuple[int, ...]
    stage: int = -1
    block: int = -1


def gene_rows(
    stages: Sequence[tuple[str, tuple[int, ...]]],
    *,
    resolutions: tuple[int, ...],
    kernels: tuple[int, ...],
    expands: tuple[int, ...],
) -> tuple[GeneRow, ...]:
    """All genes of a space whose elastic `stages` are pairs of name and allowed depths."""
    rows = [GeneRow("resolution", "resolution", resolutions)]
    rows += [GeneRow(f"{name}.depth", "depth", depths, i) for i, (name, depths) in enumerate(stages)]
    for i, (name, depths) in enumerate(stages):
        for j in range(max(depths)):
            rows.append(GeneRow(f"{name}.block{j + 1}.kernel", "kernel", kernels, i, j))
            rows.append(GeneRow(f"{name}.block{j + 1}.expand", "expand", expands, i, j))
    return tuple(rows)


def build_architecture(genes: Sequence[GeneRow], indices: Sequence[int]) -> Architecture:
    """The architecture that `indices`, one for every gene, choose; inactive genes are ignored.

    Raises:
        ArchitectureError: Too few or too many indices, or one that is out of range.
    """
    values = _chosen(genes, indices)
    depths = [value for gene, value in zip(genes, values, strict=True) if gene.kind == "depth"]
    stages: list[list[BlockGene]] = [[] for _ in depths]
    slots = 1 + len(depths)
    for i in range(slots, len(genes), 2):
        gene = genes[i]
        if gene.block < depths[gene.stage]:
            stages[gene.stage].append(BlockGene(values[i], values[i + 1]))
    return Architecture(values[0], tuple(map(tuple, stages)))


def _chosen(genes: Sequence[GeneRow], indices: Sequence[int]) -> list[int]:
    if len(indices) != len(genes):
        raise ArchitectureError(f"{len(indices)} gene indices given, the space has {len(genes)} genes")
    for gene, index in zip(genes, indices, strict=True):
        if not 0 <= index < len(gene.values):
            raise ArchitectureError(f"gene {gene.name}: index {index} is not within 0..{len(gene.values) - 1}")
    return [gene.values[index] for gene, index in zip(genes, indices, strict=True)]


def read_genes(genes: Sequence[GeneRow], architecture: Architecture) -> list[int]:
    """The index of every gene in `architecture`, 0 for inactive ones: the inverse of `build_architecture`."""
    return [_index(gene, architecture) for gene in genes]


def _index(gene: GeneRow, architecture: Architecture) -> int:
    if gene.kind == "resolution":
        return gene.values.index(architecture.resolution)
    stage = architecture.stages[gene.stage]
    if gene.kind == "depth":
        return gene.values.index(len(stage))
    if gene.block >= len(stage):
        return 0
    block = stage[gene.block]
    return gene.values.index(block.kernel if gene.kind == "kernel" else block.expand)


def active_genes(genes: Sequence[GeneRow], architecture: Architecture) -> list[bool]:
    """For every gene, whether it means something in `architecture`."""
    return [gene.block < 0 or gene.block < len(architecture.stages[gene.stage]) for gene in genes]
