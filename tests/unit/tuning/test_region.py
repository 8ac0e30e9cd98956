"""Limits known beforehand: what keeps them, and how to get there."""

import numpy as np
import pytest

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import SearchSpace, canonical, cost, sample_matrix, to_architectures
from pfpnas_workloads.tuning.region import Region, larger

SPACE = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 4), depths=(1, 3), resolutions=(16, 24))
METRICS = {"FLOPs": "flops", "MACs": "macs", "Parameters": "parameters", "ModelSize": "model_bytes"}


def region(*constraints: dict[str, str]) -> Region:
    return Region.of(SPACE, ObjectiveSpec.model_validate({"constraints": list(constraints)}))


@pytest.mark.parametrize("metric", METRICS)
def test_a_relative_limit_is_a_multiple_of_the_smallest_net(metric: str) -> None:
    limited = region({"metric": metric, "maxRelative": "2.0"})
    least = getattr(cost(SPACE, SPACE.minimum()), METRICS[metric])
    rng = np.random.default_rng(0)
    for architecture in [SPACE.sample(rng) for _ in range(100)]:
        spent = getattr(cost(SPACE, architecture), METRICS[metric])
        assert limited.contains(architecture) == (spent <= 2 * least)


def test_an_absolute_limit_counts_in_its_unit() -> None:
    flops = cost(SPACE, SPACE.maximum()).flops
    assert region({"metric": "FLOPs", "max": f"{flops}"}).contains(SPACE.maximum())
    assert not region({"metric": "FLOPs", "max": f"{flops - 1}"}).contains(SPACE.maximum())


def test_limits_on_what_is_measured_exclude_nothing() -> None:
    assert region({"metric": "Latency", "max": "1us"}, {"metric": "PeakMemory", "max": "1"}).contains(SPACE.maximum())


def test_the_smallest_net_costs_the_least_of_everything_and_every_step_up_costs_no_less() -> None:
    rng = np.random.default_rng(1)
    for architecture in [SPACE.sample(rng) for _ in range(50)]:
        spent = cost(SPACE, architecture)
        for step in larger(SPACE, architecture):
            more = cost(SPACE, step)
            assert all(getattr(more, field) >= getattr(spent, field) for field in METRICS.values())


def test_steps_up_from_the_smallest_net_reach_every_net() -> None:
    space = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 3), resolutions=(16, 24))
    met, frontier = {space.minimum()}, [space.minimum()]
    while frontier:
        steps = [step for step in larger(space, frontier.pop()) if step not in met]
        met.update(steps)
        frontier.extend(steps)
    assert met == set(space.enumerate())


def test_bringing_within_keeps_what_is_within_and_never_grows() -> None:
    limited = region({"metric": "MACs", "maxRelative": "1.5"})
    rng = np.random.default_rng(3)
    for architecture in [SPACE.sample(rng) for _ in range(50)]:
        brought = limited.brought_within(architecture, rng)
        assert limited.contains(brought)
        assert cost(SPACE, brought).macs <= cost(SPACE, architecture).macs
        assert brought == architecture or not limited.contains(architecture)


def test_bringing_many_within_keeps_what_is_within_and_never_grows() -> None:
    limited = region({"metric": "MACs", "maxRelative": "1.5"}, {"metric": "Parameters", "maxRelative": "2"})
    matrix = sample_matrix(SPACE, 200, rng=np.random.default_rng(4))
    inside = limited.keeps(matrix)
    assert inside.tolist() == [limited.contains(net) for net in to_architectures(SPACE, matrix)]
    brought = limited.lowered(matrix, np.random.default_rng(5))
    assert limited.keeps(brought).all()
    assert (brought <= matrix).all()
    np.testing.assert_array_equal(brought[inside], matrix[inside])
    np.testing.assert_array_equal(brought, canonical(SPACE, brought))


def test_growing_ends_where_no_step_keeps_the_limits() -> None:
    limited = region({"metric": "MACs", "maxRelative": "1.5"})
    grown = limited.grown(SPACE.minimum(), np.random.default_rng(0))
    assert limited.contains(grown)
    assert not any(limited.contains(step) for step in larger(SPACE, grown))
    assert region().grown(SPACE.minimum(), np.random.default_rng(0)) == SPACE.maximum()
