"""One architecture as an ordinary net, with weights of its own."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfpnas_api.spaces import Architecture, BlockShape, SearchSpace
from pfpnas_workloads.nets.common import DEFAULT_MEAN, DEFAULT_STD, Classifier, Conv, Norm, Preparation, initialise


class ConvNormAct(nn.Module):
    """Convolution without bias, BatchNorm, ReLU6: stem and feature layer, of static nets and supernets."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = Conv(in_channels, out_channels, kernel=kernel, stride=stride)
        self.norm = Norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, in, h, w)` to `(n, out, h / stride, w / stride)`."""
        return F.relu6(self.norm(self.conv(x)), inplace=True)


class StaticBlock(nn.Module):
    """One inverted-residual block (Sandler et al., CVPR 2018) of fixed sizes."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        mid = shape.mid_channels
        self.shape = shape
        if shape.has_expansion:
            self.expand_conv = Conv(shape.in_channels, mid, kernel=1)
            self.expand_norm = Norm(mid)
        self.depthwise_conv = nn.Conv2d(mid, mid, shape.kernel, shape.stride, shape.kernel // 2, groups=mid, bias=False)
        self.depthwise_norm = Norm(mid)
        self.project_conv = Conv(mid, shape.out_channels, kernel=1)
        self.project_norm = Norm(shape.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, in, h, w)` to `(n, out, h / stride, w / stride)`."""
        mid = F.relu6(self.expand_norm(self.expand_conv(x)), inplace=True) if self.shape.has_expansion else x
        mid = F.relu6(self.depthwise_norm(self.depthwise_conv(mid)), inplace=True)
        out: Tensor = self.project_norm(self.project_conv(mid))
        return x + out if self.shape.residual else out


class StaticNet(nn.Module):
    """One architecture of a space, by itself with newly drawn weights; `extract` makes it from a supernet.

    Args:
        space: The search space.
        architecture: The net's architecture, also kept as an attribute.
        mean: Mean of each channel of the training images in [0, 1].
        std: Standard deviation of each channel.
        generator: Source of the initial weights; torch's global one if None.
        draw: Whether to draw initial weights; else they are undefined until the caller has set them all.

    Raises:
        ArchitectureError: `architecture` is not of `space`.
    """

    def __init__(
        self,
        space: SearchSpace,
        architecture: Architecture,
        *,
        mean: Sequence[float] = DEFAULT_MEAN,
        std: Sequence[float] = DEFAULT_STD,
        generator: torch.Generator | None = None,
        draw: bool = True,
    ) -> None:
        super().__init__()
        self.space = space
        self.architecture = architecture
        shapes = space.blocks(architecture)
        self.preparation = Preparation(mean, std)
        self.stem = ConvNormAct(3, space.stem_channels, kernel=3, stride=space.table.stem_stride)
        self.blocks = nn.ModuleList(map(StaticBlock, shapes))
        self.feature = ConvNormAct(shapes[-1].out_channels, space.feature_channels, kernel=1, stride=1)
        self.classifier = Classifier(space.feature_channels, space.classes)
        if draw:
            initialise(self, generator)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features, `(n, features)`, of RGB images in [0, 1], `(n, 3, h, w)`, resized if need be."""
        x = self.stem(self.preparation(images, resolution=self.architecture.resolution))
        for block in self.blocks:
            x = block(x)
        pooled: Tensor = self.feature(x).mean(dim=(2, 3))
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """Logits, `(n, classes)`, of RGB images in [0, 1], `(n, 3, h, w)`, resized if need be."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
