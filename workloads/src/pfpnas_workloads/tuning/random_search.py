"""Uniform draws: the baseline that every other tuner has to beat."""

from collections.abc import Sequence
from typing import Literal

from hyperopt import Domain, Trials, rand

from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning._hyperopt import Document, HyperoptTuner


class RandomSearch(HyperoptTuner):
    """Draws every gene uniformly, whatever was measured."""

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = rand.suggest([new_id], domain, trials, seed)
        return documents

    def origin(self, index: int, history: Sequence[Observation]) -> Literal["Tuner", "Random"]:  # noqa: D102
        return "Random"
