"""Suggestions: within the known limits, never twice, and an end that is proven when there is nothing left."""

from collections.abc import Sequence

import pytest

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.messages import Suggestion
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, cost, to_matrix
from pfpnas_workloads.tuning._base import DESIGN_SUGGESTIONS, Foresee, Observation, Tuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.nsga2 import NSGA2
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.region import Region
from pfpnas_workloads.tuning.tpe import TPE

TINY = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 2), resolutions=(16,))
"""Of 32 nets."""

LARGE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 4), depths=(1, 2), resolutions=(16, 20, 24, 28, 32))
"""Of 10^12 nets."""


class Stubborn(Tuner):
    """Wants the same net again and again."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        return self.space.maximum()

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:
        return to_matrix(self.space, [self.space.maximum()] * count)


def proposer(kind: type[Tuner], space: SearchSpace, *constraints: dict[str, str], seed: int = 0) -> Proposer:
    objective = ObjectiveSpec.model_validate({"constraints": list(constraints)})
    return Proposer(kind(space, seed=seed), Region.of(space, objective))


def run(made_by: Proposer, count: int) -> list[Suggestion]:
    """Suggestions one after the other; each trial's loss is its number of operations."""
    history: list[Observation] = []
    suggestions = []
    for index in range(count):
        suggestion = made_by.suggestion(index, history, {seen.architecture for seen in history})
        suggestions.append(suggestion)
        if suggestion.architecture:
            architecture = made_by.tuner.space.parse(suggestion.architecture)
            history.append(Observation(architecture, cost(made_by.tuner.space, architecture).flops / 1e9))
    return suggestions


@pytest.mark.parametrize("kind", [RandomSearch, TPE, Anneal, NSGA2])
def test_every_net_of_a_small_space_is_suggested_once_and_then_the_space_is_exhausted(kind: type[Tuner]) -> None:
    suggestions = run(proposer(kind, TINY), TINY.count + 2)
    assert {s.architecture for s in suggestions[:-2]} == {a.id for a in TINY.enumerate()}
    assert [s.exhausted for s in suggestions[-2:]] == ["SpaceExhausted"] * 2
    assert all(s.architecture is None and s.closest is None for s in suggestions[-2:])


def test_a_tuner_that_repeats_itself_gives_the_neighbourhood_of_what_it_wants() -> None:
    history = [Observation(LARGE.minimum(), 0.0)] * DESIGN_SUGGESTIONS
    seen = {LARGE.maximum()}
    for index in range(DESIGN_SUGGESTIONS, DESIGN_SUGGESTIONS + 20):
        suggestion = proposer(Stubborn, LARGE).suggestion(index, history, seen)
        assert suggestion.architecture is not None
        architecture = LARGE.parse(suggestion.architecture)
        assert architecture not in seen
        assert suggestion.origin == "Tuner"
        assert sum(architecture.depths) >= 8, "nearly as deep as the deepest, of 11 blocks"
        seen.add(architecture)


@pytest.mark.parametrize("kind", [RandomSearch, TPE, Anneal, NSGA2])
@pytest.mark.parametrize(
    "limit",
    [
        {"metric": "FLOPs", "maxRelative": "1.3"},
        {"metric": "MACs", "maxRelative": "4"},
        {"metric": "Parameters", "maxRelative": "1.05"},
        {"metric": "ModelSize", "maxRelative": "1.5"},
    ],
)
def test_no_suggestion_breaks_a_limit_known_beforehand(kind: type[Tuner], limit: dict[str, str]) -> None:
    made_by = proposer(kind, LARGE, limit)
    suggestions = run(made_by, 16)
    nets = [LARGE.parse(s.architecture or "") for s in suggestions]
    assert all(made_by.region.contains(net) for net in nets)
    assert len(set(nets)) == len(nets)


def test_within_a_limit_that_leaves_few_nets_of_a_large_space_each_is_found_and_then_the_end() -> None:
    # Parameters don't depend on the resolution, so the smallest net at each of them is all that is left.
    suggestions = run(proposer(TPE, LARGE, {"metric": "Parameters", "maxRelative": "1"}), 7)
    least = LARGE.minimum().stages
    assert {s.architecture for s in suggestions[:5]} == {Architecture(r, least).id for r in LARGE.resolutions}
    assert [s.exhausted for s in suggestions[5:]] == ["SpaceExhausted"] * 2


def test_limits_that_nothing_keeps_end_with_the_closest() -> None:
    for kind in (RandomSearch, TPE, Anneal, NSGA2):
        (suggestion,) = run(proposer(kind, LARGE, {"metric": "FLOPs", "max": "1k"}), 1)
        assert suggestion.exhausted == "NoFeasibleArchitecture"
        assert suggestion.closest == LARGE.minimum().id
        assert suggestion.architecture is None


def test_the_closest_has_the_smallest_violation_of_the_whole_space() -> None:
    made_by = proposer(TPE, TINY, {"metric": "MACs", "max": "1k"}, {"metric": "Parameters", "max": "1k"})
    suggestion = made_by.suggestion(0, [], set())
    violations = {a.id: made_by.region.limits.violation(cost(TINY, a)) for a in TINY.enumerate()}
    assert violations[suggestion.closest or ""] == min(violations.values())


def test_suggestions_say_whether_they_were_drawn_at_random() -> None:
    origins = [s.origin for s in run(proposer(TPE, LARGE), DESIGN_SUGGESTIONS + 4)]
    assert origins == ["Random"] * DESIGN_SUGGESTIONS + ["Tuner"] * 4
    assert {s.origin for s in run(proposer(RandomSearch, LARGE), 14)} == {"Random"}


@pytest.mark.parametrize("kind", [RandomSearch, TPE, Anneal, NSGA2])
def test_the_same_seed_gives_the_same_run_and_another_seed_another(kind: type[Tuner]) -> None:
    limit = {"metric": "FLOPs", "maxRelative": "3"}
    first, again, other = (run(proposer(kind, LARGE, limit, seed=seed), 12) for seed in (1, 1, 2))
    assert first == again
    assert first != other
