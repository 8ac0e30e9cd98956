"""Augmentation: repeatable, a shift by a few pixels, mirrored only when asked to."""

import numpy as np
import torch

from pfpnas_workloads.data.augment import augment, stream, to_unit


def some_images() -> torch.Tensor:
    return torch.arange(4 * 3 * 16 * 16).remainder(251).to(torch.uint8).reshape(4, 3, 16, 16)


def test_streams_depend_on_their_place_alone() -> None:
    first, again, other = (stream(7, 1, place).random(4) for place in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_same_stream_gives_the_same_images() -> None:
    images = some_images()
    first, second = (augment(images, stream(0, 1), mirror=True) for _ in range(2))
    assert torch.equal(first, second)


def test_images_are_shifted_by_an_eighth_at_most() -> None:
    images = torch.zeros(64, 3, 16, 16, dtype=torch.uint8)
    images[:, :, 8, 8] = 255
    found = augment(images, stream(0, 1), mirror=False)[:, 0].nonzero()
    assert len(found) == 64
    assert (found[:, 1:] - 8).abs().max() == 2


def test_mirrors_half_of_the_images_when_asked_to() -> None:
    images = torch.zeros(200, 3, 16, 16, dtype=torch.uint8)
    images[:, :, :, 12:] = 255  # bright on the right

    def bright_left(mirror: bool) -> int:
        return int((augment(images, stream(0, 1), mirror=mirror)[:, 0, 0, 0] == 255).sum())

    assert bright_left(mirror=False) == 0
    assert 70 < bright_left(mirror=True) < 130


def test_unit_images_are_channels_last_in_zero_to_one() -> None:
    unit = to_unit(torch.full((2, 3, 4, 4), 255, dtype=torch.uint8))
    assert unit.is_contiguous(memory_format=torch.channels_last)
    assert unit.dtype == torch.float32
    assert unit.unique().tolist() == [1.0]
