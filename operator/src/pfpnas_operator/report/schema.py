"""The schema of `report.json`. Accuracies are fractions of 1, latencies milliseconds, times UTC."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pfpnas_api.kinds import RegressionQuality
from pfpnas_api.kinds.common import Model, Timestamp

REPORT_VERSION = 1

State = Literal["Running", "Succeeded", "NoFeasible", "Failed"]
Outcome = Literal["Feasible", "Infeasible", "Failed"]
BaselineName = Literal["best", "largest", "smallest", "untrained", "rawPixels", "otherSearch"]


class Limit(Model):
    """A constraint as it was written, and what the best has of that metric."""

    metric: str
    written: str
    """Such as `at most 85ms` or `at most 3.0 × reference`."""
    best: str | None = None
    met: bool | None = None


class Setup(Model):
    """What was asked for."""

    experiment: str
    namespace: str
    pool: str
    dataset: str
    head: Literal["Fitted", "Supernet"]
    backend: str
    scoring: str
    penalty_coefficient: str
    algorithm: str
    seed: int
    pseudo_trials: int = 0
    """Draws that the predictors judge at every refit; 0: every draw is measured."""
    max_trials: int
    parallel_trials: int
    goal: str | None = None
    """Score that ends the search."""
    patience: int | None = None
    """Finished trials without a gain that end the search."""
    warm_start_from: tuple[str, ...] = ()
    """Experiments whose best were measured here first."""
    limits: tuple[Limit, ...] = ()


class SupernetFigures(Model):
    """The once-for-all net, and its public accuracy predictor judged on held-out subnets."""

    name: str
    backbone: str
    width_multiplier: str
    dataset: str
    architectures: str
    """Number of architectures in the space, exact; a text, since it may be beyond what JSON readers hold."""
    epochs: int
    largest_accuracy: float | None = None
    smallest_accuracy: float | None = None
    predictor_samples: int | None = None
    predictor_kendall_tau: float | None = None
    predictor_error: float | None = None
    """Mean absolute error."""
    constant_error: float | None = None
    """The same of a predictor that always says the mean."""


class Threshold(Model):
    """The latency limit."""

    milliseconds: float | None
    """None for a relative limit before anything was measured."""
    relative: float | None = None
    """As a multiple of the reference model, when it was written so."""


class Forecast(Model):
    """What the private predictors said of a trial before it was measured; intervals hold 90 % of the measurements.

    Where the latency's limit is relative, a multiple of the reference model was predicted. It is told in milliseconds
    by the reference model that was measured beside the trial itself, which nobody could know before.
    """

    labels: int | None = None
    """Measurements that they were fitted to."""
    latency: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    feasible: float | None = None
    """Probability of keeping every limit."""


class Point(Model):
    """One finished trial; figures are missing where it failed or its accuracy was skipped."""

    trial: str
    order: int
    """Place in the order of finishing, from 1."""
    measurements: int
    """Made once this one had finished: none where a trial failed before it was measured, two where it was repeated."""
    architecture: str
    origin: str
    outcome: Outcome
    reason: str | None = None
    """Why it failed, or which limits it breaks."""
    score: float | None = None
    accuracy: float | None = None
    standard_error: float | None = None
    accuracy_skipped: bool = False
    latency_p50: float | None = None
    latency_p90: float | None = None
    latency_relative: float | None = None
    flops: int | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    predicted_accuracy: float | None = None
    """The public accuracy that the predictor expected."""
    forecast: Forecast | None = None
    on_front: bool = False
    best: bool = False
    best_so_far: str | None = None
    """The best trial once this one had finished: feasible before infeasible, then the smaller violation, then score."""
    best_score_so_far: float | None = None
    hypervolume: float | None = None
    """Of the front once this one had finished, in 0…1."""


class Best(Model):
    """The best feasible trial, or the closest one while none is feasible."""

    trial: str
    architecture: str
    feasible: bool
    score: float | None
    accuracy: float | None
    standard_error: float | None
    samples: int | None
    latency_p50: float | None
    latency_p90: float | None
    latency_mad: float | None
    latency_relative: float | None
    reference_latency: float | None
    flops: int | None
    macs: int | None
    parameters: int | None
    model_bytes: int | None
    peak_memory_bytes: int | None
    throughput: float | None
    sha256: str | None
    test_accuracy: float | None = None
    test_standard_error: float | None = None
    test_samples: int | None = None
    rivals: int = 0
    """Other feasible trials whose validation accuracy is within one standard error of the difference."""


class Baseline(Model):
    """One net on the private test split, and how far the best is ahead of it."""

    name: BaselineName
    label: str
    accuracy: float | None = None
    standard_error: float | None = None
    samples: int | None = None
    latency: float | None = None
    difference: float | None = None
    """Accuracy of the best less this one's."""
    difference_error: float | None = None
    """Standard error of the difference."""
    difference_in_errors: float | None = None
    missing: str | None = None
    """Why there is no figure."""


