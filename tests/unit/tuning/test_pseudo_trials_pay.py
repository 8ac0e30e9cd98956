"""With pseudo trials every tuner comes closer to the best net that there is, at the same number of measurements."""

import statistics

import pytest

from pfpnas_api.kinds import PredictionSpec
from support.known_answer import KnownAnswer, best_so_far, every_net, search

KNOWN = KnownAnswer()
BUDGET, SEEDS = 40, range(5)


def regret(algorithm: str, *, pseudo_trials: int) -> float:
    """Mean over the seeds of what the best measured net lacks to the best one."""
    prediction = PredictionSpec(refit_every=8)  # half the refits, so that this stays fast
    searches = (
        list(search(KNOWN, algorithm, seed=s, pseudo_trials=pseudo_trials, budget=BUDGET, prediction=prediction))
        for s in SEEDS
    )
    return statistics.mean(KNOWN.best - float(best_so_far(KNOWN, found)[-1]) for found in searches)


@pytest.mark.parametrize("algorithm", ["RandomSearch", "TPE", "Anneal", "NSGA2"])
def test_every_tuner_errs_less_with_pseudo_trials(algorithm: str) -> None:
    with_them, without = regret(algorithm, pseudo_trials=300), regret(algorithm, pseudo_trials=0)
    assert with_them < 0.8 * without


def test_the_known_answer_is_neither_trivial_nor_out_of_reach() -> None:
    matrix = every_net(KNOWN.space)
    assert len(matrix) == KNOWN.space.count
    scores = KNOWN.scores(matrix)
    assert 0.1 < (scores > 0).mean() < 0.5, "what keeps the limit"
    assert (scores > KNOWN.best - 0.003).mean() < 0.001, "the very good"
