"""A search space: a frozen value that knows all its architectures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from pfpnas_api.spaces.architecture import Architecture, ArchitectureError, BlockGene, parse_id
from pfpnas_api.spaces.genes import GeneRow, active_genes, build_architecture, gene_rows, read_genes
from pfpnas_api.spaces.shapes import BlockShape, block_shapes
from pfpnas_api.spaces.tables import BACKBONES, BackboneTable, Layout, StageRow, layout_of, make_divisible
from pfpnas_api.spaces.validation import (
    check_backbone,
    check_classes,
    check_depths,
    check_expands,
    check_kernels,
    check_resolutions,
    check_width,
)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A once-for-all search space over one backbone.

    Lists are sorted at construction, so equal spaces are equal values.

    Args:
        backbone: The name of a table, `MobileNetV2` or `ProxylessNAS`.
        width_multiplier: The factor on all channels, rounded to multiples of 8.
        kernel_sizes: Depthwise kernels a block may have, pixels a side.
        expand_ratios: Expansion ratios a block may have.
        depths: Numbers of blocks an elastic stage may have.
        resolutions: Input sizes, pixels a side; they choose the layout (small or imagenet) too.
        classes: The outputs of the public classifier.

    Raises:
        SearchSpaceError: A field has a value that is not allowed; the message names those that are.
    """

    backbone: str = "MobileNetV2"
    width_multiplier: float = 0.25
    kernel_sizes: tuple[int, ...] = (3, 5)
    expand_ratios: tuple[int, ...] = (2, 3, 4)
    depths: tuple[int, ...] = (1, 2)
    resolutions: tuple[int, ...] = (16, 24)
    classes: int = 10

    def __post_init__(self) -> None:
        # A frozen dataclass offers no other way to normalise its fields.
        put = object.__setattr__
        put(self, "backbone", check_backbone(self.backbone))
        put(self, "width_multiplier", check_width(self.width_multiplier))
        put(self, "kernel_sizes", check_kernels(self.kernel_sizes))
        put(self, "expand_ratios", check_expands(self.expand_ratios))
        put(self, "depths", check_depths(self.depths))
        put(self, "resolutions", check_resolutions(self.resolutions))
        put(self, "classes", check_classes(self.classes))

    @property
    def layout(self) -> Layout:
        """Which strides the nets have: `small` or `imagenet`."""
        layout = layout_of(self.resolutions[0])
        assert layout is not None  # held by check_resolutions
        return layout

    @property
    def table(self) -> BackboneTable:
        """The backbone's table at width 1.0."""
        return BACKBONES[self.backbone][self.layout]

    @property
    def elastic_rows(self) -> tuple[StageRow, ...]:
        """The table's rows that have genes, in the order of `Architecture.stages`."""
        return tuple(row for row in self.table.stages if row.elastic)

    @property
    def stem_channels(self) -> int:
        """Output channels of the stem."""
        return self.scale(self.table.stem_channels)

    @property
    def feature_channels(self) -> int:
        """Length of the feature vector.

        Unlike MobileNetV2, which keeps 1,280 below width 1.0, it shrinks with the width: on an edge device
        these features, the convolution before them and the head after them would be most of a narrow net.
        """
        return self.scale(self.table.feature_channels)

    def scale(self, channels: int) -> int:
        """`channels` of the table at this space's width."""
        return make_divisible(channels * self.width_multiplier)

    def depths_of(self, row: StageRow) -> tuple[int, ...]:
        """The numbers of blocks that the stage of `row` may have."""
        return self.depths if row.depth is None else (row.depth,)

    @property
    def count(self) -> int:
        """The exact number of distinct architectures."""
        choices = len(self.kernel_sizes) * len(self.expand_ratios)
        stages = (sum(choices**depth for depth in self.depths_of(row)) for row in self.elastic_rows)
        count: int = len(self.resolutions) * prod(stages)
        return count

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, smallest resolution first; for small spaces only (see `count`)."""
        genes = [BlockGene(k, e) for k, e in product(self.kernel_sizes, self.expand_ratios)]
        stages = [
            [stage for depth in self.depths_of(row) for stage in product(genes, repeat=depth)]
            for row in self.elastic_rows
        ]
        return (Architecture(r, chosen) for r in self.resolutions for chosen in product(*stages))

    def minimum(self) -> Architecture:
        """The smallest architecture: the least of everything."""
        return self.from_genes([0] * len(self.genes()))

    def maximum(self) -> Architecture:
        """The largest architecture: the most of everything."""
        return self.from_genes([len(gene.values) - 1 for gene in self.genes()])

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture with every gene drawn uniformly, so all depths are equally likely."""
        return self.from_genes(self._draw(rng).tolist())

    def mutate(self, architecture: Architecture, rng: np.random.Generator, *, probability: float = 0.1) -> Architecture:
        """`architecture` with each gene drawn anew with `probability`, which may give the same again.

        Blocks that become active because a stage grows get genes drawn uniformly.
        """
        self.require(architecture)
        active = np.array(self.active(architecture))
        redrawn = (rng.random(len(active)) < probability) | ~active
        return self.from_genes(np.where(redrawn, self._draw(rng), self.to_genes(architecture)).tolist())

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """A child with each gene from either parent; genes active in one parent only come from that one."""
        self.require(first)
        self.require(second)
        in_first, in_second = np.array(self.active(first)), np.array(self.active(second))
        from_first = np.where(in_first == in_second, rng.random(len(in_first)) < 0.5, in_first)
        return self.from_genes(np.where(from_first, self.to_genes(first), self.to_genes(second)).tolist())

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        """One index for every gene, drawn uniformly."""
        return rng.integers(0, [len(gene.values) for gene in self.genes()])

    def genes(self) -> tuple[GeneRow, ...]:
        """All genes in order: resolution, depth of each stage, then kernel and expand of each block slot."""
        return _genes(self)

    def from_genes(self, indices: Sequence[int]) -> Architecture:
        """The architecture with `genes()[i].values[indices[i]]` for every i; inactive genes are ignored.

        Raises:
            ArchitectureError: Too few or too many indices, or one that is out of range.
        """
        return build_architecture(self.genes(), indices)

    def to_genes(self, architecture: Architecture) -> list[int]:
        """The index of every gene, with 0 for the inactive ones.

        Raises:
            ArchitectureError: `architecture` is not of this space.
        """
        self.require(architecture)
        return read_genes(self.genes(), architecture)

    def active(self, architecture: Architecture) -> list[bool]:
        """For every gene, whether it means something in `architecture`: the mask beside `to_genes`."""
        return active_genes(self.genes(), architecture)

    def contains(self, architecture: Architecture) -> bool:
        """Whether `architecture` is one of this space's."""
        return self._problem(architecture) is None

    def require(self, architecture: Architecture) -> None:
        """Raise ArchitectureError, with what is wrong, unless this space contains `architecture`."""
        problem = self._problem(architecture)
        if problem is not None:
            raise ArchitectureError(f"architecture {architecture.id!r}: {problem}")

    def parse(self, architecture_id: str) -> Architecture:
        """The architecture of this space with that canonical id.

        Raises:
            ArchitectureError: The id is malformed, or names what this space does not have.
        """
        architecture = parse_id(architecture_id)
        self.require(architecture)
        return architecture

    def blocks(self, architecture: Architecture) -> tuple[BlockShape, ...]:
        """All active blocks from the fixed first one to the last, with channels, strides and input heights.

        Raises:
            ArchitectureError: `architecture` is not of this space.
        """
        self.require(architecture)
        return block_shapes(self.table, architecture, scale=self.scale)

    def _problem(self, architecture: Architecture) -> str | None:
        """What keeps `architecture` out of this space, in words; None if nothing does."""
        if architecture.resolution not in self.resolutions:
            return f"resolution {architecture.resolution} is not one of {list(self.resolutions)}"
        rows = self.elastic_rows
        if len(architecture.stages) != len(rows):
            return f"it has {len(architecture.stages)} stages, the space has {len(rows)}"
        found = map(self._stage_problem, rows, architecture.stages)
        return next((problem for problem in found if problem is not None), None)

    def _stage_problem(self, row: StageRow, stage: Sequence[BlockGene]) -> str | None:
        if len(stage) not in self.depths_of(row):
            return f"{row.name} has {len(stage)} blocks, not one of {list(self.depths_of(row))}"
        for number, gene in enumerate(stage, start=1):
            block = f"{row.name}.block{number}"
            if gene.kernel not in self.kernel_sizes:
                return f"kernel {gene.kernel} of {block} is not one of {list(self.kernel_sizes)}"
            if gene.expand not in self.expand_ratios:
                return f"expand {gene.expand} of {block} is not one of {list(self.expand_ratios)}"
        return None


@lru_cache(maxsize=32)
def _genes(space: SearchSpace) -> tuple[GeneRow, ...]:
    """Cached: samplers ask for the genes at every draw."""
    depths = [(row.name, space.depths_of(row)) for row in space.elastic_rows]
    return gene_rows(depths, resolutions=space.resolutions, kernels=space.kernel_sizes, expands=space.expand_ratios)
