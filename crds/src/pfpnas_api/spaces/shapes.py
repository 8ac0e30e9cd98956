"""The concrete blocks of an architecture: what nets, costs and drawings are made from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pfpnas_api.spaces.architecture import Architecture, BlockGene
from pfpnas_api.spaces.tables import BackboneTable, StageRow


@dataclass(frozen=True, slots=True)
class BlockShape:
    """One active inverted-residual block.

    Attributes:
        name: Stage and block, such as `stage2.block1`.
        stage: Index into `Architecture.stages`; -1 for the fixed first block.
        index: Position within the stage, from 0.
        in_channels: Channels before the expansion.
        mid_channels: Channels of the depthwise convolution, in_channels × expand.
        out_channels: Channels after the projection.
        kernel: Depthwise kernel, pixels a side.
        expand: Expansion ratio.
        stride: Stride of the depthwise convolution.
        height: Input height and width, pixels.
        has_expansion: Whether a 1×1 expansion comes first; only the fixed block has none, expand 1 or not.
    """

    name: str
    stage: int
    index: int
    in_channels: int
    mid_channels: int
    out_channels: int
    kernel: int
    expand: int
    stride: int
    height: int
    has_expansion: bool

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.in_channels == self.out_channels

    @property
    def out_height(self) -> int:
        """Output height and width, pixels."""
        return strided(self.height, self.stride)


def strided(height: int, stride: int) -> int:
    """Output pixels a side of a convolution with odd kernel k, padding k // 2, over `height` pixels."""
    return -(-height // stride)


def block_shapes(
    table: BackboneTable, architecture: Architecture, *, scale: Callable[[int], int]
) -> tuple[BlockShape, ...]:
    """All active blocks of `architecture` in order; `scale` maps the table's channels to the space's."""
    channels = scale(table.stem_channels)
    height = strided(architecture.resolution, table.stem_stride)
    shapes: list[BlockShape] = []
    for stage, row, genes in _stages(table, architecture):
        for index, gene in enumerate(genes):
            stride = row.stride if index == 0 else 1
            shape = BlockShape(
                name=f"{row.name}.block{index + 1}",
                stage=stage,
                index=index,
                in_channels=channels,
                mid_channels=channels * gene.expand,
                out_channels=scale(row.channels),
                kernel=gene.kernel,
                expand=gene.expand,
                stride=stride,
                height=height,
                has_expansion=row.elastic,
            )
            shapes.append(shape)
            channels, height = shape.out_channels, shape.out_height
    return tuple(shapes)


def _stages(table: BackboneTable, architecture: Architecture) -> Iterator[tuple[int, StageRow, Sequence[BlockGene]]]:
    """Each row with its index into `Architecture.stages` (-1: fixed) and its active blocks."""
    stage = -1
    for row in table.stages:
        if row.expand is not None and row.kernel is not None:
            yield -1, row, (BlockGene(row.kernel, row.expand),) * (row.depth or 1)
        else:
            stage += 1
            yield stage, row, architecture.stages[stage]