class Finalist(Model):
    """One of the best trials, measured again at the end."""

    trial: str
    architecture: str
    best: bool = False
    measurements: int
    """All of it, the first one included."""
    first_score: float | None = None
    first_latency: float | None = None
    """p50."""
    first_accuracy: float | None = None
    score: float | None = None
    """By the medians of all its measurements; None while they are not there."""
    latency: float | None = None
    accuracy: float | None = None
    feasible: bool | None = None
    reason: str | None = None
    """Why it could not be measured again."""
    test_accuracy: float | None = None
    test_standard_error: float | None = None
    test_samples: int | None = None


class Predicted(Model):
    """One private predictor, by what it said before the measurement, and in cross-validation."""

    trials: int = 0
    """Trials that were predicted, and then measured."""
    error: float | None = None
    """Over them; latency: mean absolute percentage error as a fraction of 1; accuracy: mean absolute error."""
    coverage: float | None = None
    """Share of them inside the 90 % interval that was predicted."""
    noise_floor: float | None = None
    """The error that a perfect predictor would show."""
    cross_validation: RegressionQuality | None = None
    """Of the last fit."""


class Refit(Model):
    """The private predictors of one moment."""

    labels: int
    """Measurements that they were fitted to."""
    kendall_tau: float
    """Of the joint score, in cross-validation."""


class Predictors(Model):
    """The private predictors."""

    labels: int = 0
    """Measurements of the last fit."""
    repeats: int = 0
    """Pairs of measurements behind the noise floors."""
    kendall_tau: float | None = None
    """Of the joint score by the last fit, in cross-validation."""
    latency: Predicted = Predicted()
    accuracy: Predicted = Predicted()
    refits: tuple[Refit, ...] = ()
    """By rising number of measurements."""


class Progress(Model):
    """How far a search was after some measurements."""

    measurements: int
    score: float | None = None
    """Of the best so far."""
    hypervolume: float | None = None


class Reached(Model):
    """The best of a search after some measurements."""

    trial: str
    architecture: str
    feasible: bool
    score: float | None = None
    accuracy: float | None = None
    latency: float | None = None
    hypervolume: float | None = None


class OtherSearch(Model):
    """Another search for the same thing, to compare this one with, such as random search."""

    experiment: str
    algorithm: str
    seed: int
    pseudo_trials: int
    measurements: int
    """All that it has spent."""
    progress: tuple[Progress, ...] = ()
    """After every trial, judged from the same point as this search."""
    compared_at: int
    """Measurements that both have spent."""
    own: Reached | None = None
    """This search's best after so many."""
    other: Reached | None = None
    """The other's."""
    caught_up_at: int | None = None
    """Measurements until this search's best was as good as the other's after `compared_at`; None: it never was."""


class Part(Model):
    """One part of the best architecture, in order."""

    name: str
    kind: Literal["stem", "block", "feature", "classifier"]
    stage: str
    in_channels: int
    mid_channels: int
    out_channels: int
    kernel: int | None = None
    expand: int | None = None
    stride: int = 1
    residual: bool = False
    in_resolution: int
    out_resolution: int
    macs: int
    mac_share: float
    """Of the whole net's multiply-accumulates."""
    parameters: int


class Failure(Model):
    """How many trials failed for one reason."""

    reason: str
    count: int


class Durations(Model):
    """Seconds of the search; milliseconds and seconds of the median trial."""

    training_seconds: float | None = None
    search_seconds: float | None = None
    total_seconds: float | None = None
    build_milliseconds: float | None = None
    measure_seconds: float | None = None
    """From built to scored, waiting in the queue included."""


class Counts(Model):
    """Trials by outcome."""

    finished: int
    feasible: int
    infeasible: int
    failed: int
    running: int
    accuracy_skipped: int
    measurements: int = 0
    """Of finished trials: those that failed without a figure are not counted, those that were measured twice twice."""
    measured_twice: int = 0
    warm_started: int = 0
    """Trials that other experiments found best."""
    by_hand: int = 0
    refused_results: int = 0
    """Answers that can't be true, or that nobody asked for: thrown away."""
    replicates: int = 0
    """Answers to what had been answered: thrown away."""


class End(Model):
    """Why the search ended."""

    reason: str
    message: str | None = None


class Report(Model):
    """Everything that the report shows."""

    version: Literal[1] = 1
    state: State
    reason: str | None = None
    message: str | None = None
    ended: End | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    setup: Setup
    supernet: SupernetFigures
    threshold: Threshold | None = None
    counts: Counts
    best: Best | None = None
    points: tuple[Point, ...] = ()
    """Finished trials in the order of finishing."""
    front: tuple[str, ...] = ()
    """Trials of the measured Pareto front, by rising latency (relative to the reference model where the limit is so);
    what breaks another limit than the latency's has no place there."""
    hypervolume: float | None = None
    hypervolume_latency: float | None = None
    """Its reference point: the latency limit, or the slowest of the front; a multiple of the reference model where the
    limit is relative, else milliseconds."""
    baselines: tuple[Baseline, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    predictors: Predictors | None = None
    """None where nothing was predicted."""
    other_search: OtherSearch | None = None
    architecture: tuple[Part, ...] = ()
    failures: tuple[Failure, ...] = ()
    durations: Durations = Durations()
    notes: tuple[str, ...] = ()


def read_report(report: Mapping[str, Any]) -> Report:
    """The values of a `report.json`, checked.

    Raises:
        pydantic.ValidationError: they are no report of this version.
    """
    return Report.model_validate_json(json.dumps(report))
