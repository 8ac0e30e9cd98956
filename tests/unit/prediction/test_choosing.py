"""Which candidate wins: by mean − deviation of Kendall's τ, then by its error, then the simpler one.

What the candidates guess is laid down here, so that each rule decides alone.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from pfpnas_api.spaces import SearchSpace, sample_matrix
from pfpnas_workloads.prediction.candidates import Candidate, Floats, Inputs
from pfpnas_workloads.prediction.choosing import EQUAL, TIE, choose
from pfpnas_workloads.prediction.encoding import coded
from pfpnas_workloads.prediction.validation import Problem, kendall_tau, split

SPACE = SearchSpace(depths=(1, 2), resolutions=(16, 24))
COUNT = 41
PAIRS = COUNT * (COUNT - 1) // 2

FIRST, SECOND = Candidate("log MACs", None, "affine"), Candidate("log MACs", "compact", "ridge")


def guesses(tau: float, *, bias: float) -> Floats:
    """Guesses of 0, 1, 2, … that are ordered like that, and err by about so much."""
    swaps = round((1 - tau) / 2 * PAIRS)
    left, order = list(range(COUNT)), []
    while left:
        skipped = min(swaps, len(left) - 1)
        order.append(left.pop(skipped))
        swaps -= skipped
    return np.array(order, np.float64) + bias


def choice(first: Sequence[float], second: Sequence[float], *, biases: tuple[float, float] = (0, 0)) -> Candidate:
    """Of two candidates with these τ in four repetitions, the first of which is the simpler."""
    inputs = Inputs(SPACE, coded(SPACE, sample_matrix(SPACE, COUNT, rng=np.random.default_rng(0))), public=None)
    problem = Problem(inputs, np.arange(COUNT, dtype=np.float64), split(np.arange(COUNT), seed=0), 0)
    assert len(problem.folds) == len(first) == len(second)
    for candidate, taus, bias in zip((FIRST, SECOND), (first, second), biases, strict=True):
        for repetition, tau in enumerate(taus):
            problem._guesses[candidate, repetition] = guesses(tau, bias=bias)
    return choose(problem, [FIRST, SECOND])


STEADY = (0.8, 0.8, 0.8, 0.8)
WAVERING = (0.87, 0.77, 0.87, 0.77)
"""Better on average by 0.02, with a deviation of 0.05."""


@pytest.mark.parametrize("tau", [1.0, 0.87, 0.8, 0.0])
def test_guesses_are_ordered_as_they_are_said_to_be(tau: float) -> None:
    assert kendall_tau(guesses(tau, bias=3.0), np.arange(COUNT, dtype=np.float64)) == pytest.approx(tau, abs=0.002)


def test_what_wavers_loses_to_what_is_steady_although_its_mean_is_better() -> None:
    assert choice(STEADY, WAVERING) == FIRST
    assert choice(WAVERING, STEADY) == SECOND


def test_a_better_order_wins_however_much_it_errs() -> None:
    better = tuple(tau + 3 * TIE for tau in STEADY)
    assert choice(STEADY, better, biases=(0, 100)) == SECOND
    assert choice(better, STEADY, biases=(100, 0)) == FIRST


def test_of_two_that_order_alike_the_one_that_errs_less_wins() -> None:
    hardly_better = tuple(tau + TIE / 2 for tau in STEADY)
    assert choice(hardly_better, STEADY, biases=(100, 0)) == SECOND
    assert choice(STEADY, hardly_better, biases=(0, 100)) == FIRST


def test_of_two_that_order_and_err_alike_the_simpler_wins() -> None:
    hardly_worse, much_worse = 100 * (1 + EQUAL / 2), 100 * (1 + 3 * EQUAL)
    assert choice(STEADY, STEADY, biases=(hardly_worse, 100)) == FIRST
    assert choice(STEADY, STEADY, biases=(much_worse, 100)) == SECOND


def test_what_is_far_behind_at_first_is_not_waited_for() -> None:
    late = (0.53, 1.0, 1.0, 1.0)
    assert choice((0.65,) * 4, late) == FIRST
