"""Tuners whose library is imported beside other things: that takes a second, and the first design needs none."""

from collections.abc import Sequence
from functools import cached_property

from pfpnas_api.kinds import TunerSpec
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace
from pfpnas_workloads.tuning._base import Foresee, Observation, Origin, Tuner


class Later(Tuner):
    """The algorithm that an experiment wishes for, made when it is first asked or prepared."""

    def __init__(self, spec: TunerSpec, space: SearchSpace) -> None:
        super().__init__(space, seed=spec.seed)
        self._algorithm = spec.algorithm

    def prepare(self) -> None:  # noqa: D102
        _ = self._tuner  # made twice, if it is asked just then: tuners keep nothing

    @property
    def designed(self) -> bool:  # noqa: D102
        return self._algorithm != "RandomSearch"

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:  # noqa: D102
        return self._tuner.suggest(index, history, draw=draw)

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:  # noqa: D102
        return self._tuner.draws(count, history, seed=seed, foresee=foresee)

    def origin(self, index: int, history: Sequence[Observation]) -> Origin:  # noqa: D102
        return "Random" if self._algorithm == "RandomSearch" else super().origin(index, history)

    @cached_property
    def _tuner(self) -> Tuner:
        return _algorithm(self._algorithm)(self.space, seed=self.seed)


def _algorithm(name: str) -> type[Tuner]:
    match name:
        case "TPE":
            from pfpnas_workloads.tuning.tpe import TPE  # noqa: PLC0415 - hyperopt

            return TPE
        case "Anneal":
            from pfpnas_workloads.tuning.anneal import Anneal  # noqa: PLC0415 - hyperopt

            return Anneal
        case "RandomSearch":
            from pfpnas_workloads.tuning.random_search import RandomSearch  # noqa: PLC0415 - hyperopt

            return RandomSearch
        case _:
            from pfpnas_workloads.tuning.nsga2 import NSGA2  # noqa: PLC0415 - pymoo

            return NSGA2
