"""NSGA-II (Deb et al., "A fast and elitist multiobjective genetic algorithm", 2002): accuracy up, latency down (pymoo).

Limits are constraints: what keeps them dominates what doesn't, and of two that don't the closer one wins.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo import nsga2
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.ux import UX
from pymoo.problems.static import StaticProblem
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, canonical, sample_matrix, to_matrix
from pfpnas_workloads.tuning._base import Foresee, Observation, Tuner, fresh_seed, results

if TYPE_CHECKING:
    from pfpnas_workloads.tuning.worth import Forecast

POPULATION: Final = 12
"""Measured trials that may be parents: with 8 to 20 the best of 40 is the same, and of 60 better with fewer."""

GENERATIONS: Final = 20
"""Into which the pseudo trials are divided; LINAS (Cummings et al., 2022) breeds 20 generations of 50."""

SMALLEST_POPULATION: Final = 8
"""With fewer pseudo trials than 20 times this there are fewer generations."""

FloatArray = NDArray[np.float64]


class NSGA2(Tuner):
    """Breeds from the best of several objectives: of what was measured, or with predictors over many generations."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:  # noqa: D102
        seed = fresh_seed(self.seed, index, purpose=f"draw {draw}")
        parents = _measured(history)
        if len(parents) < 2:
            return self.space.sample(np.random.default_rng(seed))
        matrix = to_matrix(self.space, [parent.architecture for parent in parents])
        excess = np.array([[parent.violation] for parent in parents])
        problem = _Genes(self.space, foresee=None, constraints=1)
        evolution = _evolution(self.space, problem, size=POPULATION, children=1, seed=seed)
        evaluated = _evaluated(problem, matrix, _objectives(parents), excess)
        rng = np.random.default_rng(seed)
        evolution.tell(infills=evolution.survival.do(problem, evaluated, n_survive=POPULATION, random_state=rng))
        children = evolution.ask()
        if children is None:  # every child is a parent already: the space is small
            return self.space.sample(np.random.default_rng(seed))
        return self.space.from_genes(children[0].X.tolist())

    def draws(  # noqa: D102
        self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee
    ) -> GeneMatrix:
        size = min(count, max(SMALLEST_POPULATION, count // GENERATIONS))
        first = self._first(size, history, rng=np.random.default_rng(seed))
        expected = foresee(first)
        problem = _Genes(self.space, foresee=foresee, constraints=expected.excess.shape[1])
        evolution = _evolution(self.space, problem, size=size, children=size, seed=seed)
        evolution.tell(infills=_evaluated(problem, first, _minimised(expected), expected.excess))
        for _ in range(1, count // size):
            if evolution.has_next():  # not where every child is there already: the space is small
                evolution.next()
        # All generations, since all are predicted: the last alone is a front, narrower than what promises a gain.
        return canonical(self.space, np.concatenate([first, *problem.judged]))

    def _first(self, size: int, history: Sequence[Observation], *, rng: np.random.Generator) -> GeneMatrix:
        """The first generation: the measured front, at most half of it, and uniform draws."""
        parents = _measured(history)
        front = NonDominatedSorting().do(_objectives(parents), only_non_dominated_front=True) if parents else []
        chosen = to_matrix(self.space, [parents[at].architecture for at in front[: size // 2]])
        return np.concatenate([chosen, sample_matrix(self.space, size - len(chosen), rng=rng)])


def _measured(history: Sequence[Observation]) -> list[Observation]:
    found = results(history)
    return [observation for observation in found if observation.latency_ms is not None and not observation.stale]


def _objectives(measured: Sequence[Observation]) -> FloatArray:
    """What is minimised, `(n, 2)`; a skipped accuracy counts as none at all."""
    return np.array([[-(observation.accuracy or 0.0), observation.latency_ms] for observation in measured], np.float64)


def _minimised(expected: "Forecast") -> FloatArray:
    return np.column_stack([-expected.accuracy, expected.latency])


def _evaluated(problem: Problem, matrix: GeneMatrix, objectives: FloatArray, excess: FloatArray) -> Any:
    """Rows as pymoo's individuals that need no evaluation any more."""
    population = Population.new("X", matrix.astype(int))
    return Evaluator().eval(StaticProblem(problem, F=objectives, G=excess), population)


def _evolution(space: SearchSpace, problem: Problem, *, size: int, children: int, seed: int) -> Any:
    evolution = nsga2.NSGA2(
        pop_size=size,
        n_offsprings=children,
        crossover=UX(),
        mutation=_Redraw(),
        repair=_Canonical(space),
        seed=seed,
    )
    return evolution.setup(problem, termination=("n_gen", 10**6), seed=seed, verbose=False)


class _Genes(Problem):  # type: ignore[misc]  # pymoo has no types
    """Genes as whole numbers, judged by predictors, or (without any) elsewhere."""

    def __init__(self, space: SearchSpace, *, foresee: Foresee | None, constraints: int) -> None:
        highest = np.array([len(gene.values) - 1 for gene in space.genes()])
        super().__init__(
            n_var=len(highest), n_obj=2, n_ieq_constr=constraints, xl=np.zeros_like(highest), xu=highest, vtype=int
        )
        self._foresee = foresee
        self.judged: list[GeneMatrix] = []
        """What the predictors were asked, one matrix a generation."""

    def _evaluate(self, x: NDArray[np.int_], out: dict[str, FloatArray], *_: object, **__: object) -> None:
        assert self._foresee is not None  # measured populations come evaluated
        self.judged.append(x.astype(np.int8))
        expected = self._foresee(self.judged[-1])
        out["F"] = _minimised(expected)
        out["G"] = expected.excess


class _Redraw(Mutation):  # type: ignore[misc]
    """Draws each gene anew with the probability 1/genes: genes are too short for a distance that grows less likely."""

    def _do(
        self, problem: Problem, x: NDArray[np.int_], random_state: np.random.Generator, **_: object
    ) -> NDArray[np.int_]:
        drawn = random_state.integers(0, problem.xu + 1, size=x.shape)
        return np.where(random_state.random(x.shape) < 1 / problem.n_var, drawn, x)


class _Canonical(Repair):  # type: ignore[misc]
    """Sets inactive genes to 0, so that equal nets are equal rows."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self._space = space

    def _do(self, _: Problem, x: NDArray[np.int_], **__: object) -> NDArray[np.int_]:
        return canonical(self._space, x.astype(np.int8)).astype(int)
