"""Tree-structured Parzen estimators (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011, §4)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from hyperopt import Domain, Trials, tpe
from hyperopt.base import miscs_to_idxs_vals
from numpy.typing import NDArray

from pfpnas_workloads.tuning._hyperopt import Choices, Document, HyperoptTuner, ends

GAMMA: Final = 0.5
"""Good are the best `GAMMA × √trials` trials. hyperopt's 0.25 leaves one or two of the dozens that are affordable here:
with 0.5 the best of 40 was better by an eighth of its loss (mean of 8 seeds on a closed form, one or four at once)."""

CANDIDATES: Final = 3
"""Draws among which the most promising value of each gene is taken. hyperopt's 24 hold every value of such short genes:
then the same net is proposed whatever the seed. With 3 the best of 40 was no worse on the same closed form."""

PRIOR_WEIGHT: Final = 1.0
"""Of the uniform prior against one trial; hyperopt's own."""

LogShares = NDArray[np.float64]
"""Logarithm of the probability of each value of a gene, `(values,)`."""


class TPE(HyperoptTuner):
    """Draws where good trials are dense and bad ones are not; trials under way count as bad."""

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = tpe.suggest(
            [new_id],
            domain,
            trials,
            seed,
            prior_weight=PRIOR_WEIGHT,
            n_startup_jobs=0,
            n_EI_candidates=CANDIDATES,
            gamma=GAMMA,
            verbose=False,
        )
        return documents

    def ask_many(self, count: int, domain: Domain, trials: Trials, seed: int) -> Choices:
        """Draws from the law that hyperopt's estimators give each gene, the best of `CANDIDATES` each time.

        The genes are drawn apart, as hyperopt does; since a gene has few values, its law is computed once.
        """
        rng = np.random.default_rng(seed)
        documents = trials.trials
        losses = [document["result"].get("loss", np.inf) for document in documents]
        numbers, values = miscs_to_idxs_vals([document["misc"] for document in documents], keys=list(self.counts))
        choices = {}
        for name, values_of in self.counts.items():
            good, bad = tpe.ap_split_trials(numbers[name], values[name], range(len(losses)), losses, GAMMA)
            choices[name] = _best_draws(_log_shares(good, values_of), _log_shares(bad, values_of), count, rng)
        return choices


def _log_shares(observed: Sequence[float], count: int) -> LogShares:
    """The law of a gene of `count` values by hyperopt's adaptive Parzen estimator, rounding included."""
    low, high = ends(count)
    mixture = tpe.adaptive_parzen_normal(observed, PRIOR_WEIGHT, 0.5 * (low + high), high - low)
    shares: LogShares = tpe.GMM1_lpdf(np.arange(count, dtype=float), *mixture, low=low, high=high, q=1)
    return shares


def _best_draws(good: LogShares, bad: LogShares, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`count` values, each the one among `CANDIDATES` drawn from `good` that `good` favours most over `bad`."""
    shares = np.exp(good)
    drawn = rng.choice(len(shares), size=(count, CANDIDATES), p=shares / shares.sum())  # (count, candidates)
    best = (good - bad)[drawn].argmax(axis=1)
    values: NDArray[np.intp] = drawn[np.arange(count), best]
    return values
