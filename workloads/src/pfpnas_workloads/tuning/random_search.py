"""Uniform draws: the baseline that every other tuner has to beat."""

from collections.abc import Sequence

from hyperopt import Domain, Trials, rand

from pfpnas_workloads.tuning._base import Observation, Origin
from pfpnas_workloads.tuning._hyperopt import Choices, Document, HyperoptTuner


class RandomSearch(HyperoptTuner):
    """Draws every gene uniformly, whatever was measured."""

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
