"""Blind repeats: which trials are measured twice. Only the pair says how much of a difference is noise."""

import hashlib

from pfpnas_api.kinds import NASExperiment, Repeat, Trial, TrialMetrics
from pfpnas_api.messages import MeasureResult
from pfpnas_api.quantities import DECIMAL

BLIND = 1
"""Repetition number of the second measurement; the first one's is 0."""


def wants_repeat(experiment: NASExperiment, trial: Trial, metrics: TrialMetrics) -> bool:
    """Whether a trial that has just been measured is measured once more: never by hand, never without an accuracy."""
    index = trial.spec.index
    return index is not None and metrics.accuracy is not None and chosen(experiment, index)


def chosen(experiment: NASExperiment, index: int) -> bool:
    """Whether an index is one of those measured twice: one of every block of round(1 / share) indices.

    Which one of a block is a hash of the experiment's uid and the block's number: nobody can tell beforehand, and an
    operator that is started anew chooses alike. The first block ends with the budget, so that it holds a pair too.
    """
    share = DECIMAL.parse(experiment.spec.predictor.repeats)
    if share <= 0:
        return False
    length = max(1, round(1 / share))
    block = index // length
    width = min(length, experiment.spec.budget.max_trials) if block == 0 else length
    digest = hashlib.sha256(f"{experiment.metadata.uid} repeat {block}".encode()).digest()
    return index == block * length + int.from_bytes(digest[:8]) % width


def repeat_of(result: MeasureResult) -> Repeat | None:
    """What a second measurement says; None when it has no latency to compare."""
    return Repeat(latency_milliseconds=result.latency, accuracy=result.accuracy) if result.latency else None
