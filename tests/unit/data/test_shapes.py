"""The generator `Shapes`: repeatable, balanced, and its classes can be told apart."""

import numpy as np
import pytest

from pfpnas_workloads.data.figures import FIGURES, SEGMENTS, Figure, draw_figures
from pfpnas_workloads.data.shapes import draw


def test_same_arguments_draw_the_same_images() -> None:
    first, second = draw(300, side=24, seed=3), draw(300, side=24, seed=3)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.labels, second.labels)


def test_another_seed_draws_other_images() -> None:
    assert not np.array_equal(draw(50, side=24, seed=0).images, draw(50, side=24, seed=1).images)


@pytest.mark.parametrize("side", [16, 32])
def test_images_have_the_side_asked_for_and_are_not_blank(side: int) -> None:
    drawing = draw(40, side=side, seed=0)
    assert drawing.images.shape == (40, side, side)
    assert drawing.images.dtype == np.uint8
    assert drawing.images.reshape(40, -1).std(axis=1).min() > 3


def test_every_class_is_drawn_equally_often() -> None:
    counts = np.bincount(draw(1000, side=16, seed=0).labels)
    assert counts.tolist() == [100] * 10


@pytest.mark.parametrize("figures", FIGURES)
def test_figures_stay_near_the_unit_square_and_vary(figures: tuple[Figure, Figure]) -> None:
    segments = draw_figures(figures, np.random.default_rng(0), 64)
    assert segments.shape == (64, SEGMENTS, 2, 2)
    assert np.isfinite(segments).all()
    assert np.abs(segments).max() < 2.5
    assert segments.std(axis=0).mean() > 0.1


def test_a_class_resembles_itself_more_than_the_others() -> None:
    """A nearest-neighbour vote on coarse pixels is far better than chance: labels belong to their images."""
    drawing = draw(1500, side=16, seed=0)
    pixels = drawing.images.reshape(1500, -1).astype(float)
    pixels = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    similarity = pixels[1200:] @ pixels[:1200].T
    guesses = drawing.labels[:1200][similarity.argmax(axis=1)]
    assert (guesses == drawing.labels[1200:]).mean() > 0.2
