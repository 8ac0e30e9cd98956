"""Annealing: draws around one of the best trials, ever closer (hyperopt's `anneal`)."""

from typing import Any

import numpy as np
from hyperopt import Domain, Trials, anneal
from numpy.typing import NDArray

from pfpnas_workloads.tuning._hyperopt import Choices, Document, HyperoptTuner


class Anneal(HyperoptTuner):
    """Starts from one of the best trials and draws each gene from a neighbourhood that shrinks with their number."""

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = anneal.suggest([new_id], domain, trials, seed)
        return documents

    def ask_many(self, count: int, domain: Domain, trials: Trials, seed: int) -> Choices:  # noqa: D102
        _, choices = _ManyDraws(domain, trials, seed).batch(range(count))
        found: Choices = choices
        return found


class _ManyDraws(anneal.AnnealingAlgo):  # type: ignore[misc]  # hyperopt has no types
    """hyperopt's algorithm for many draws at once, each around trials of its own.

    hyperopt's own batch chooses a trial for every gene anew, which tears apart the genes of one draw. Here each draw
    keeps its trial for all genes that acted in it, and its runners-up for the others, as a single ask does.
    """

    def __init__(self, domain: Domain, trials: Trials, seed: int) -> None:
        super().__init__(domain, trials, seed)
        self._around: list[NDArray[np.intp]] = []  # each (draws,): the trials chosen so far, -1 where none was needed

    def choose_ltv(self, label: str, size: int) -> tuple[Any, Any, NDArray[np.float64]]:
        """Losses, numbers and values `(size,)` of the trials around which to draw one gene."""
        tids = np.asarray(self.node_tids[label])
        losses = np.asarray([self.tid_losses_dct[tid] for tid in self.node_tids[label]])
        chosen = np.full(size, -1)
        for earlier in self._around:
            usable = (chosen < 0) & np.isin(earlier, tids)
            chosen[usable] = earlier[usable]
        missing = chosen < 0
        ranks = np.minimum(self.rng.geometric(1 / self.avg_best_idx, size=int(missing.sum())) - 1, len(tids) - 1)
        chosen[missing] = tids[np.argsort(losses)[ranks]]
        self._around.append(np.where(missing, chosen, -1))
        places = np.searchsorted(tids, chosen)
        return losses[places], chosen, np.asarray(self.node_vals[label])[places]
