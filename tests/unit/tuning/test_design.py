"""The start-up design: both ends, then ever the farthest; the same for the same seed; within the limits."""

import statistics

import numpy as np
import pytest

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import Architecture, SearchSpace, cost, to_matrix
from pfpnas_workloads.tuning._base import DESIGN_SUGGESTIONS
from pfpnas_workloads.tuning.design import LONGEST, design
from pfpnas_workloads.tuning.region import Region

SPACE = SearchSpace()
SEEDS = range(8)


def region(*constraints: dict[str, str], space: SearchSpace = SPACE) -> Region:
    return Region.of(space, ObjectiveSpec.model_validate({"constraints": list(constraints)}))


def nearest(architectures: tuple[Architecture, ...]) -> float:
    """Share of genes in which the two most alike differ."""
    matrix = to_matrix(SPACE, architectures)
    shares = (matrix[:, None] != matrix[None]).mean(axis=2)
    return float(shares[~np.eye(len(matrix), dtype=bool)].min())


def covered(architectures: tuple[Architecture, ...]) -> int:
    """How many of eight equal ranges of log MACs are met, from the smallest net to the largest."""
    macs = np.log([cost(SPACE, a).macs for a in (SPACE.minimum(), SPACE.maximum(), *architectures)])
    return len(np.unique(np.minimum(8 * (macs[2:] - macs[0]) / (macs[1] - macs[0]), 7).astype(int)))


@pytest.mark.parametrize("seed", SEEDS)
def test_it_begins_with_the_smallest_and_the_largest(seed: int) -> None:
    assert design(region(), seed)[:2] == (SPACE.minimum(), SPACE.maximum())


def test_its_points_are_farther_apart_and_cover_more_sizes_than_uniform_draws() -> None:
    chosen = [design(region(), seed)[:DESIGN_SUGGESTIONS] for seed in SEEDS]
    generators = [np.random.default_rng(seed) for seed in SEEDS]
    uniform = [tuple(SPACE.sample(rng) for _ in range(DESIGN_SUGGESTIONS)) for rng in generators]
    assert statistics.mean(map(nearest, chosen)) > 1.2 * statistics.mean(map(nearest, uniform))
    assert statistics.mean(map(covered, chosen)) > 1 + statistics.mean(map(covered, uniform))


def test_no_point_comes_twice_and_the_seed_decides() -> None:
    points = design(region(), 1)
    assert len(set(points)) == len(points) == LONGEST
    assert design(region(), 1) == points
    assert design(region(), 2)[2:] != points[2:]


@pytest.mark.parametrize("metric", ["FLOPs", "Parameters"])
def test_within_limits_it_uses_them_up(metric: str) -> None:
    limited = region({"metric": metric, "maxRelative": "2"})
    points = design(limited, 0)
    assert all(limited.contains(point) for point in points)
    assert points[0] == SPACE.minimum()
    spent = {"FLOPs": "flops", "Parameters": "parameters"}[metric]
    assert getattr(cost(SPACE, points[1]), spent) > 1.7 * getattr(cost(SPACE, SPACE.minimum()), spent)


def test_a_space_of_few_nets_is_listed_whole() -> None:
    tiny = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 2), resolutions=(16,))
    assert set(design(region(space=tiny), 0)) == set(tiny.enumerate())
    only = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1,), resolutions=(16,))
    assert design(region(space=only), 0) == (only.minimum(),)
