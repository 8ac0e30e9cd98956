"""What predicted architectures are worth: the objective's score as it is to be expected, and the chance of each limit.

Errors are taken to be normal: of the accuracy itself, and of the logarithm of whatever is a multiple of its limit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.quantities import DECIMAL

if TYPE_CHECKING:
    from pfpnas_workloads.prediction.private import Prediction

FloatArray = NDArray[np.float64]

LEAST_DEVIATION: Final = 1e-6
"""Of a logarithm: no prediction is that sure, and nothing is divided by 0."""

GREATEST_DEVIATION: Final = 10.0
"""Of a logarithm: who errs by more knows nothing, and the mean of such a ratio would be no number any more."""

BROKEN_SCORE: Final = -1.0
"""Counted for a broken hard limit, which no accuracy makes good."""


@dataclass(frozen=True)
class Worth:
    """Of n architectures, arrays `(n,)`.

    Attributes:
        score: To be expected; higher is better.
        feasible: Probability that every limit is met.
    """

    score: FloatArray
    feasible: FloatArray


def worth(objective: ObjectiveSpec, prediction: "Prediction") -> Worth:
    """The expected score of PFP-NAS' Algorithm 1 (PenalizedAccuracy), or that of ConstraintFirst.

    Algorithm 1 takes `penalty · ratio` off where the latency is over its limit; of that the expectation is
    ``P(over) · E[ratio | over] · penalty``. The other limits are hard. ConstraintFirst scores the accuracy where every
    limit is met, else minus the sum of the excesses.

    Args:
        objective: Scoring and limits.
        prediction: Of n architectures.
    """
    latency = _latency_ratio(objective, prediction)
    hard = list(prediction.ratios.values())
    limited = dict(prediction.ratios) if latency is None else {"Latency": latency, **prediction.ratios}
    count = _count(prediction)
    feasible = np.prod([np.ones(count), *(1 - _over(ratio) for ratio in limited.values())], axis=0)
    accuracy = _accuracy(prediction, count)
    if objective.scoring == "ConstraintFirst":
        excess = np.sum([np.zeros(count), *(_mean_excess(name, ratio) for name, ratio in limited.items())], axis=0)
        return Worth(feasible * accuracy - excess, feasible)
    penalty = DECIMAL.parse(objective.penalty_coefficient)
    score = accuracy if latency is None else accuracy - penalty * _mean_over(latency)
    kept = np.prod([np.ones(count), *(1 - _over(ratio) for ratio in hard)], axis=0)
    return Worth(kept * score + (1 - kept) * BROKEN_SCORE, feasible)


Ratio = tuple[FloatArray, FloatArray]
"""A metric as a multiple of its limit, and the deviation of its logarithm, each `(n,)`."""


def gain(objective: ObjectiveSpec, prediction: "Prediction", *, best: float) -> FloatArray:
    """By how much n architectures are expected to better the best score of what keeps its limits, `(n,)`.

    A trial that turns out worse costs a measurement, not its score: so a chance to be better is worth more than a good
    mean. Within all limits the score is the accuracy, under either scoring; what is over a limit betters nothing. This
    is the constrained expected improvement of Schonlau, Welch and Jones, "Global versus local search in constrained
    optimization of computer models" (1998).
    """
    assert prediction.accuracy is not None  # without an accuracy there is nothing to better
    deviation = np.maximum(_deviation(prediction), LEAST_DEVIATION)
    ahead = (prediction.accuracy - best) / deviation
    density = np.exp(-(ahead**2) / 2) / np.sqrt(2 * np.pi)
    better: FloatArray = worth(objective, prediction).feasible * deviation * (ahead * ndtr(ahead) + density)
    return better


def _deviation(prediction: "Prediction") -> FloatArray | float:
    return 0.0 if prediction.accuracy_deviation is None else prediction.accuracy_deviation


@dataclass(frozen=True)
class Forecast:
    """What is expected of n architectures, for an algorithm of several objectives.

    Attributes:
        accuracy: Higher is better, `(n,)`.
        latency: Lower is better, `(n,)`.
        excess: Of each limit, as a share of it; positive where it is broken, `(n, limits)`.
    """

    accuracy: FloatArray
    latency: FloatArray
    excess: FloatArray


def forecast(objective: ObjectiveSpec, prediction: "Prediction") -> Forecast:
    """The objectives one by one, with the limits on what is predicted."""
    count = _count(prediction)
    latency = _latency_ratio(objective, prediction)
    excesses = [] if latency is None else [latency[0] - 1]
    excesses += [_excess(name, ratio) for name, (ratio, _) in prediction.ratios.items()]
    return Forecast(
        accuracy=_accuracy(prediction, count),
        latency=np.zeros(count) if prediction.latency is None else prediction.latency,
        excess=np.reshape(excesses, (len(excesses), count)).T,
    )


def _latency_ratio(objective: ObjectiveSpec, prediction: "Prediction") -> Ratio | None:
    limit = objective.constraint("Latency")
    if limit is None or prediction.latency is None or prediction.latency_deviation is None:
        return None
    return prediction.latency / limit.limit, prediction.latency_deviation


def _over(ratio: Ratio) -> FloatArray:
    """The probability that a log-normal ratio is above 1."""
    median, deviation = ratio
    over: FloatArray = ndtr(np.log(median) / np.maximum(deviation, LEAST_DEVIATION))
    return over


def _mean_over(ratio: Ratio) -> FloatArray:
    """``P(over) · E[ratio | over]`` of a log-normal ratio: its partial expectation above 1."""
    median, deviation = ratio[0], np.clip(ratio[1], LEAST_DEVIATION, GREATEST_DEVIATION)
    mean: FloatArray = median * np.exp(deviation**2 / 2) * ndtr(np.log(median) / deviation + deviation)
    return mean


def _mean_excess(metric: str, ratio: Ratio) -> FloatArray:
    """The mean of what a trial is judged by that breaks a limit: `_excess` where the ratio is above 1, else 0."""
    if metric != "Throughput":
        return _mean_over(ratio) - _over(ratio)
    median, deviation = ratio[0], np.clip(ratio[1], LEAST_DEVIATION, GREATEST_DEVIATION)
    inverse = np.exp(deviation**2 / 2) / median * ndtr(np.log(median) / deviation - deviation)
    mean: FloatArray = _over(ratio) - inverse
    return mean


def _excess(metric: str, ratio: FloatArray) -> FloatArray:
    """By how much a metric is outside its limit, as a share of it; Throughput's ratio is the inverse, limit / value."""
    return 1 - 1 / ratio if metric == "Throughput" else ratio - 1


def _accuracy(prediction: "Prediction", count: int) -> FloatArray:
    """As predicted; nothing at all where it wasn't measured yet, so that the limits alone decide."""
    return np.zeros(count) if prediction.accuracy is None else prediction.accuracy


def _count(prediction: "Prediction") -> int:
    arrays = (prediction.accuracy, prediction.latency, *(ratio for ratio, _ in prediction.ratios.values()))
    return next(len(array) for array in arrays if array is not None)
