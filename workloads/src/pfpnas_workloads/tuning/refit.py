"""When the private predictors are fitted, and to what: a pure function of the results so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from pfpnas_api.kinds import ObjectiveSpec, PredictionSpec
from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.labels import FEWEST_LABELS, TooFewLabels
from pfpnas_workloads.prediction.private import Choice, PrivatePredictors, fit
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning.labels import labels_of, milliseconds

GROWTH: Final = 1.25
"""Encodings and regressors are chosen anew when there are so many times the labels: choosing costs many fits, and few
labels more seldom change what is best."""


@dataclass(frozen=True)
class Refit:
    """The predictors after some results.

    Attributes:
        results: To which they were fitted, in the order in which they came.
        predictors: Fitted.
        milliseconds: In one unit of their latency, if that is known.
    """

    results: tuple[Observation, ...]
    predictors: PrivatePredictors
    milliseconds: float | None


@dataclass(frozen=True)
class Refits:
    """How the predictors of one search are fitted.

    Attributes:
        space: That is searched.
        objective: Decides the unit of the latency, and which ratios are predicted.
        spec: How often.
        public: The supernet's own accuracy predictor, from which the private one starts.
        seed: Of the cross-validation.
    """

    space: SearchSpace
    objective: ObjectiveSpec
    spec: PredictionSpec
    public: AccuracyPredictor | None
    seed: int

    def due(self, results: Sequence[Observation]) -> tuple[Observation, ...]:
        """The results that the predictors know by now: whole multiples of `refitEvery`."""
        return tuple(results[: len(results) // self.spec.refit_every * self.spec.refit_every])

    def to(self, results: tuple[Observation, ...], *, choice: Choice | None) -> Refit | None:
        """Predictors fitted to some results; None with too few labels. Without a choice one is made."""
        labels = labels_of(results, self.objective)
        try:
            predictors = fit(self.space, labels, public=self.public, seed=self.seed, choice=choice)
        except TooFewLabels:
            return None
        return Refit(results, predictors, milliseconds(results, self.objective))

    def chosen_at(self, results: Sequence[Observation]) -> int:
        """By how many of some due results the choice in force was made.

        This follows from the numbers of labels alone, so that a restarted tuner makes the same choice by the same
        results, whichever refits it has missed.
        """
        at, known = len(results), 0
        counts = list(accumulate(len(labels_of([result], self.objective)) for result in results))
        for end in range(self.spec.refit_every, len(results) + 1, self.spec.refit_every):
            if counts[end - 1] >= max(FEWEST_LABELS, GROWTH * known):
                at, known = end, counts[end - 1]
        return at


class LatestRefit:
    """The refit that some results call for. Only the latest is kept: it could be computed again."""

    def __init__(self, refits: Refits) -> None:
        self.refits = refits
        self._choices: tuple[tuple[Observation, ...], Choice | None] | None = None
        self._latest: tuple[tuple[Observation, ...], Refit | None] | None = None

    def after(self, results: Sequence[Observation]) -> Refit | None:
        """The predictors that are in force after `results`; None while there are too few labels."""
        due = self.refits.due(results)
        if self._latest is None or self._latest[0] != due:
            self._latest = due, self._fit(due)
        return self._latest[1]

    def _fit(self, due: tuple[Observation, ...]) -> Refit | None:
        chosen_by = due[: self.refits.chosen_at(due)]
        if self._choices is not None and self._choices[0] == chosen_by:
            return self.refits.to(due, choice=self._choices[1])
        refit = self.refits.to(chosen_by, choice=None)
        choice = refit.predictors.choice if refit else None
        self._choices = chosen_by, choice
        return refit if chosen_by == due else self.refits.to(due, choice=choice)
