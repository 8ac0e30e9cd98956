"""Uniform draws: the baseline that every other tuner has to beat."""

from collections.abc import Sequence

from hyperopt import Domain, Trials, rand

from pfpnas_api.spaces import Architecture, GeneMatrix
from pfpnas_workloads.tuning._base import Foresee, Observation, Origin
from pfpnas_workloads.tuning._hyperopt import Choices, Document, HyperoptTuner


class RandomSearch(HyperoptTuner):
    """Draws every gene uniformly, whatever was measured."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:  # noqa: D102
        # What was measured says nothing here, and to put it in hyperopt's form costs more with every trial.
        return super().suggest(index, (), draw=draw)

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:  # noqa: D102
        return super().draws(count, (), seed=seed, foresee=foresee)

    @property
    def designed(self) -> bool:  # noqa: D102
        return False

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = rand.suggest([new_id], domain, trials, seed)
        return documents

    def ask_many(self, count: int, domain: Domain, trials: Trials, seed: int) -> Choices:  # noqa: D102
        _, choices = rand.suggest_batch(range(count), domain, trials, seed)
        found: Choices = choices
        return found

    def origin(self, index: int, history: Sequence[Observation]) -> Origin:  # noqa: D102
        return "Random"
