"""The measured Pareto front of two objectives, accuracy up and latency down, and its hypervolume; all exact."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FrontPoint:
    """A measured candidate as the front sees it."""

    accuracy: float
    """As a fraction; higher is better."""
    latency: float
    """In any one unit; lower is better."""
    key: str = ""
    """Whose point it is."""


def pareto_front(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The points that no other one dominates, by rising latency (and so rising accuracy); O(n log n).

    A point dominates another when it is at least as good in both objectives and better in one; equal points don't
    dominate each other, so all of them stay, in the order of their keys. The sweep is that of Kung, Luccio and
    Preparata, "On finding the maxima of a set of vectors" (1975), in two dimensions.
    """
    front: list[FrontPoint] = []
    for point in sorted(points, key=lambda p: (p.latency, -p.accuracy, p.key)):
        if not front or point.accuracy > front[-1].accuracy or _equal(point, front[-1]):
            front.append(point)
    return tuple(front)


def insert_point(front: Sequence[FrontPoint], point: FrontPoint) -> tuple[FrontPoint, ...]:
    """A front (as `pareto_front` returns it) with one more point: the same as the front of all points so far.

    The cost is that of the front's length, however many points there were.
    """
    # Those before `first` are faster; the last of them is the most accurate of the faster ones.
    first = bisect_left(front, point.latency, key=lambda p: p.latency)
    if first > 0 and front[first - 1].accuracy >= point.accuracy:
        return tuple(front)
    if first < len(front) and front[first].latency == point.latency and front[first].accuracy > point.accuracy:
        return tuple(front)
    last = bisect_right(front, point.accuracy, key=lambda p: p.accuracy)
    equal = sorted([point, *(p for p in front[first:last] if _equal(p, point))], key=lambda p: p.key)
    return (*front[:first], *equal, *front[max(first, last) :])


def hypervolume(points: Iterable[FrontPoint], *, reference_accuracy: float = 0.0, reference_latency: float) -> float:
    """Area that the points dominate within the reference point, in accuracy × latency units.

    Points outside the reference add nothing. Divided by ``(1 − reference_accuracy) · reference_latency`` it lies in
    0…1. The indicator is that of Zitzler and Thiele, "Multiobjective evolutionary algorithms" (1999).
    """
    inside = [p for p in points if p.latency < reference_latency and p.accuracy > reference_accuracy]
    area, best = 0.0, reference_accuracy
    for point in pareto_front(inside):
        area += (point.accuracy - best) * (reference_latency - point.latency)
        best = point.accuracy
    return area


def _equal(first: FrontPoint, second: FrontPoint) -> bool:
    return first.accuracy == second.accuracy and first.latency == second.latency
