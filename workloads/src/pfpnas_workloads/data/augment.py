"""Augmentation and order of training images: pure functions of explicit generators."""

import numpy as np
import torch
from torch import Tensor

PADDING = 1 / 8
"""Share of the side by which an image may be shifted: 4 pixels of 32, as is usual for CIFAR."""


def stream(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one place, such as (purpose, step): a function of its arguments alone.

    So the random state of a training is its seed and its step, and any step can be repeated by itself.
    """
    return np.random.default_rng([seed, *place])


def augment(
    images: Tensor,
    rng: np.random.Generator,
    *,
    mirror: bool,
    batch: int | None = None,
    share: slice = slice(None),
) -> Tensor:
    """Random crops of the images padded by repetition of their edge, mirrored half of the times if asked to.

    Args:
        images: uint8, `(n, 3, h, w)`.
        rng: The source of chance.
        mirror: Whether left and right may change places.
        batch: Images of the whole batch that `images` are a part of; None: they are all.
        share: Which of them they are. What becomes of an image does not depend on the part it is in.

    Returns:
        uint8, `(n, 3, h, w)`.
    """
    n, _, height, width = images.shape
    drawn = n if batch is None else batch
    rows = _window(rng, drawn, height)[share]  # (n, h)
    columns = _window(rng, drawn, width)[share]  # (n, w)
    if mirror:
        flipped = torch.from_numpy(rng.random(drawn) < 0.5)[share]
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    index = torch.arange(n)[:, None, None]
    return images.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _window(rng: np.random.Generator, n: int, size: int) -> Tensor:
    """Indices `(n, size)` of a window shifted at random, clamped to the image."""
    padding = round(size * PADDING)
    shift = torch.from_numpy(rng.integers(-padding, padding + 1, (n, 1)))
    return (torch.arange(size)[None] + shift).clamp(0, size - 1)


def to_unit(images: Tensor, *, device: torch.device | str = "cpu") -> Tensor:
    """uint8 images as float32 in [0, 1], channels last in memory, on `device`."""
    moved = images.to(device, non_blocking=True)
    return (moved.float() / 255).contiguous(memory_format=torch.channels_last)
