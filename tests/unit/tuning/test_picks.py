"""Of many predicted draws the one that promises most is measured, and several at once are no neighbours."""

import numpy as np
import pytest

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import GeneMatrix, SearchSpace, sample_matrix
from pfpnas_workloads.prediction.private import Prediction
from pfpnas_workloads.tuning.picks import Pool, best_first

SPACE = SearchSpace()
OBJECTIVE = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "max": "2ms"}]})
NONE = np.zeros((0, len(SPACE.genes())), np.int8)
COUNT = 60


def rows() -> GeneMatrix:
    return np.unique(sample_matrix(SPACE, COUNT, rng=np.random.default_rng(2)), axis=0)


def pool(accuracy: np.ndarray, latency: np.ndarray | float = 1.0) -> Pool:
    matrix = rows()
    count = len(matrix)
    prediction = Prediction(
        np.resize(accuracy, count), np.full(count, 0.01), np.resize(latency, count), np.full(count, 0.05)
    )
    return Pool(matrix, prediction)


def test_what_is_expected_to_better_the_best_comes_first() -> None:
    accuracy = np.linspace(0.5, 0.9, COUNT)
    order = best_first(pool(accuracy), OBJECTIVE, best=0.7, tried=NONE, waiting=NONE)
    assert list(order) == list(range(COUNT))[::-1]


def test_the_more_accurate_that_breaks_the_limit_for_sure_comes_last() -> None:
    accuracy, latency = np.linspace(0.5, 0.9, COUNT), np.linspace(1.0, 5.0, COUNT)
    order = best_first(pool(accuracy, latency), OBJECTIVE, best=0.5, tried=NONE, waiting=NONE)
    assert latency[order[0]] == pytest.approx(2.0, abs=0.2), "as near to the limit as is safe"
    assert latency[order[-1]] > 4


def test_until_something_keeps_the_limit_its_chance_decides() -> None:
    latency = np.linspace(5.0, 1.0, COUNT)
    order = best_first(pool(np.linspace(0.9, 0.5, COUNT), latency), OBJECTIVE, best=None, tried=NONE, waiting=NONE)
    assert latency[order[0]] < 1.8


def test_what_was_tried_is_not_proposed_again() -> None:
    tried = rows()[20:]
    order = best_first(pool(np.linspace(0.5, 0.9, COUNT)), OBJECTIVE, best=0.6, tried=tried, waiting=NONE)
    assert sorted(order) == list(range(20))


def test_beside_a_trial_under_way_its_neighbours_wait() -> None:
    chosen = pool(np.full(COUNT, 0.7))
    waiting = chosen.matrix[:1].copy()
    order = best_first(chosen, OBJECTIVE, best=0.7, tried=waiting, waiting=waiting)
    distances = (chosen.matrix[list(order)] != waiting[0]).sum(axis=1)
    assert distances[0] == distances.max()
    assert distances[-1] == distances.min()


def test_where_no_gain_is_left_the_expected_score_decides() -> None:
    accuracy = np.linspace(0.1, 0.2, COUNT)
    order = best_first(pool(accuracy), OBJECTIVE, best=0.99, tried=NONE, waiting=NONE)
    assert list(order) == list(range(COUNT))[::-1]
