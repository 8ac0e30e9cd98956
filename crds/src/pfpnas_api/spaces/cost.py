"""What a net costs, from its architecture alone: exactly what the built net has (tests compare them)."""

from dataclasses import dataclass

from pfpnas_api.spaces.architecture import Architecture
from pfpnas_api.spaces.shapes import BlockShape, strided
from pfpnas_api.spaces.space import SearchSpace

ONNX_CONSTANTS = 3 + 2
"""Float32 values in a candidate's ONNX that no layer owns: the mean of 3 channels, the bounds 0 and 6 of
ReLU6. The standard deviation is folded into the stem."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The static cost of a net, its public classifier included.

    Attributes:
        macs: Multiply-accumulates of all convolutions and the classifier, for one image.
        flops: 2 × MACs.
        parameters: Learned values of the static net: convolutions, BatchNorm scales and shifts, classifier.
        model_bytes: Bytes of all initializers in the exported ONNX, in which BatchNorm is folded into float32
            weights and one bias for each output channel.
    """

    macs: int
    flops: int
    parameters: int
    model_bytes: int


@dataclass(frozen=True, slots=True)
class CostRow:
    """MACs for one image and parameters of one part: `stem`, a block, `feature` or `classifier`."""

    name: str
    macs: int
    parameters: int


@dataclass(frozen=True, slots=True)
class LayerSize:
    """One convolution with its BatchNorm, or the classifier with its bias; `pixels` of output."""

    weights: int
    channels: int
    pixels: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weights * self.pixels


def cost(space: SearchSpace, architecture: Architecture) -> Cost:
    """The cost of `architecture`.

    Raises:
        ArchitectureError: `architecture` is not of `space`.
    """
    layers = part_layers(space, architecture)
    convolutions = [layer for name, part in layers if name != "classifier" for layer in part]
    classifier = layers[-1][1][0]
    macs = sum(layer.macs for layer in convolutions) + classifier.macs
    head = classifier.weights + classifier.channels
    weights = sum(layer.weights for layer in convolutions)
    channels = sum(layer.channels for layer in convolutions)
    return Cost(
        macs=macs,
        flops=2 * macs,
        parameters=weights + 2 * channels + head,
        model_bytes=4 * (weights + channels + head + ONNX_CONSTANTS),
    )


def cost_breakdown(space: SearchSpace, architecture: Architecture) -> tuple[CostRow, ...]:
    """MACs and parameters of every part, in order; they add up to `cost`.

    Raises:
        ArchitectureError: `architecture` is not of `space`.
    """
    return tuple(_row(name, part) for name, part in part_layers(space, architecture))


def _row(name: str, part: list[LayerSize]) -> CostRow:
    values_per_channel = 1 if name == "classifier" else 2  # a bias, or BatchNorm's scale and shift
    parameters = sum(layer.weights + values_per_channel * layer.channels for layer in part)
    return CostRow(name, sum(layer.macs for layer in part), parameters)


def part_layers(space: SearchSpace, architecture: Architecture) -> list[tuple[str, list[LayerSize]]]:
    """The layers of every part, in order; the names are those of `CostRow`.

    Raises:
        ArchitectureError: `architecture` is not of `space`.
    """
    blocks = space.blocks(architecture)
    stem, feature = space.stem_channels, space.feature_channels
    last = blocks[-1]
    stem_pixels = strided(architecture.resolution, space.table.stem_stride) ** 2
    return [
        ("stem", [LayerSize(3 * 9 * stem, stem, stem_pixels)]),
        *((block.name, _block_layers(block)) for block in blocks),
        ("feature", [LayerSize(last.out_channels * feature, feature, last.out_height**2)]),
        ("classifier", [LayerSize(feature * space.classes, space.classes, 1)]),
    ]


def _block_layers(block: BlockShape) -> list[LayerSize]:
    mid, out_pixels = block.mid_channels, block.out_height**2
    layers = [
        LayerSize(mid * block.kernel**2, mid, out_pixels),
        LayerSize(mid * block.out_channels, block.out_channels, out_pixels),
    ]
    if block.has_expansion:
        layers.insert(0, LayerSize(block.in_channels * mid, mid, block.height**2))
    return layers
