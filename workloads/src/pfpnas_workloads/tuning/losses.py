"""Results as losses: finite, less is better, the order that the objective's scoring gives."""

import math
from typing import Final, Literal

from pfpnas_api.messages import LogEntry

UNSCORED_LOSS: Final = 1e3
"""Infeasible and without a score: worse than any score, and the worse the larger its violation."""

FAILED_LOSS: Final = 1e6
"""Of a failed trial. Finite, since hyperopt proposes again what it is told to be an error."""

Scoring = Literal["PenalizedAccuracy", "ConstraintFirst"]


def loss_of(entry: LogEntry, scoring: Scoring) -> float:
    """The loss of a finished trial; never infinite and never NaN."""
    if entry.outcome not in ("Scored", "Infeasible"):
        return FAILED_LOSS
    loss = _by_constraint(entry) if scoring == "ConstraintFirst" else _by_score(entry)
    return loss if math.isfinite(loss) else FAILED_LOSS


def _by_score(entry: LogEntry) -> float:
    if entry.score is not None:
        return min(-entry.score, UNSCORED_LOSS)
    return UNSCORED_LOSS + _squashed(entry.violation)


def _by_constraint(entry: LogEntry) -> float:
    """Feasible trials in [-1, 0] by accuracy; all others in [1, 2] by violation."""
    feasible = entry.outcome == "Scored" and entry.accuracy is not None and not entry.violation
    return -(entry.accuracy or 0.0) if feasible else 1.0 + _squashed(entry.violation)


def _squashed(violation: float | None) -> float:
    """A violation in [0, ∞) as a share in [0, 1), in the same order; an unknown one is the worst."""
    return 1.0 if violation is None else violation / (1.0 + violation)
