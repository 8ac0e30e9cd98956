"""Many draws at once are what asking hyperopt so many times gives; NSGA-II breeds on what is predicted."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from pfpnas_api.spaces import GeneMatrix, SearchSpace, canonical, cost, static_costs, to_matrix
from pfpnas_workloads.tuning._base import Observation, Tuner
from pfpnas_workloads.tuning._hyperopt import HyperoptTuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.nsga2 import NSGA2
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.tpe import TPE
from pfpnas_workloads.tuning.worth import Forecast

SPACE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2,), depths=(1, 2))
ASKS = 240
ALARM = 1e-4
"""Of the smallest p-value of all genes, Bonferroni's share included: one alarm in 10,000 for a right law."""


def history(count: int) -> list[Observation]:
    """Results with a clear order, so that a posterior is far from uniform; the last two are under way."""
    rng = np.random.default_rng(3)
    nets = [SPACE.sample(rng) for _ in range(count)]
    done = [
        Observation(net, sum(net.depths) + 0.01 * rng.random(), accuracy=0.5, latency_ms=cost(SPACE, net).macs / 1e6)
        for net in nets[2:]
    ]
    return [*done, *(Observation(net) for net in nets[:2])]


def no_forecast(matrix: GeneMatrix) -> Forecast:
    raise AssertionError("hyperopt draws from its own posterior")


@lru_cache
def asked(kind: type[HyperoptTuner]) -> GeneMatrix:
    """One ask after the other, after the same trials."""
    tuner, trials = kind(SPACE, seed=5), history(30)
    return to_matrix(SPACE, [tuner.suggest(1000 + number, trials) for number in range(ASKS)])


def p_values(first: GeneMatrix, second: GeneMatrix) -> list[float]:
    """Of the hypothesis that both follow one law, for every gene of which both have several values."""
    found = []
    for column in range(first.shape[1]):
        values = np.union1d(first[:, column], second[:, column])
        counts = [[(matrix[:, column] == value).sum() for value in values] for matrix in (first, second)]
        if len(values) > 1:
            found.append(float(chi2_contingency(counts).pvalue))
    return found


@pytest.mark.parametrize("kind", [TPE, Anneal, RandomSearch])
def test_many_draws_follow_the_law_of_single_asks(kind: type[HyperoptTuner]) -> None:
    one_by_one = asked(kind)
    at_once = kind(SPACE, seed=5).draws(4 * ASKS, history(30), seed=1, foresee=no_forecast)
    found = p_values(one_by_one, at_once)
    assert min(found) > ALARM / len(found)
    # Genes of one draw hang together too: how many blocks there are, and how much is computed.
    for figure in (lambda m: static_costs(SPACE, m)["macs"], lambda m: (m > 0).sum(axis=1)):
        ours, theirs = figure(at_once).astype(float), figure(one_by_one).astype(float)
        error = np.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs))
        assert abs(ours.mean() - theirs.mean()) < 4 * error
        assert 0.75 < ours.std() / theirs.std() < 1.33


@pytest.mark.parametrize("kind", [TPE, Anneal])
def test_the_comparison_tells_another_posterior_apart(kind: type[HyperoptTuner]) -> None:
    at_once = kind(SPACE, seed=5).draws(4 * ASKS, history(12), seed=1, foresee=no_forecast)
    found = p_values(asked(kind), at_once)
    assert min(found) < ALARM / len(found)


def few_macs(matrix: GeneMatrix) -> Forecast:
    """Accuracy by the sum of genes, latency by MACs, which are limited."""
    macs = static_costs(SPACE, matrix)["macs"] / cost(SPACE, SPACE.minimum()).macs
    return Forecast(accuracy=matrix.sum(axis=1) / 100, latency=macs, excess=(macs / 3 - 1)[:, None])


@pytest.mark.parametrize("kind", [TPE, Anneal, RandomSearch, NSGA2])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_draws_are_canonical_rows_and_the_seeds_own(kind: type[Tuner], count: int) -> None:
    tuner = kind(SPACE, seed=0)
    drawn = tuner.draws(count, history(20), seed=1, foresee=few_macs)
    assert 1 <= len(drawn) <= count
    np.testing.assert_array_equal(drawn, canonical(SPACE, drawn))
    np.testing.assert_array_equal(drawn, tuner.draws(count, history(20), seed=1, foresee=few_macs))
    if count == 300:
        assert not np.array_equal(drawn, tuner.draws(count, history(20), seed=2, foresee=few_macs))


@pytest.mark.parametrize("kind", [TPE, Anneal, RandomSearch, NSGA2])
def test_before_the_first_result_there_are_draws_too(kind: type[Tuner]) -> None:
    assert len(kind(SPACE, seed=0).draws(50, [], seed=1, foresee=few_macs)) >= 8


@pytest.mark.parametrize("kind", [TPE, Anneal, NSGA2])
def test_results_of_other_weights_teach_nothing(kind: type[Tuner]) -> None:
    results = [replace(one, accuracy=0.9 if at < 9 else 0.5) for at, one in enumerate(history(20))]
    stale = [replace(one, accuracy=None, stale=True) for one in results[:9]]
    tuner = kind(SPACE, seed=0)
    drawn = tuner.draws(40, [*stale, *results[9:]], seed=1, foresee=few_macs)
    np.testing.assert_array_equal(drawn, tuner.draws(40, results[9:], seed=1, foresee=few_macs))
    assert not np.array_equal(drawn, tuner.draws(40, results, seed=1, foresee=few_macs))


@pytest.mark.parametrize("kind", [TPE, Anneal, NSGA2])
def test_where_all_weights_were_others_there_are_suggestions_still(kind: type[Tuner]) -> None:
    stale = [replace(one, stale=True) for one in history(20)[:12]]
    suggested = {kind(SPACE, seed=0).suggest(index, stale) for index in range(12, 18)}
    assert len(suggested) == 6, "drawn from the whole space"


def test_nsga2_gives_all_that_it_had_predicted_and_spends_no_more_than_it_may() -> None:
    asked_for = []

    def counted(matrix: GeneMatrix) -> Forecast:
        asked_for.append(matrix)
        return few_macs(matrix)

    drawn = NSGA2(SPACE, seed=0).draws(1000, history(20), seed=1, foresee=counted)
    assert len(asked_for) == 20, "generations"
    np.testing.assert_array_equal(drawn, np.concatenate(asked_for))
    assert 900 < len(drawn) <= 1000


def test_nsga2_breeds_towards_the_front_within_the_limits() -> None:
    drawn = NSGA2(SPACE, seed=0).draws(1000, history(20), seed=1, foresee=few_macs)
    first, last = few_macs(drawn[:200]), few_macs(drawn[-200:])
    kept = [(forecast.excess <= 0).mean() for forecast in (first, last)]
    assert kept[1] > max(kept[0], 0.6)
    uniform = few_macs(RandomSearch(SPACE, seed=0).draws(1000, [], seed=1, foresee=no_forecast))
    assert best_within(last) > best_within(uniform)


def best_within(forecast: Forecast) -> float:
    """The best accuracy of what keeps the limit."""
    return float(forecast.accuracy[forecast.excess[:, 0] <= 0].max())
