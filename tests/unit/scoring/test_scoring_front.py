"""The front and its hypervolume against their definitions, and limits known before any build."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.scoring import FrontPoint, hypervolume, insert_point, pareto_front, static_limits
from pfpnas_api.spaces import SearchSpace, cost

# Few distinct values, so that ties are common.
coarse = st.builds(FrontPoint, st.integers(0, 6).map(float), st.integers(1, 6).map(float))
fine = st.builds(FrontPoint, st.floats(0, 1), st.floats(0.1, 100))
clouds = st.lists(coarse | fine, max_size=40).map(
    lambda points: [FrontPoint(p.accuracy, p.latency, f"t{i:02}") for i, p in enumerate(points)]
)


def dominates(a: FrontPoint, b: FrontPoint) -> bool:
    return a.accuracy >= b.accuracy and a.latency <= b.latency and (a.accuracy, a.latency) != (b.accuracy, b.latency)


@given(clouds)
def test_front_is_exactly_what_nothing_dominates(points: list[FrontPoint]) -> None:
    expected = {p for p in points if not any(dominates(q, p) for q in points)}
    front = pareto_front(points)
    assert set(front) == expected
    assert len(front) == len(expected)


@given(clouds)
def test_front_rises_in_both_objectives(points: list[FrontPoint]) -> None:
    front = pareto_front(points)
    assert list(front) == sorted(front, key=lambda p: (p.latency, p.accuracy, p.key))
    assert list(front) == sorted(front, key=lambda p: (p.accuracy, p.latency, p.key))


@given(clouds, st.randoms(use_true_random=False))
def test_one_point_after_another_gives_the_same_front(points: list[FrontPoint], rng: random.Random) -> None:
    expected = pareto_front(points)
    rng.shuffle(points)
    front: tuple[FrontPoint, ...] = ()
    for point in points:
        front = insert_point(front, point)
    assert front == expected


def test_hypervolume_of_two_steps() -> None:
    points = [FrontPoint(0.5, 2.0), FrontPoint(0.8, 6.0), FrontPoint(0.4, 3.0)]
    assert hypervolume(points, reference_latency=10.0) == pytest.approx(0.5 * 8 + 0.3 * 4)
    assert hypervolume(points, reference_accuracy=0.5, reference_latency=10.0) == pytest.approx(0.3 * 4)
    assert hypervolume(points, reference_latency=6.0) == pytest.approx(0.5 * 4)
    assert hypervolume([], reference_latency=6.0) == 0


@given(clouds, coarse | fine)
def test_hypervolume_never_falls_by_a_point(points: list[FrontPoint], more: FrontPoint) -> None:
    before = hypervolume(points, reference_latency=50.0)
    assert hypervolume([*points, more], reference_latency=50.0) >= before - 1e-9


@given(st.lists(st.builds(FrontPoint, st.integers(0, 8).map(float), st.integers(0, 8).map(float)), max_size=12))
def test_hypervolume_counts_the_dominated_cells(points: list[FrontPoint]) -> None:
    cells = sum(any(p.accuracy > a and p.latency <= t for p in points) for a in range(8) for t in range(8))
    assert hypervolume(points, reference_latency=8.0) == pytest.approx(cells)


def make_objective(*constraints: dict[str, str]) -> ObjectiveSpec:
    return ObjectiveSpec.model_validate({"constraints": list(constraints)})


def test_only_limits_that_follow_from_the_architecture_are_static() -> None:
    objective = make_objective(
        {"metric": "Latency", "max": "1ms"},
        {"metric": "ModelSize", "max": "64Ki"},
        {"metric": "FLOPs", "maxRelative": "2"},
    )
    found = static_limits(objective, SPACE).limits
    assert [limit.metric for limit in found] == ["ModelSize", "FLOPs"]
    assert [limit.limit for limit in found] == [65536, 2 * cost(SPACE, SPACE.minimum()).flops]


SPACE = SearchSpace()


@pytest.mark.parametrize("metric", ["FLOPs", "MACs", "Parameters", "ModelSize"])
def test_smallest_meets_its_own_size_and_nothing_meets_less(metric: str) -> None:
    smallest, largest = cost(SPACE, SPACE.minimum()), cost(SPACE, SPACE.maximum())
    equal = static_limits(make_objective({"metric": metric, "maxRelative": "1.0"}), SPACE)
    assert equal.violation(smallest) == 0
    assert equal.violation(largest) > 0
    half = static_limits(make_objective({"metric": metric, "maxRelative": "0.5"}), SPACE)
    assert half.violation(smallest) == pytest.approx(1.0)
    assert [limit.metric for limit in half.broken(smallest)] == [metric]


def test_violations_of_several_limits_add_up() -> None:
    smallest = cost(SPACE, SPACE.minimum())
    both = static_limits(
        make_objective({"metric": "MACs", "maxRelative": "0.5"}, {"metric": "FLOPs", "maxRelative": "0.25"}), SPACE
    )
    assert both.violation(smallest) == pytest.approx(1.0 + 3.0)
