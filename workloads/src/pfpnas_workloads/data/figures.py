"""The figures of the generator `Shapes`, as line segments in the unit square.

Every figure is drawn by one function for n images at once. They are told apart by what strokes are made of: how they
bend, close, branch and cross, and which way round they stand. No glyph, font or image of any alphabet went into them;
simple strokes resemble signs all the same (a closed stroke with one crossing, an eight), in all their mirror images.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SEGMENTS = 24
"""Segments of every figure; one with fewer repeats its last point."""

Figure = Callable[[np.random.Generator, int], Array]


def draw_figures(figures: tuple[Figure, Figure], rng: np.random.Generator, n: int) -> Array:
    """Segments of n variants of either figure, `(n, SEGMENTS, 2 ends, 2)`, about within [-1, 1]², y downwards."""
    first, second = (_padded(figure(rng, n)) for figure in figures)
    return np.where(rng.random((n, 1, 1, 1)) < 0.5, first, second)


def left_arc(rng: np.random.Generator, n: int) -> Array:
    """An open arc of a third to three quarters of an ellipse, open to the right."""
    sweep = _uniform(rng, n, 0.7 * np.pi, 1.6 * np.pi)
    start = np.pi - sweep / 2 + _uniform(rng, n, -0.5, 0.5)
    return _strokes(_ellipse(start, sweep, points=20, radius=_uniform(rng, n, 0.6, 1.0)))


def right_arc(rng: np.random.Generator, n: int) -> Array:
    """The same, open to the left."""
    return left_arc(rng, n) * np.array([-1, 1], np.float32)


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


def junction(rng: np.random.Generator, n: int) -> Array:
    """Two straight strokes, of which one crosses the other or ends on it."""
    angle = _uniform(rng, n, 0, 2 * np.pi)
    side = _polar(angle + _uniform(rng, n, 0.3 * np.pi, 0.7 * np.pi), _uniform(rng, n, 0.7, 1.2))
    foot = _polar(angle, _uniform(rng, n, -0.4, 0.4))
    beyond = foot - side * _uniform(rng, n, 0, 1) * (_sign(rng, n) > 0)
    second = np.stack([beyond, foot + side], axis=1)
    both = np.concatenate([_bar(rng, n, angle=angle), _strokes(second)], axis=1)
    shifted: Array = both - 0.3 * side[:, None, None]
    return shifted


def wave(rng: np.random.Generator, n: int) -> Array:
    """A smooth stroke downwards that bends first to one side, then to the other."""
    t = np.linspace(-1, 1, 20, dtype=np.float32)
    sideways = np.sin(np.pi * t * _uniform(rng, n, 0.85, 1.2)) * _uniform(rng, n, 0.45, 0.9) * _sign(rng, n)
    return _strokes(np.stack([sideways, np.broadcast_to(t, sideways.shape)], axis=-1))


def scallop(rng: np.random.Generator, n: int) -> Array:
    """Two arcs, one above the other, that bulge to the same side and meet in a cusp."""
    t = np.linspace(-1, 1, 21, dtype=np.float32)
    bulge = np.abs(np.sin(np.pi * t)) ** 0.6 * _uniform(rng, n, 0.5, 1.1) * _sign(rng, n)
    unequal = t + _uniform(rng, n, -0.25, 0.25) * np.cos(np.pi * t / 2)
    return _strokes(np.stack([bulge - bulge.mean(axis=1, keepdims=True), unequal], axis=-1))


def bow(rng: np.random.Generator, n: int) -> Array:
    """A closed stroke that crosses itself once: two loops of unequal size, one above the other."""
    t = np.linspace(0, 2 * np.pi, 25, dtype=np.float32)
    width = _uniform(rng, n, 0.6, 1.0) * (1 + _uniform(rng, n, -0.35, 0.35) * np.cos(t))
    return _strokes(np.stack([width * np.sin(2 * t) * 0.8, np.broadcast_to(np.cos(t), (n, 25))], axis=-1))


def balloon(rng: np.random.Generator, n: int) -> Array:
    """A loop with a tail below it, straight or bent, on its left or right."""
    loop = _ellipse(
        _uniform(rng, n, -0.3, 0.3),
        np.full((n, 1), 2 * np.pi, np.float32),
        points=16,
        radius=_uniform(rng, n, 0.4, 0.6),
    ) - np.array([0, 0.45], np.float32)
    start = loop[:, -1]
    end = start + np.concatenate([_uniform(rng, n, -0.8, 0.4), _uniform(rng, n, 1.0, 1.4)], axis=1)
    middle = (start + end) / 2 + np.concatenate([_uniform(rng, n, 0, 0.4), np.zeros((n, 1), np.float32)], axis=1)
    points = np.concatenate([loop, _curve(start, middle, end, points=8)[:, 1:]], axis=1)
    return _strokes(_mirrored(rng, points))


def lasso(rng: np.random.Generator, n: int) -> Array:
    """A loop with a tail above it."""
    return balloon(rng, n) * np.array([1, -1], np.float32)


def bar(rng: np.random.Generator, n: int) -> Array:
    """One straight stroke downwards."""
    return _bar(rng, n, angle=np.pi / 2 + _uniform(rng, n, -0.4, 0.4))


def cross(rng: np.random.Generator, n: int) -> Array:
    """Two straight strokes that cross."""
    first = _uniform(rng, n, 0, np.pi)
    second = first + _uniform(rng, n, 0.3 * np.pi, 0.7 * np.pi)
    return np.concatenate([_bar(rng, n, angle=first), _bar(rng, n, angle=second)], axis=1)


def zigzag(rng: np.random.Generator, n: int) -> Array:
    """Three or four straight strokes downwards, turning left and right by turns."""
    swing = _uniform(rng, n, 0.35, 0.7) * _sign(rng, n) * np.where(np.arange(5) % 2, 1, -1)
    across = swing * rng.uniform(0.7, 1.3, (n, 5))
    points = np.stack([across, np.broadcast_to(np.linspace(-0.9, 0.9, 5), (n, 5))], axis=-1).astype(np.float32)
    points[:, 4] = np.where(_sign(rng, n) > 0, points[:, 4], points[:, 3])  # three strokes for half of them
    return _strokes(points)


def spiral(rng: np.random.Generator, n: int) -> Array:
    """A stroke that winds inwards more than once."""
    t = np.linspace(0, 1, 25, dtype=np.float32)
    angle = _uniform(rng, n, 0, 2 * np.pi) + _sign(rng, n) * t * _uniform(rng, n, 2.6 * np.pi, 3.6 * np.pi)
    radius = 1 - t * _uniform(rng, n, 0.8, 0.95)
    return _strokes(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * radius[..., None])


def hook(rng: np.random.Generator, n: int) -> Array:
    """A stroke downwards whose end turns up, to the left or the right."""
    shaft = _scattered(rng, n, [[0.3, -1], [0.3, 0.5], [0.2, 1.2], [-0.7, 0.6]])
    turn = _curve(shaft[:, 1], shaft[:, 2], shaft[:, 3], points=10)
    return _strokes(_mirrored(rng, np.concatenate([shaft[:, :1], turn], axis=1)))


def triangle(rng: np.random.Generator, n: int) -> Array:
    """Three straight strokes that close."""
    corners = _scattered(rng, n, [[0, -0.9], [0.8, 0.7], [-0.8, 0.7]])
    return _strokes(np.concatenate([corners, corners[:, :1]], axis=1))


def quarter_turned(figure: Figure) -> Figure:
    """The same figure lying on its side (clockwise, as y points downwards)."""
    turn = np.array([[0, 1], [-1, 0]], np.float32)

    def turned(rng: np.random.Generator, n: int) -> Array:
        return figure(rng, n) @ turn

    return turned


FIGURES: tuple[tuple[Figure, Figure], ...] = (
    (left_arc, zigzag),
    (right_arc, cross),
    (ring, hook),
    (corner, spiral),
    (junction, quarter_turned(right_arc)),
    (wave, triangle),
    (scallop, quarter_turned(balloon)),
    (bow, bar),
    (balloon, quarter_turned(wave)),
    (lasso, quarter_turned(left_arc)),
)
"""The classes, in the order of their labels: two figures each that have little in common, so that a net needs to
know twice as many as it has labels for, and its features don't collapse into ten."""


