"""How good a subnet is: sliced, its BatchNorm recalibrated, judged on validation images."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pfpnas_api.spaces import Architecture
from pfpnas_workloads.data import Images
from pfpnas_workloads.data.augment import to_unit
from pfpnas_workloads.nets import StaticNet, Supernet, extract, recalibrate

BATCH = 256
"""Images at a time; no influence on the result."""


def evaluate(
    supernet: Supernet, architecture: Architecture, *, calibration: Tensor, images: Images, labels: Tensor
) -> float:
    """Accuracy of one subnet with BatchNorm statistics of its own.

    Args:
        supernet: The trained supernet.
        architecture: One of its space.
        calibration: Training images, uint8 `(n, 3, h, w)`.
        images: Validation images, uint8 `(n, 3, h, w)`.
        labels: Their classes, int64 `(n,)`.
    """
    static = extract(supernet, architecture).to(memory_format=torch.channels_last)
    device = next(static.parameters()).device
    recalibrate(static, (to_unit(part, device=device) for part in torch.split(calibration, BATCH)))
    return accuracy(static, images, labels)


@torch.no_grad()
def accuracy(static: StaticNet, images: Images, labels: Tensor) -> float:
    """Share of images, uint8 `(n, 3, h, w)`, whose label, `(n,)`, has the highest logit."""
    device = next(static.parameters()).device
    right = sum(
        int((static(to_unit(batch, device=device)).argmax(dim=1).cpu() == truth).sum())
        for batch, truth in _batches(images, labels)
    )
    return right / len(labels)


def _batches(images: Images, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for indices in torch.split(torch.arange(len(labels)), BATCH):
        yield images[indices], labels[indices]
