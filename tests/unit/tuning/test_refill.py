"""Pseudo trials are as many as were asked for, however narrow a tuner's posterior has become."""

from collections.abc import Sequence

import numpy as np
import pytest

from pfpnas_api.kinds import ObjectiveSpec, PredictionSpec
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, canonical, sample_matrix, to_matrix
from pfpnas_workloads.tuning._base import Foresee, Observation, Tuner
from pfpnas_workloads.tuning.pseudo import PseudoTrials
from pfpnas_workloads.tuning.refill import refilled
from pfpnas_workloads.tuning.refit import Refits
from pfpnas_workloads.tuning.region import Region

SPACE = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 4), depths=(1, 2), resolutions=(16, 24))
TINY = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 2), resolutions=(16,))
"""Of 32 nets."""

OBJECTIVE = ObjectiveSpec.model_validate({"constraints": [{"metric": "FLOPs", "maxRelative": "3"}]})


def rows_of(matrix: GeneMatrix) -> set[tuple[int, ...]]:
    return {tuple(row) for row in matrix.tolist()}


def uniform(space: SearchSpace, count: int) -> GeneMatrix:
    return sample_matrix(space, count, rng=np.random.default_rng(1))


@pytest.mark.parametrize("different", [0, 1, 5, 200])
def test_few_draws_are_made_up_to_as_many_as_are_wanted(different: int) -> None:
    region, tried = Region.of(SPACE, OBJECTIVE), uniform(SPACE, 30)
    drawn = np.repeat(uniform(SPACE, 400)[:different], 3, axis=0)
    found = refilled(region, drawn, count=150, tried=tried, rng=np.random.default_rng(0))
    assert len(rows_of(found)) == len(found) == 150
    assert not rows_of(found) & rows_of(tried)
    assert region.keeps(found).all()
    np.testing.assert_array_equal(found, canonical(SPACE, found))
    again = refilled(region, drawn, count=150, tried=tried, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found, again)


def test_what_is_missing_is_like_what_was_drawn() -> None:
    region = Region.of(SPACE, ObjectiveSpec())
    (row,) = drawn = to_matrix(SPACE, [SPACE.maximum()])
    found = refilled(region, drawn, count=60, tried=drawn, rng=np.random.default_rng(0))
    assert (found != row).sum(axis=1).mean() < 0.5 * (uniform(SPACE, 60) != row).sum(axis=1).mean()


def test_no_size_of_net_comes_first_where_nothing_else_decides() -> None:
    region, none = Region.of(SPACE, ObjectiveSpec()), uniform(SPACE, 0)
    found = refilled(region, uniform(SPACE, 400), count=300, tried=none, rng=np.random.default_rng(0))
    sizes = found.sum(axis=1)
    assert sizes[:100].mean() == pytest.approx(sizes.mean(), rel=0.05)


def test_of_a_small_space_nothing_is_left_out() -> None:
    everything = to_matrix(TINY, list(TINY.enumerate()))
    region = Region.of(TINY, ObjectiveSpec())
    found = refilled(region, everything[:1], count=300, tried=everything[:4], rng=np.random.default_rng(0))
    assert rows_of(found) == rows_of(everything[4:])


class Collapsed(Tuner):
    """Draws one net only, as annealing does in the end; what it would measure itself is not to be asked for."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        raise AssertionError("the predictors are to choose")

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:
        return to_matrix(self.space, [self.space.minimum()] * count)


def test_what_is_no_exploration_is_always_the_predictors_choice() -> None:
    objective = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "max": "2ms"}]})
    spec = PredictionSpec(refit_every=4, exploration="0")
    refits = Refits(SPACE, objective, spec, None, 0)
    tuner = PseudoTrials(Collapsed(SPACE, seed=0), Region.of(SPACE, objective), refits, count=20)
    rng = np.random.default_rng(0)
    history: list[Observation] = []
    for index in range(24):
        net = SPACE.sample(rng) if index < 8 else tuner.suggest(index, history)
        assert all(net != trial.architecture for trial in history)
        history.append(Observation(net, -0.5, accuracy=0.5 + 0.1 * rng.random(), latency_ms=1 + rng.random()))
