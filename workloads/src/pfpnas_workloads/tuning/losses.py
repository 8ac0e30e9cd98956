"""Results as losses: finite, less is better, in the order that the objective's scoring gives."""

from typing import Final

from pfpnas_api.messages import LogEntry
from pfpnas_workloads.tuning.figures import excess

INFEASIBLE_LOSS: Final = 1e3
"""A hard limit is broken, or there is no score: worse than any score, and the worse the larger the violation."""

FAILED_LOSS: Final = 1e6
"""Of a failed trial. Finite, since hyperopt proposes again what it is told to be an error."""


def loss_of(entry: LogEntry) -> float:
    """The loss of a finished trial; finite, since the message's figures are.

    The score of a trial that is Scored says it all: under PenalizedAccuracy it has the latency in it, under
    ConstraintFirst it is the accuracy. One that is Infeasible broke a hard limit, of which its score says nothing.
    """
    if entry.outcome == "Scored" and entry.score is not None:
        return min(-entry.score, INFEASIBLE_LOSS)
    if entry.outcome in ("Scored", "Infeasible"):
        return INFEASIBLE_LOSS + _squashed(entry.violation)
    return FAILED_LOSS


def _squashed(violation: float | None) -> float:
    """A violation in [0, ∞) as a share of 1, in the same order; an unknown one is the worst."""
    return 1.0 if violation is None else excess(violation) / (1.0 + excess(violation))
