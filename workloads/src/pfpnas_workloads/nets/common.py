"""What elastic and static nets share: input preparation, first and last layers, initial weights."""

from collections.abc import Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfpnas_workloads.nets.elastic import NORM_EPSILON, NORM_MOMENTUM

DEFAULT_MEAN = (0.5, 0.5, 0.5)
"""Subtracted from each channel of an image in [0, 1], where the data set's own mean is not given."""

DEFAULT_STD = (0.25, 0.25, 0.25)
"""Divides each channel afterwards, where the data set's own standard deviation is not given."""


class Preparation(nn.Module):
    """Resizes images to the net's resolution and normalises them."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(tuple(mean)).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(tuple(std)).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor, *, resolution: int) -> Tensor:
        """Map RGB images in [0, 1], `(n, 3, h, w)`, to normalised ones, `(n, 3, resolution, resolution)`."""
        return (resize(images, resolution) - self.mean) / self.std


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images of `resolution` pixels a side, `(n, 3, resolution, resolution)`, as Pillow's BILINEAR makes them."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    size = (resolution, resolution)
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


class Conv(nn.Conv2d):
    """Convolution without bias that pads to keep `ceil(height / stride)`, its weights left to `initialise`."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)

    def reset_parameters(self) -> None:
        """Draw nothing: torch's default would cost half of the time that a candidate's build takes."""


class Classifier(nn.Linear):
    """Linear layer, its weights left to `initialise`."""

    def reset_parameters(self) -> None:
        """Draw nothing, as in `Conv`."""


class Norm(nn.BatchNorm2d):
    """BatchNorm with the constants that elastic layers use too, its scales and shifts left to `initialise`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)

    def reset_parameters(self) -> None:
        """Set nothing, as in `Conv`; the running statistics are neutral from construction."""


def initialise(net: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the weights of all convolutions and linear layers; BatchNorm and kernel matrices begin neutral.

    Convolutions: normal with variance 2 / fan-out (He et al., ICCV 2015), the fan-out of a depthwise one being
    its kernel's area. Linear layers: normal with standard deviation 0.01.
    """
    for name, parameter in net.named_parameters():
        if parameter.ndim == 4:
            outputs, inputs, height, width = parameter.shape
            fan_out = height * width * (1 if inputs == 1 else outputs)
            nn.init.normal_(parameter, std=sqrt(2 / fan_out), generator=generator)
        elif name.endswith("classifier.weight"):
            nn.init.normal_(parameter, std=0.01, generator=generator)
        elif name.endswith("norm.weight"):
            nn.init.ones_(parameter)
        elif name.endswith(".bias"):
            nn.init.zeros_(parameter)
