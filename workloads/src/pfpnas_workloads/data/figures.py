"""The ten figures of the generator `Shapes`, as line segments in the unit square.

Every figure is drawn by one function for n images at once. They are told apart by what strokes are made of: how they
bend, close, branch and cross, and which way round they stand. None of them is a letter's or a digit's glyph.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SEGMENTS = 24
"""Segments of every figure; one with fewer repeats its last point."""

Figure = Callable[[np.random.Generator, int], Array]


def draw_figure(figure: Figure, rng: np.random.Generator, n: int) -> Array:
    """Segments of n variants of a figure, `(n, SEGMENTS, 2 ends, 2)`, about within [-1, 1]², y downwards."""
    return _padded(figure(rng, n))


def arc(rng: np.random.Generator, n: int) -> Array:
    """An open arc of a third to three quarters of an ellipse, open to any side."""
    start = _uniform(rng, n, 0, 2 * np.pi)
    sweep = _uniform(rng, n, 0.7 * np.pi, 1.6 * np.pi)
    return _strokes(_ellipse(start, sweep, points=20, radius=_uniform(rng, n, 0.6, 1.0)))


def ring(rng: np.random.Generator, n: int) -> Array:
    """A closed ellipse."""
    start = _uniform(rng, n, 0, 2 * np.pi)
    closed = _ellipse(start, np.full((n, 1), 2 * np.pi, np.float32), points=24, radius=_uniform(rng, n, 0.5, 0.9))
    squeezed = closed * np.stack([_uniform(rng, n, 0.5, 1.0), np.ones((n, 1), np.float32)], axis=-1)
    return _strokes(squeezed)


def corner(rng: np.random.Generator, n: int) -> Array:
    """Two straight strokes that meet at one end."""
    turn = _uniform(rng, n, 0.3 * np.pi, 0.7 * np.pi) * _sign(rng, n)
    first = _uniform(rng, n, 0, 2 * np.pi)
    tips = [_polar(first + part * turn, _uniform(rng, n, 0.8, 1.4)) for part in (0, 1)]
    vertex = -0.5 * (tips[0] + tips[1]) * _uniform(rng, n, 0.6, 1.0)
    return _strokes(np.stack([vertex + tips[0], vertex, vertex + tips[1]], axis=1))


def cross(rng: np.random.Generator, n: int) -> Array:
    """Two straight strokes that cross."""
    first = _uniform(rng, n, 0, np.pi)
    second = first + _uniform(rng, n, 0.3 * np.pi, 0.7 * np.pi)
    return np.concatenate([_bar(rng, n, angle=first), _bar(rng, n, angle=second)], axis=1)


def branch(rng: np.random.Generator, n: int) -> Array:
    """A straight stroke with a second one that ends on its middle."""
    angle = _uniform(rng, n, 0, 2 * np.pi)
    side = _polar(angle + _uniform(rng, n, 0.35 * np.pi, 0.65 * np.pi), _uniform(rng, n, 0.8, 1.3))
    shift = -0.4 * side
    foot = shift + _polar(angle, _uniform(rng, n, -0.3, 0.3))
    stem = np.stack([foot, foot + side], axis=1)
    return np.concatenate([_bar(rng, n, angle=angle) + shift[:, None, None], _strokes(stem)], axis=1)


def zigzag(rng: np.random.Generator, n: int) -> Array:
    """Three or four straight strokes, turning left and right by turns."""
    steps = np.linspace(-0.9, 0.9, 5, dtype=np.float32)
    swing = _uniform(rng, n, 0.4, 0.8) * _sign(rng, n) * np.where(np.arange(5) % 2, 1, -1)
    swing = swing * rng.uniform(0.7, 1.3, (n, 5))
    points = np.stack([swing, np.broadcast_to(steps, (n, 5))], axis=-1).astype(np.float32)
    points[:, 4] = np.where(_sign(rng, n) > 0, points[:, 4], points[:, 3])  # three strokes for half of them
    return _strokes(_turned(points, rng.integers(0, 4, n) * np.pi / 2))


def wave(rng: np.random.Generator, n: int) -> Array:
    """A smooth stroke that bends first to one side, then to the other."""
    t = np.linspace(-1, 1, 20, dtype=np.float32)
    sideways = np.sin(np.pi * t * _uniform(rng, n, 0.85, 1.2)) * _uniform(rng, n, 0.45, 0.9) * _sign(rng, n)
    points = np.stack([sideways, np.broadcast_to(t, sideways.shape)], axis=-1)
    return _strokes(_turned(points, rng.integers(0, 2, n) * np.pi / 2))


def bow(rng: np.random.Generator, n: int) -> Array:
    """A closed stroke that crosses itself once: two loops, of unequal size."""
    t = np.linspace(0, 2 * np.pi, 25, dtype=np.float32)
    width = _uniform(rng, n, 0.6, 1.0) * (1 + _uniform(rng, n, -0.35, 0.35) * np.cos(t))
    points = np.stack([width * np.sin(2 * t) * 0.8, np.broadcast_to(np.cos(t), (n, 25))], axis=-1)
    return _strokes(_turned(points, rng.integers(0, 2, n) * np.pi / 2))


def lasso(rng: np.random.Generator, n: int) -> Array:
    """A loop with a tail that leaves it, straight or bent, to any of four sides."""
    radius = _uniform(rng, n, 0.4, 0.6)
    loop = _ellipse(_uniform(rng, n, -0.3, 0.3), np.full((n, 1), 2 * np.pi, np.float32), points=16, radius=radius)
    loop = loop - np.array([0, 0.45], np.float32)
    start = loop[:, -1]
    bend = _uniform(rng, n, -0.8, 0.4)
    t = np.linspace(0, 1, 8, dtype=np.float32)[None, :, None]
    end = start + np.stack([bend[:, 0], np.full(n, 1.3, np.float32)], axis=1)
    middle = (start + end) / 2 + np.stack([_uniform(rng, n, 0, 0.4)[:, 0], np.zeros(n, np.float32)], axis=1)
    tail = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * middle[:, None] + t**2 * end[:, None]
    points = np.concatenate([loop, tail[:, 1:]], axis=1)
    points = points * np.stack([_sign(rng, n), np.ones((n, 1), np.float32)], axis=-1)
    return _strokes(_turned(points, rng.integers(0, 4, n) * np.pi / 2))


def spiral(rng: np.random.Generator, n: int) -> Array:
    """A stroke that winds inwards one and a half to two times."""
    t = np.linspace(0, 1, 25, dtype=np.float32)
    angle = _uniform(rng, n, 0, 2 * np.pi) + _sign(rng, n) * t * _uniform(rng, n, 2.8 * np.pi, 4 * np.pi)
    radius = 1 - t * _uniform(rng, n, 0.8, 0.95)
    return _strokes(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * radius[..., None])


FIGURES: tuple[Figure, ...] = (arc, ring, corner, cross, branch, zigzag, wave, bow, lasso, spiral)
"""The classes, in the order of their labels."""


def _uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """One number for each image, `(n, 1)`."""
    return rng.uniform(low, high, (n, 1)).astype(np.float32)


def _sign(rng: np.random.Generator, n: int) -> Array:
    return np.where(rng.random((n, 1)) < 0.5, -1, 1).astype(np.float32)


def _polar(angle: Array, radius: Array) -> Array:
    """Points `(n, 2)` from angles and radii `(n, 1)`."""
    return np.concatenate([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _ellipse(start: Array, sweep: Array, *, points: int, radius: Array) -> Array:
    """Points `(n, points, 2)` on a circle's arc; `start`, `sweep` and `radius` are `(n, 1)`."""
    angle = start + sweep * np.linspace(0, 1, points, dtype=np.float32)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1) * radius[..., None]


def _bar(rng: np.random.Generator, n: int, *, angle: Array) -> Array:
    """One segment through a point near the origin."""
    tip = _polar(angle, _uniform(rng, n, 0.7, 1.0))
    shift = rng.uniform(-0.25, 0.25, (n, 2)).astype(np.float32)
    return _strokes(np.stack([shift - tip, shift + tip], axis=1))


def _turned(points: Array, angle: NDArray[np.floating]) -> Array:
    """Points `(n, p, 2)` turned about the origin by `angle`, `(n,)`."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1).astype(np.float32)


def _strokes(points: Array) -> Array:
    """The segments between consecutive points: `(n, p, 2)` to `(n, p - 1, 2 ends, 2)`."""
    return np.stack([points[:, :-1], points[:, 1:]], axis=2).astype(np.float32)


def _padded(segments: Array) -> Array:
    missing = SEGMENTS - segments.shape[1]
    last = np.repeat(segments[:, -1:, 1:], 2, axis=2)  # a segment without length
    return np.concatenate([segments, np.repeat(last, missing, axis=1)], axis=1)
