"""Labelled images and how some of them are held out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pfpnas_workloads.data.errors import DataError

if TYPE_CHECKING:
    from pfpnas_workloads.data.public import Images


@dataclass(frozen=True)
class Labelled:
    """Images, uint8 `(n, 3, h, w)`, and their classes, int64 `(n,)`."""

    images: "Images"
    labels: Tensor


def hold_out(labels: Tensor, *, fraction: float) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation split: the same share of every class, always the same images.

    Raises:
        DataError: A class has fewer than two images.
    """
    rng = np.random.default_rng(0)
    train: list[Tensor] = []
    held: list[Tensor] = []
    for label in np.unique(labels.numpy()).tolist():
        members = torch.nonzero(labels == label).flatten()
        if len(members) < 2:
            raise DataError(f"class {label} has one image only: at least 2 are needed to hold one out for validation")
        members = members[torch.from_numpy(rng.permutation(len(members)))]
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held.append(members[:count])
        train.append(members[count:])
    return torch.cat(train).sort().values, torch.cat(held).sort().values
