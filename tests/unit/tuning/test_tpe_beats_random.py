"""TPE finds better nets than random draws at the same budget, on a closed form and over several seeds."""

import statistics

import pytest

from pfpnas_api.scoring import StaticLimits
from pfpnas_api.spaces import Architecture, SearchSpace, cost
from pfpnas_workloads.tuning._base import Observation, Tuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.region import Region
from pfpnas_workloads.tuning.tpe import TPE

SPACE = SearchSpace()
BUDGET = 40
SEEDS = range(5)
LARGEST = cost(SPACE, SPACE.maximum()).flops


def loss(architecture: Architecture) -> float:
    """Wants large kernels early, small ones late, expand 3, and few operations; additive, so a model can learn it."""
    wanted = [
        (gene.kernel == (5 if stage < 3 else 3)) + 1 - abs(gene.expand - 3)
        for stage, blocks in enumerate(architecture.stages)
        for gene in blocks
    ]
    return 1 - statistics.mean(wanted) / 2 + 0.3 * cost(SPACE, architecture).flops / LARGEST


def best_of(kind: type[Tuner], seed: int) -> float:
    """The least loss of a search, one trial at a time."""
    proposer = Proposer(kind(SPACE, seed=seed), Region(SPACE, StaticLimits()))
    history: list[Observation] = []
    for index in range(BUDGET):
        suggestion = proposer.suggestion(index, history, {o.architecture for o in history})
        architecture = SPACE.parse(suggestion.architecture or "")
        history.append(Observation(architecture, loss(architecture)))
    return min(o.loss for o in history if o.loss is not None)


@pytest.mark.parametrize("kind", [TPE, Anneal])
def test_a_model_beats_random_search_at_equal_budget(kind: type[Tuner]) -> None:
    model = [best_of(kind, seed) for seed in SEEDS]
    uniform = [best_of(RandomSearch, seed) for seed in SEEDS]
    assert statistics.mean(model) < 0.85 * statistics.mean(uniform)
    assert sum(m < u for m, u in zip(model, uniform, strict=True)) >= 4
