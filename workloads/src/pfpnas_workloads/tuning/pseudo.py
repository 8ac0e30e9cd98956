"""Pseudo trials: a tuner's draws are judged by predictors, and only the best of them become trials.

The predictors are fitted again whenever `refitEvery` further results are there. Between two refits the tuner's
posterior is frozen: `pseudoTrials` are drawn from it at once, in what it knows from the same results.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pfpnas_api.kinds import PredictedMetrics, PredictorStatus
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.spaces import Architecture, GeneMatrix
from pfpnas_workloads.tuning._base import Foresee, Observation, Origin, Tuner, fresh_seed, results
from pfpnas_workloads.tuning.foretold import foretold
from pfpnas_workloads.tuning.picks import Pool, best_first
from pfpnas_workloads.tuning.refill import refilled
from pfpnas_workloads.tuning.refit import LatestRefit, Refit, Refits
from pfpnas_workloads.tuning.region import Region
from pfpnas_workloads.tuning.worth import Forecast, forecast


class PseudoTrials(Tuner):
    """A tuner whose draws the predictors judge first.

    Args:
        inner: Makes the draws.
        region: Where draws have to lie.
        refits: How the predictors are fitted.
        count: Draws a refit.
    """

    def __init__(self, inner: Tuner, region: Region, refits: Refits, *, count: int) -> None:
        super().__init__(inner.space, seed=inner.seed)
        self.inner, self.region, self.refits, self.count = inner, region, refits, count
        self._refit = LatestRefit(refits)
        self._pool: tuple[Refit, Pool] | None = None
        self._quality: tuple[Refit, PredictorStatus] | None = None

    def prepare(self) -> None:  # noqa: D102
        self.inner.prepare()

    @property
    def designed(self) -> bool:  # noqa: D102
        return self.inner.designed

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:  # noqa: D102
        refit = self._refit.after(results(history))
        if refit is None or self._explores(index):
            return self.inner.suggest(index, history, draw=draw)
        pool = self._pool_of(refit)
        order = best_first(
            pool,
            self.refits.objective,
            best=best_feasible(history),
            tried=self.region.matrix([trial.architecture for trial in history]),
            waiting=self.region.matrix([trial.architecture for trial in history[len(refit.results) :]]),
        )
        if draw >= len(order):
            return self.inner.suggest(index, history, draw=draw)
        return self.space.from_genes(pool.matrix[order[draw]].tolist())

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:  # noqa: D102
        return self.inner.draws(count, history, seed=seed, foresee=foresee)

    def origin(self, index: int, history: Sequence[Observation]) -> Origin:  # noqa: D102
        if self.starting(index, history):
            return "Random"
        own = self._explores(index) or self._refit.after(results(history)) is None
        return self.inner.origin(index, history) if own else "Tuner"

    def predicted(self, architecture: Architecture, history: Sequence[Observation]) -> PredictedMetrics | None:  # noqa: D102
        refit = self._refit.after(results(history))
        if refit is None:
            return None
        prediction = refit.predictors.predict(self.region.matrix([architecture]))
        return foretold(prediction, self.refits.objective, refit=refit, tau=self._quality_of(refit).kendall_tau)

    def quality(self, history: Sequence[Observation]) -> PredictorStatus | None:  # noqa: D102
        refit = self._refit.after(results(history))
        return None if refit is None else self._quality_of(refit)

    def _explores(self, index: int) -> bool:
        """Whether this index is the tuner's own draw: prediction alone would stick where it errs."""
        share = DECIMAL.parse(self.refits.spec.exploration)
        return fresh_seed(self.seed, index, purpose="exploration") < share * 2**32

    def _pool_of(self, refit: Refit) -> Pool:
        if self._pool is None or self._pool[0] is not refit:
            self._pool = refit, self._drawn(refit)
        return self._pool[1]

    def _drawn(self, refit: Refit) -> Pool:
        seed = fresh_seed(self.seed, len(refit.results), purpose="pseudo trials")

        def foresee(matrix: GeneMatrix) -> Forecast:
            expected = forecast(self.refits.objective, refit.predictors.predict(matrix))
            return replace(expected, excess=np.hstack([expected.excess, self.region.excess(matrix)]))

        drawn = self.inner.draws(self.count, refit.results, seed=seed, foresee=foresee)
        tried = self.region.matrix([trial.architecture for trial in refit.results])
        rng = np.random.default_rng(seed)
        matrix = refilled(self.region, drawn, count=self.count, tried=tried, rng=rng)
        return Pool(matrix, refit.predictors.predict(matrix))

    def _quality_of(self, refit: Refit) -> PredictorStatus:
        if self._quality is None or self._quality[0] is not refit:
            self._quality = refit, refit.predictors.quality(self.refits.objective)
        return self._quality[1]


def best_feasible(history: Sequence[Observation]) -> float | None:
    """The accuracy of the best trial that keeps its limits: its score under either scoring. None without such a one."""
    kept = [trial.accuracy for trial in results(history) if trial.accuracy is not None and trial.violation == 0]
    return max(kept, default=None)
