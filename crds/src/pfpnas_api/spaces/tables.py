"""Backbones as tables of rows.

The structure is the one of once-for-all nets (Cai et al., "Once-for-All", ICLR 2020, section 4.1) over the
widths of MobileNetV2 (Sandler et al., CVPR 2018, table 2) and ProxylessNAS (Cai et al., ICLR 2019): a stem of
3×3, one fixed block, five stages of elastic depth, one last elastic block, a 1×1 feature convolution, global
average pooling, and a linear classifier.
"""

from dataclasses import dataclass, replace
from typing import Literal

Layout = Literal["small", "imagenet"]

SMALL_RESOLUTIONS = range(16, 64 + 1, 4)
"""Pixels a side for which the `small` layout is meant: 32 px end at 4×4, 16 px at 2×2."""

IMAGENET_RESOLUTIONS = range(96, 512 + 1, 4)
"""Pixels a side for which the `imagenet` layout is meant: 224 px end at 7×7."""


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of inverted-residual blocks; `None` means that the search space chooses.

    Only the first block of a stage has the stage's stride and may change the number of channels.
    """

    name: str
    channels: int
    stride: int
    expand: int | None = None
    kernel: int | None = None
    depth: int | None = None

    @property
    def elastic(self) -> bool:
        """Whether an architecture has genes for the blocks of this stage."""
        return self.expand is None


@dataclass(frozen=True, slots=True)
class BackboneTable:
    """A backbone at width 1.0: channels of stem and feature convolution, and the rows between them."""

    name: str
    stem_channels: int
    stem_stride: int
    stages: tuple[StageRow, ...]
    feature_channels: int


def _imagenet(name: str, widths: tuple[int, ...]) -> BackboneTable:
    """The table of 7 stage widths with the strides of both papers (32 in all)."""
    first, *elastic, last = widths
    strides = (2, 2, 2, 1, 2)
    stages = (
        StageRow("stage0", first, 1, expand=1, kernel=3, depth=1),
        *(StageRow(f"stage{i}", c, s) for i, (c, s) in enumerate(zip(elastic, strides, strict=True), start=1)),
        StageRow("stage6", last, 1, depth=1),
    )
    return BackboneTable(name, stem_channels=32, stem_stride=2, stages=stages, feature_channels=1280)


def _small(table: BackboneTable) -> BackboneTable:
    """The same table with stride 1 in stem and first elastic stage (8 in all), as is usual for CIFAR."""
    stages = tuple(replace(row, stride=1) if row.name == "stage1" else row for row in table.stages)
    return replace(table, stem_stride=1, stages=stages)


_IMAGENET = (
    _imagenet("MobileNetV2", (16, 24, 32, 64, 96, 160, 320)),
    _imagenet("ProxylessNAS", (16, 24, 40, 80, 96, 192, 320)),
)

BACKBONES: dict[str, dict[Layout, BackboneTable]] = {
    table.name: {"small": _small(table), "imagenet": table} for table in _IMAGENET
}
"""Every backbone that is built, by name and layout."""


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round `channels` to a multiple of `divisor`, at least `divisor`, and never down by more than 10 %.

    The rule of the MobileNets' reference code (Sandler et al., 2018).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def layout_of(resolution: int) -> Layout | None:
    """The layout for images of `resolution` pixels a side; None where no layout admits it."""
    if resolution in SMALL_RESOLUTIONS:
        return "small"
    return "imagenet" if resolution in IMAGENET_RESOLUTIONS else None