def _uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """One number for each image, `(n, 1)`."""
    return rng.uniform(low, high, (n, 1)).astype(np.float32)


def _sign(rng: np.random.Generator, n: int) -> Array:
    return np.where(rng.random((n, 1)) < 0.5, -1, 1).astype(np.float32)


def _polar(angle: Array, radius: Array) -> Array:
    """Points `(n, 2)` from angles and radii `(n, 1)`."""
    return np.concatenate([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _ellipse(start: NDArray[np.floating], sweep: Array, *, points: int, radius: Array) -> Array:
    """Points `(n, points, 2)` on a circle's arc; `start`, `sweep` and `radius` are `(n, 1)`."""
    angle = start + sweep * np.linspace(0, 1, points, dtype=np.float32)
    circle: Array = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    return circle * radius[..., None]


def _bar(rng: np.random.Generator, n: int, *, angle: Array) -> Array:
    """One segment through a point near the origin."""
    tip = _polar(angle, _uniform(rng, n, 0.7, 1.0))
    shift = rng.uniform(-0.25, 0.25, (n, 2)).astype(np.float32)
    return _strokes(np.stack([shift - tip, shift + tip], axis=1))


def _curve(start: Array, middle: Array, end: Array, *, points: int) -> Array:
    """Points `(n, points, 2)` of the quadratic Bézier curves with these control points, `(n, 2)` each."""
    t = np.linspace(0, 1, points, dtype=np.float32)[None, :, None]
    curve: Array = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * middle[:, None] + t**2 * end[:, None]
    return curve


def _scattered(rng: np.random.Generator, n: int, points: list[list[float]]) -> Array:
    """The points, `(n, len(points), 2)`, as an unsteady hand hits them."""
    missed = 0.15 * rng.standard_normal((n, len(points), 2))
    return (np.array(points) + missed).astype(np.float32)


def _mirrored(rng: np.random.Generator, points: Array) -> Array:
    """Half of the `(n, p, 2)` points with left and right exchanged."""
    return points * np.stack([_sign(rng, len(points)), np.ones((len(points), 1), np.float32)], axis=-1)


def _strokes(points: Array) -> Array:
    """The segments between consecutive points: `(n, p, 2)` to `(n, p - 1, 2 ends, 2)`."""
    return np.stack([points[:, :-1], points[:, 1:]], axis=2).astype(np.float32)


def _padded(segments: Array) -> Array:
    missing = SEGMENTS - segments.shape[1]
    last = np.repeat(segments[:, -1:, 1:], 2, axis=2)  # a segment without length
    return np.concatenate([segments, np.repeat(last, missing, axis=1)], axis=1)
