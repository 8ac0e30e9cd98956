"""Prediction inside a search: how it is done, what it said of a trial, and how good it is."""

from typing import Annotated

from pydantic import Field

from pfpnas_api.kinds.common import Count, Model
from pfpnas_api.kinds.metrics import Fraction, Positive
from pfpnas_api.quantities import Between, Decimal

Finite = Annotated[float, Field(allow_inf_nan=False)]
Tau = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
"""Kendall's τ-b."""
Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=63)]


class PredictionSpec(Model):
    """How the private predictors are used. Without effect where tuner.pseudoTrials is 0, but for repeats."""

    refit_every: Annotated[int, Field(ge=1, le=10_000)] = 4
    """New results after which the predictors are fitted again, and new pseudo trials drawn."""
    exploration: Annotated[Decimal, Between(0, 1)] = "0.1"
    """Share of trials that are the tuner's own draw whatever the predictors say, 0 to 1: prediction alone sticks."""
    repeats: Annotated[Decimal, Between(0, 1)] = "0.05"
    """Share of the trials that are measured twice, 0 to 1: no predictor can be better than such pairs agree. Above 0
    one trial at least, so that of a small maxTrials the share is larger; raising that later may add one."""


class PredictedMetrics(Model):
    """What the predictors said of a trial before it was measured."""

    public_accuracy: Fraction | None = None
    """Of the supernet's own predictor, on the public data."""
    accuracy: Fraction | None = None
    """On the private validation split."""
    accuracy_deviation: Error | None = None
    """Standard deviation of its error, as a fraction of 1."""
    latency_milliseconds: Positive | None = None
    """p50."""
    latency_relative: Positive | None = None
    """The same as a multiple of the reference model, where the limit is one: this is what was predicted."""
    latency_deviation: Error | None = None
    """Standard deviation of the natural logarithm of the latency."""
    feasible: Fraction | None = None
    """Probability of keeping every limit."""
    labels: Count | None = None
    """Measurements that the private predictors were fitted to."""
    kendall_tau: Tau | None = None
    """Of those predictors' joint score, in cross-validation."""


class RegressionQuality(Model):
    """How good one private predictor is, on measurements it was not fitted to (repeated cross-validation)."""

    encoding: Word
    """Chosen code of an architecture."""
    regressor: Word
    """Chosen method."""
    labels: Count
    """Measurements it was chosen and fitted by."""
    kendall_tau: Tau
    """Mean over the repetitions."""
    kendall_tau_deviation: Error
    """Standard deviation over the repetitions."""
    error: Error
    """Latency: mean absolute percentage error as a fraction of 1. Accuracy: mean absolute error."""
    top_quartile_error: Error | None = None
    """The same over the best quarter of the measurements by what is predicted (fastest, or most accurate)."""
    top_quartile_kendall_tau: Tau | None = None
    """Kendall's τ over the same quarter."""
    coverage: Fraction | None = None
    """Share of the measurements inside their 90 % interval."""
    constant_error: Error
    """Of a predictor that always says the same."""
    macs_error: Error
    """Of a predictor that knows the MACs only."""
    macs_kendall_tau: Tau
    """Kendall's τ of the same."""


class PredictorStatus(Model):
    """The private predictors as they were last fitted."""

    labels: Count = 0
    """Measurements they were fitted to."""
    latency: RegressionQuality | None = None
    accuracy: RegressionQuality | None = None
    latency_mape: Error | None = None
    """Mean absolute percentage error of the latency as a fraction of 1, in cross-validation."""
    accuracy_mae: Error | None = None
    """Mean absolute error of the accuracy, in cross-validation."""
    kendall_tau: Tau | None = None
    """Of the joint score, in cross-validation."""
    noise_floor: Error | None = None
    """MAPE of the latency that a perfect predictor would show, from trials that were measured more than once."""
    accuracy_noise_floor: Error | None = None
    """The same of the accuracy's mean absolute error."""
    repeats: Count = 0
    """Pairs of measurements behind the noise floors."""
