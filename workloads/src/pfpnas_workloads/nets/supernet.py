"""The once-for-all supernet: all nets of a search space in one set of weights."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pfpnas_api.spaces import Architecture, BlockShape, SearchSpace
from pfpnas_workloads.nets.common import DEFAULT_MEAN, DEFAULT_STD, Classifier, Preparation, initialise
from pfpnas_workloads.nets.elastic import ElasticBlock
from pfpnas_workloads.nets.static import ConvNormAct


class Supernet(nn.Module):
    """A once-for-all net (Cai et al., ICLR 2020) whose architecture is an argument of each forward pass.

    Args:
        space: The search space; its maximum gives the sizes of all weights.
        mean: Mean of each channel of the training images in [0, 1].
        std: Standard deviation of each channel.
        generator: Source of the initial weights; torch's global one if None.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        mean: Sequence[float] = DEFAULT_MEAN,
        std: Sequence[float] = DEFAULT_STD,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.largest = space.maximum()
        shapes = space.blocks(self.largest)
        self.preparation = Preparation(mean, std)
        self.stem = ConvNormAct(3, space.stem_channels, kernel=3, stride=space.table.stem_stride)
        self.stages = _stages(space, shapes)
        self.feature = ConvNormAct(shapes[-1].out_channels, space.feature_channels, kernel=1, stride=1)
        self.classifier = Classifier(space.feature_channels, space.classes)
        initialise(self, generator)

    def block(self, shape: BlockShape) -> ElasticBlock:
        """The elastic block that `shape` is a slice of."""
        stage = self.stages[shape.stage + 1]  # the fixed block, with stage -1, comes first
        assert isinstance(stage, nn.ModuleList)
        block = stage[shape.index]
        assert isinstance(block, ElasticBlock)
        return block

    def features(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Pooled features, `(n, features)`, of RGB images in [0, 1], `(n, 3, h, w)`, resized if need be.

        Raises:
            ArchitectureError: `architecture` is not of this net's space.
        """
        x = self.stem(self.preparation(images, resolution=architecture.resolution))
        for shape in self.space.blocks(architecture):
            x = self.block(shape)(x, mid_channels=shape.mid_channels, kernel=shape.kernel)
        pooled: Tensor = self.feature(x).mean(dim=(2, 3))
        return pooled

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Logits, `(n, classes)`, of RGB images in [0, 1], `(n, 3, h, w)`, resized if need be.

        Raises:
            ArchitectureError: `architecture` is not of this net's space.
        """
        logits: Tensor = self.classifier(self.features(images, architecture))
        return logits

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Two groups for an optimiser: weights of convolutions and classifier with decay, all else without.

        Decay would pull the kernel matrices from the identity towards zero, and with them all smaller kernels;
        of BatchNorm and biases it is known to hurt (He et al., "Bag of Tricks", CVPR 2019, section 3.1).
        """
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            is_weight = parameter.ndim > 1 and ".transforms." not in name
            (decayed if is_weight else kept).append(parameter)
        return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


def _stages(space: SearchSpace, shapes: Sequence[BlockShape]) -> nn.ModuleList:
    """The blocks of all stages, the fixed one's first."""
    numbers = sorted({shape.stage for shape in shapes})
    groups = [[shape for shape in shapes if shape.stage == number] for number in numbers]
    return nn.ModuleList(nn.ModuleList(_block(space, shape) for shape in group) for group in groups)


def _block(space: SearchSpace, shape: BlockShape) -> ElasticBlock:
    return ElasticBlock(
        (shape.in_channels, shape.out_channels),
        max_mid_channels=shape.mid_channels,
        kernel_sizes=space.kernel_sizes if shape.stage >= 0 else (shape.kernel,),
        stride=shape.stride,
        has_expansion=shape.has_expansion,
    )
