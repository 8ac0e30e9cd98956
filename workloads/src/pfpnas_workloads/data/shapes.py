"""`Shapes`: a public data set for machines that have none, drawn by a seeded generator.

Ten classes of figures (see `figures`) under random affine maps and bends, with strokes of random width and brightness,
over texture, clutter and noise, seen sharply or through a coarse sensor. A net that tells them apart has learned how
strokes bend, close, branch and cross, which is what handwriting, signs and sketches are made of.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfpnas_workloads.data.figures import FIGURES, SEGMENTS, Array, draw_figures

CHUNK = 256
"""Images drawn together: their distance fields fit into a processor's cache."""

CLUTTER = 3
"""At most so many stray segments in an image."""


@dataclass(frozen=True)
class Drawing:
    """Drawn images, `(n, side, side)` uint8 of one channel, and their labels, `(n,)` int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def draw(samples: int, *, side: int, seed: int) -> Drawing:
    """Draw `samples` images of `side` pixels; the same arguments always give the same images."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(samples) % len(FIGURES))
    images = np.empty((samples, side, side), np.uint8)
    for start in range(0, samples, CHUNK):
        part = labels[start : start + CHUNK]
        images[start : start + CHUNK] = _paint(rng, _placed(rng, part), side=side)
    return Drawing(images, labels.astype(np.int64))


def _placed(rng: np.random.Generator, labels: NDArray[np.int64]) -> Array:
    """The figures' segments, `(n, SEGMENTS, 2, 2)`, bent and moved to where they are drawn, within [0, 1]²."""
    segments = np.empty((len(labels), SEGMENTS, 2, 2), np.float32)
    for label, figures in enumerate(FIGURES):
        chosen = np.flatnonzero(labels == label)
        segments[chosen] = draw_figures(figures, rng, len(chosen))
    return _moved(rng, _bent(rng, segments))


def _bent(rng: np.random.Generator, segments: Array) -> Array:
    """Points displaced by a slow random wave, as an unsteady hand does."""
    n = len(segments)
    frequency = rng.uniform(-2.5, 2.5, (n, 1, 1, 2, 2)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, (n, 1, 1, 2)).astype(np.float32)
    amplitude = rng.uniform(0, 0.12, (n, 1, 1, 2)).astype(np.float32)
    swing = np.sin((segments[..., None, :] * frequency).sum(-1) + phase)
    bent: Array = segments + amplitude * swing
    return bent


def _moved(rng: np.random.Generator, segments: Array) -> Array:
    """A random affine map: turn of up to 25°, shear, scale of each axis, shift."""
    n = len(segments)
    angle, shear = rng.uniform(-0.44, 0.44, n), rng.uniform(-0.3, 0.3, n)
    scale = rng.uniform(0.3, 0.5, (n, 2))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1).reshape(n, 2, 2)
    slant = np.stack([np.ones(n), shear, np.zeros(n), np.ones(n)], axis=-1).reshape(n, 2, 2)
    linear = (turn @ slant) * scale[:, :, None]
    shift = rng.uniform(0.45, 0.55, (n, 1, 1, 2))
    moved: Array = (np.einsum("nij,nsej->nsei", linear, segments) + shift).astype(np.float32)
    return moved


def _paint(rng: np.random.Generator, segments: Array, *, side: int) -> NDArray[np.uint8]:
    """Images `(n, side, side)` of the segments: background, clutter, strokes, sensor."""
    n = len(segments)
    width = rng.uniform(1.8, 5.8, (n, 1, 1)) * side / 32
    ink = _coverage(segments * side, width, side=side)
    ground, level = np.maximum(rng.uniform(-0.1, 0.15, (n, 1, 1)), 0), rng.uniform(0.7, 1.0, (n, 1, 1))
    textured = rng.random((n, 1, 1)) < 0.4
    canvas = ground + textured * 0.15 * _texture(rng, n, side=side)
    stray = rng.uniform(0.1, 0.4, (n, 1, 1)) * _coverage(_clutter(rng, n) * side, width * 0.5, side=side)
    stroke = level * (1 - textured * 0.3 * np.abs(_texture(rng, n, side=side)))
    image = np.maximum(canvas, stray) * (1 - ink) + stroke * ink
    seen = _through_sensor(rng, image.astype(np.float32)) * rng.uniform(1.0, 2.0, (n, 1, 1))
    noise = np.maximum(rng.uniform(-0.03, 0.06, (n, 1, 1)), 0) * rng.standard_normal(image.shape, np.float32)
    flip = rng.random((n, 1, 1)) < 0.05
    final = np.clip(seen + noise, 0, 1)
    pixels: NDArray[np.uint8] = np.rint(np.where(flip, 1 - final, final) * 255).astype(np.uint8)
    return pixels


