"""Layers of which a forward pass uses a slice: the active sizes are arguments, never state of the module."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-5
"""Added to the variance in every BatchNorm, elastic, static and folded alike."""

NORM_MOMENTUM = 0.1
"""Share of a batch in the running statistics."""


class ElasticDepthwise(nn.Module):
    """Depthwise convolution with an elastic kernel (Cai et al., "Once-for-All", ICLR 2020, section 3.3).

    A smaller kernel is the centre of the next larger one, times a learned matrix that begins as the identity: for
    7→5 it is 25×25, for 5→3 9×9; one per layer, shared by its channels.

    Args:
        channels: The largest number of channels.
        kernel_sizes: All kernels, pixels a side, each odd.
        stride: Stride of the convolution.
    """

    def __init__(self, channels: int, *, kernel_sizes: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.steps = tuple(pairwise(sorted(kernel_sizes, reverse=True)))
        largest = max(kernel_sizes)
        self.weight = nn.Parameter(torch.empty(channels, 1, largest, largest))
        self.transforms = nn.ParameterDict({_step(*step): torch.eye(step[1] ** 2) for step in self.steps})

    def kernel(self, size: int, *, channels: int) -> Tensor:
        """The active weight, `(channels, 1, size, size)`."""
        weight = self.weight[:channels]  # (channels, 1, largest, largest)
        for larger, smaller in self.steps:
            if larger == size:
                break
            weight = self._shrink(weight, larger, smaller)
        return weight

    def _shrink(self, weight: Tensor, larger: int, smaller: int) -> Tensor:
        start = (larger - smaller) // 2
        end = start + smaller
        centre = weight[:, :, start:end, start:end].reshape(-1, smaller**2)  # (channels, smaller²)
        transformed = F.linear(centre, self.transforms[_step(larger, smaller)])
        return transformed.reshape(-1, 1, smaller, smaller)

    def forward(self, x: Tensor, *, kernel: int) -> Tensor:
        """Map `(n, c, h, w)` to `(n, c, h / stride, w / stride)` with the first c channels' kernels."""
        channels = x.shape[1]
        weight = self.kernel(kernel, channels=channels)
        return F.conv2d(x, weight, stride=self.stride, padding=kernel // 2, groups=channels)


def _step(larger: int, smaller: int) -> str:
    return f"{larger}to{smaller}"


class ElasticPointwise(nn.Module):
    """1×1 convolution that uses the first n input and output channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))

    def kernel(self, in_channels: int, out_channels: int) -> Tensor:
        """The active weight, `(out_channels, in_channels, 1, 1)`."""
        return self.weight[:out_channels, :in_channels]

    def forward(self, x: Tensor, *, out_channels: int) -> Tensor:
        """Map `(n, c, h, w)` to `(n, out_channels, h, w)`."""
        return F.conv2d(x, self.kernel(x.shape[1], out_channels))


class ElasticBatchNorm(nn.Module):
    """BatchNorm over the first c channels of one set of scales, shifts and running statistics.

    The running statistics are mixed from all nets that were trained; a net has its own after recalibration only.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(n, c, h, w)`."""
        c = x.shape[1]
        return F.batch_norm(
            x,
            self.running_mean[:c],
            self.running_var[:c],
            self.weight[:c],
            self.bias[:c],
            training=self.training,
            momentum=NORM_MOMENTUM,
            eps=NORM_EPSILON,
        )


class ElasticBlock(nn.Module):
    """Inverted-residual block (Sandler et al., CVPR 2018) with elastic kernel and elastic expansion.

    Args:
        channels: Input and output channels, neither elastic.
        max_mid_channels: The largest number of channels of the depthwise convolution.
        kernel_sizes: All kernels of the depthwise convolution, pixels a side.
        stride: Stride of the depthwise convolution.
        has_expansion: Whether a 1×1 expansion comes first.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        *,
        max_mid_channels: int,
        kernel_sizes: tuple[int, ...],
        stride: int,
        has_expansion: bool,
    ) -> None:
        super().__init__()
        in_channels, self.out_channels = channels
        self.residual = stride == 1 and in_channels == self.out_channels
        self.has_expansion = has_expansion
        if has_expansion:
            self.expand_conv = ElasticPointwise(in_channels, max_mid_channels)
            self.expand_norm = ElasticBatchNorm(max_mid_channels)
        self.depthwise_conv = ElasticDepthwise(max_mid_channels, kernel_sizes=kernel_sizes, stride=stride)
        self.depthwise_norm = ElasticBatchNorm(max_mid_channels)
        self.project_conv = ElasticPointwise(max_mid_channels, self.out_channels)
        self.project_norm = ElasticBatchNorm(self.out_channels)

    def forward(self, x: Tensor, *, mid_channels: int, kernel: int) -> Tensor:
        """Map `(n, in, h, w)` to `(n, out, h / stride, w / stride)`."""
        mid = x
        if self.has_expansion:
            mid = F.relu6(self.expand_norm(self.expand_conv(x, out_channels=mid_channels)), inplace=True)
        mid = F.relu6(self.depthwise_norm(self.depthwise_conv(mid, kernel=kernel)), inplace=True)
        out: Tensor = self.project_norm(self.project_conv(mid, out_channels=self.out_channels))
        return x + out if self.residual else out
