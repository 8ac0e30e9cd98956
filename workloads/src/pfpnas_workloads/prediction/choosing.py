"""Which candidate a metric gets: a race by cross-validation, whose ties go to the simpler."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pfpnas_workloads.prediction.candidates import SLOW, Candidate, Floats
from pfpnas_workloads.prediction.validation import Problem, held_out, kendall_tau, out_of_fold

TIE: Final = 0.01
"""Differences of τ that repetitions don't settle: what errs less is taken then."""

EQUAL: Final = 0.01
"""Share by which the errors of two candidates are the same: the simpler is taken then."""

LAG: Final = 0.1
"""Candidates whose τ is this far behind after the first repetition don't run the others; slow ones must be ahead."""


@dataclass(frozen=True)
class _Standing:
    """A candidate's mean − deviation of Kendall's τ, and its root mean square error, over the repetitions."""

    candidate: Candidate
    score: float
    error: float


def choose(problem: Problem, candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the best mean − deviation of Kendall's τ over the repetitions; ties go to the simpler.

    Args:
        problem: Labels and folds.
        candidates: The simplest first.
    """
    standings = [_standing(problem, candidate, guesses) for candidate, guesses in _race(problem, candidates).items()]
    best = max(standing.score for standing in standings)
    tied = [standing for standing in standings if standing.score >= best - TIE]
    least = min(standing.error for standing in tied)
    return next(standing.candidate for standing in tied if standing.error <= least * (1 + EQUAL))


def _race(problem: Problem, candidates: Sequence[Candidate]) -> dict[Candidate, Floats]:
    """Out-of-fold predictions `(repetitions, n)` of those that keep up, the simplest first."""
    first = {c: out_of_fold(problem, c, [0]) for c in candidates if c.regressor not in SLOW}
    taus = {candidate: kendall_tau(guesses[0], problem.y) for candidate, guesses in first.items()}
    leader = max(taus, key=lambda candidate: taus[candidate])
    bars = dict.fromkeys(first, taus[leader] - LAG)
    for slow in [c for c in candidates if c.regressor in SLOW and _ahead(problem, c, first[leader][0])]:
        first[slow] = out_of_fold(problem, slow, [0])
        taus[slow], bars[slow] = kendall_tau(first[slow][0], problem.y), taus[leader] + TIE
    others = range(1, len(problem.folds))
    return {
        candidate: np.concatenate([guesses, out_of_fold(problem, candidate, others)])
        for candidate, guesses in first.items()
        if taus[candidate] >= bars[candidate]
    }


def _ahead(problem: Problem, slow: Candidate, leaders: Floats) -> bool:
    """Whether a slow candidate orders two held-out folds better than the leader did; `leaders` is its guesses, `(n,)`.

    One that isn't would not win, and to run all folds and repetitions would take longer than a trial.
    """
    guesses = held_out(problem, slow, problem.folds[0], first=2)
    seen = np.isfinite(guesses)
    return kendall_tau(guesses[seen], problem.y[seen]) > kendall_tau(leaders[seen], problem.y[seen]) + TIE


def _standing(problem: Problem, candidate: Candidate, guesses: Floats) -> _Standing:
    taus = [kendall_tau(row, problem.y) for row in guesses]
    error = float(np.sqrt(np.square(guesses - problem.y).mean()))
    return _Standing(candidate, float(np.mean(taus) - np.std(taus)), error)