def _coverage(segments: Array, width: NDArray[np.floating], *, side: int) -> Array:
    """How much of each pixel, `(n, side, side)` in [0, 1], lies within `width` / 2 pixels of a segment."""
    centre = np.arange(side, dtype=np.float32) + 0.5
    nearest = np.full((len(segments), side, side), np.inf, np.float32)
    for index in range(segments.shape[1]):
        start, end = segments[:, index, 0], segments[:, index, 1]  # (n, 2)
        along = end - start
        length = np.maximum((along**2).sum(1), 1e-6)[:, None, None]
        x, y = centre[None, None, :] - start[:, 0, None, None], centre[None, :, None] - start[:, 1, None, None]
        dx, dy = along[:, 0, None, None], along[:, 1, None, None]
        t = np.clip((x * dx + y * dy) / length, 0, 1)
        np.minimum(nearest, (x - t * dx) ** 2 + (y - t * dy) ** 2, out=nearest)
    covered: Array = np.clip(width.astype(np.float32) / 2 + 0.5 - np.sqrt(nearest), 0, 1)
    return covered


def _clutter(rng: np.random.Generator, n: int) -> Array:
    """Stray short segments, `(n, CLUTTER, 2, 2)`; the ones an image goes without lie far outside."""
    middle = rng.uniform(0, 1, (n, CLUTTER, 1, 2))
    reach = rng.normal(0, 0.1, (n, CLUTTER, 1, 2))
    absent = np.arange(CLUTTER)[None, :, None, None] >= rng.integers(0, CLUTTER + 1, (n, 1, 1, 1))
    segments: Array = (np.concatenate([middle - reach, middle + reach], axis=2) + 10 * absent).astype(np.float32)
    return segments


def _texture(rng: np.random.Generator, n: int, *, side: int) -> Array:
    """Smooth random texture, `(n, side, side)` within [-1, 1]."""
    coarse = rng.uniform(-1, 1, (n, 6, 6))
    grid = _interpolation(6, side)
    texture: Array = (grid @ coarse @ grid.T).astype(np.float32)
    return texture


def _through_sensor(rng: np.random.Generator, images: Array) -> Array:
    """The images as sensors of 8 pixels a side and more see them, enlarged again; a third of them stays sharp."""
    side = images.shape[-1]
    blurred = images.copy()
    coarseness = rng.integers(0, 6, len(images))
    for index, pixels in enumerate((7, 8, 10, 14)):
        chosen = coarseness == index
        shrink, grow = _averaging(side, pixels), _interpolation(pixels, side)
        through = grow @ shrink
        blurred[chosen] = through @ images[chosen] @ through.T
    return blurred


def _interpolation(pixels: int, side: int) -> Array:
    """The matrix `(side, pixels)` of bilinear enlargement, pixel centres at halves."""
    place = np.clip((np.arange(side) + 0.5) * pixels / side - 0.5, 0, pixels - 1)
    matrix: Array = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(pixels)[None])).astype(np.float32)
    return matrix


def _averaging(side: int, pixels: int) -> Array:
    """The matrix `(pixels, side)` of area averages."""
    edges = np.linspace(0, side, pixels + 1)
    index = np.arange(side)
    overlap = np.minimum(edges[1:, None], index + 1) - np.maximum(edges[:-1, None], index)
    matrix: Array = (np.maximum(overlap, 0) * pixels / side).astype(np.float32)
    return matrix
