"""Blind repeats: which trials are measured twice. Only the pair says how much of a difference is noise."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

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
    """Whether an index is one of those measured twice: of every block of ⌈1 / share⌉ indices one, now and then two.

    Which of a block is a hash of the experiment's uid and the block's number: nobody can tell beforehand, and an
    operator that is started anew chooses alike. The first block ends with the budget, so that it holds a pair too: when
    a budget smaller than it is raised, one more may be chosen there.
    """
    spec, block = experiment.spec, _Block.of(experiment.spec.predictor.repeats, index)
    if block is None:
        return False
    width = min(block.length, spec.budget.max_trials) if block.number == 0 else block.length
    bounds = [part * width // block.pairs for part in range(block.pairs + 1)]
    picks = (
        low + _draw(f"{experiment.metadata.uid} repeat {block.number} {part}", high - low)
        for part, (low, high) in enumerate(pairwise(bounds))
    )
    return index - block.number * block.length in picks


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Neighbouring indices, and how many of them are measured twice."""

    number: int
    length: int
    pairs: int

    @classmethod
    def of(cls, share: str, index: int) -> "_Block | None":
        """That of an index; with those before it it holds the share, rounded down. None where the share is 0."""
        exact = Fraction(str(DECIMAL.parse(share)))
        if exact <= 0:
            return None
        length = ceil(1 / exact)
        number = index // length
        pairs = floor((number + 1) * length * exact) - floor(number * length * exact)
        return cls(number=number, length=length, pairs=pairs)


def _draw(seed: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) % below


def repeat_of(result: MeasureResult) -> Repeat | None:
    """What a second measurement says; None when it has no latency to compare."""
    return Repeat(latency_milliseconds=result.latency, accuracy=result.accuracy) if result.latency else None
