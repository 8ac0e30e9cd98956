"""What tables show of a search, and of several over their seeds."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, pearsonr

from support.replayed_search import Replay, ReplayedTrial

BEST = 5

Figures = dict[str, float | None]

Row = TypeVar("Row", bound=Hashable)


def figures_of(found: Replay) -> Figures:
    """What the tables show of a search; None where there is nothing to show."""
    feasible = [trial for trial in found.trials if trial.judgement.feasible]
    best = sorted(feasible, key=_accuracy, reverse=True)
    latency = _pairs(found.trials, "latency")
    accuracy = _pairs(found.trials, "accuracy")
    return {
        "top1": _accuracy(best[0]) if best else None,
        "best_five": mean(map(_accuracy, best[:BEST])) if len(best) >= BEST else None,
        "latency_mape": float(np.mean(np.abs(latency[0] / latency[1] - 1))) if latency.size else None,
        "latency_tau": _finite(kendalltau(*latency).statistic) if latency.shape[1] > 1 else None,
        "latency_pearson": _finite(pearsonr(*latency).statistic) if latency.shape[1] > 1 else None,
        "accuracy_tau": _finite(kendalltau(*accuracy).statistic) if accuracy.shape[1] > 1 else None,
        "measured": float(len(found.trials)),
        "found_at": float(found.trials.index(best[0]) + 1) if best else None,
        "wall_seconds": found.wall_seconds,
        "tuner_seconds": found.tuner_seconds,
    }


def _accuracy(trial: ReplayedTrial) -> float:
    return trial.metrics.accuracy or 0.0


def _pairs(trials: Sequence[ReplayedTrial], metric: str) -> NDArray[np.float64]:
    """Predicted and measured, `(2, n)`, of the trials that were predicted and measured."""
    pairs = []
    for trial in trials:
        latency = trial.metrics.latency_milliseconds
        measured = trial.metrics.accuracy if metric == "accuracy" else latency.p50 if latency else None
        foretold = trial.predicted and (
            trial.predicted.accuracy if metric == "accuracy" else trial.predicted.latency_milliseconds
        )
        if measured is not None and foretold is not None:
            pairs.append((foretold, measured))
    return np.array(pairs, np.float64).reshape(-1, 2).T


def _finite(value: float) -> float | None:
    """A correlation; None of values that are all the same."""
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Summary:
    """A figure over the seeds that have it, with its standard error; None of one seed.

    Attributes:
        mean: Of those that have it.
        error: Of the mean.
        seeds: How many have it.
        asked: How many there are: who has no figure may well be worse than who has, so a mean says what it left out.
    """

    mean: float
    error: float | None
    seeds: int
    asked: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Summary | None":
        """None where no seed has the figure."""
        known = np.array([value for value in values if value is not None])
        if not len(known):
            return None
        error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else None
        return cls(float(known.mean()), error, len(known), len(values))

    def text(self, digits: int, *, scale: float = 1.0, unit: str = "") -> str:
        """The mean and its error, both times `scale`, and how many seeds have the figure where not all do."""
        error = "" if self.error is None else f" ± {scale * self.error:.{digits}f}"
        some = "" if self.seeds == self.asked else f" ({self.seeds} of {self.asked})"
        return f"{scale * self.mean:.{digits}f}{error}{unit}{some}"


Summaries = dict[str, Summary | None]
"""By figure."""


def in_whole_seeds(
    search: Callable[[Row, int], Figures], rows: Sequence[Row], *, seeds: int
) -> dict[Row, list[Figures]]:
    """Figures of every row by seed; a seed is finished for all rows before the next begins.

    So whatever ends a long command, the seeds that are done are done for all rows, and these can be compared.
    """
    found: dict[Row, list[Figures]] = {row: [] for row in rows}
    for seed in range(seeds):
        for row in rows:
            found[row].append(search(row, seed))
    return found
