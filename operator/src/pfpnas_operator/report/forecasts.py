"""What the private predictors said before the measurements, held against what was measured."""

from collections.abc import Iterable, Sequence
from math import exp
from statistics import fmean

from pfpnas_api.kinds import PredictedMetrics, PredictorStatus, RegressionQuality, Trial
from pfpnas_operator.report.schema import Forecast, Point, Predicted, Predictors, Refit

REACH = 1.645
"""Standard deviations of a normal distribution to either side that hold 90 % of it."""

MOST = 20.0
"""Logarithm of the widest interval that is told: a deviation from hardly any labels may be beyond all numbers."""


def forecast_of(predicted: PredictedMetrics | None, *, reference: float | None) -> Forecast | None:
    """What the private predictors said of a trial; None where they said nothing.

    Args:
        predicted: As it stands in the trial's status.
        reference: Milliseconds of the reference model beside the trial. A latency that was predicted as a multiple of
            it is told in these, so that a device that drifts adds nothing to the predictors' error.
    """
    if predicted is None or (predicted.latency_milliseconds is None and predicted.accuracy is None):
        return None
    latency = predicted.latency_milliseconds
    if predicted.latency_relative is not None and reference is not None:
        latency = predicted.latency_relative * reference
    low, high = _latency_interval(latency, predicted.latency_deviation)
    least, most = _accuracy_interval(predicted.accuracy, predicted.accuracy_deviation)
    return Forecast(
        labels=predicted.labels,
        latency=latency,
        latency_low=low,
        latency_high=high,
        accuracy=predicted.accuracy,
        accuracy_low=least,
        accuracy_high=most,
        feasible=predicted.feasible,
    )


def _latency_interval(value: float | None, deviation: float | None) -> tuple[float | None, float | None]:
    if value is None or deviation is None:
        return None, None
    ratio = exp(min(MOST, REACH * deviation))
    return value / ratio, value * ratio


def _accuracy_interval(value: float | None, deviation: float | None) -> tuple[float | None, float | None]:
    if value is None or deviation is None:
        return None, None
    return max(0.0, value - REACH * deviation), min(1.0, value + REACH * deviation)


def build_predictors(
    status: PredictorStatus | None, finished: Iterable[Trial], points: Sequence[Point]
) -> Predictors | None:
    """The predictors in figures; None where there never were any."""
    status = status or PredictorStatus()
    refits = _refits(finished)
    if not (status.labels or status.repeats or refits or any(point.forecast for point in points)):
        return None
    return Predictors(
        labels=status.labels,
        repeats=status.repeats,
        kendall_tau=status.kendall_tau,
        latency=_latency(points, status.latency, noise=status.noise_floor),
        accuracy=_accuracy(points, status.accuracy, noise=status.accuracy_noise_floor),
        refits=refits,
    )


def _refits(finished: Iterable[Trial]) -> tuple[Refit, ...]:
    found: dict[int, float] = {}
    for trial in finished:
        said = trial.status.predicted
        if said is not None and said.labels is not None and said.kendall_tau is not None:
            found.setdefault(said.labels, said.kendall_tau)
    return tuple(Refit(labels=labels, kendall_tau=tau) for labels, tau in sorted(found.items()))


def _latency(points: Iterable[Point], quality: RegressionQuality | None, *, noise: float | None) -> Predicted:
    pairs = [(p.forecast, p.latency_p50) for p in points if p.forecast and p.forecast.latency and p.latency_p50]
    errors = [abs((said.latency or 0.0) - found) / found for said, found in pairs]
    inside = [
        said.latency_low <= found <= said.latency_high
        for said, found in pairs
        if said.latency_low is not None and said.latency_high is not None
    ]
    return _predicted(errors, inside, quality, noise)


def _accuracy(points: Iterable[Point], quality: RegressionQuality | None, *, noise: float | None) -> Predicted:
    pairs = [
        (p.forecast, p.accuracy)
        for p in points
        if p.forecast and p.forecast.accuracy is not None and p.accuracy is not None
    ]
    errors = [abs((said.accuracy or 0.0) - found) for said, found in pairs]
    inside = [
        said.accuracy_low <= found <= said.accuracy_high
        for said, found in pairs
        if said.accuracy_low is not None and said.accuracy_high is not None
    ]
    return _predicted(errors, inside, quality, noise)


def _predicted(
    errors: Sequence[float], inside: Sequence[bool], quality: RegressionQuality | None, noise: float | None
) -> Predicted:
    return Predicted(
        trials=len(errors),
        error=fmean(errors) if errors else None,
        coverage=fmean(inside) if inside else None,
        noise_floor=noise,
        cross_validation=quality,
    )
