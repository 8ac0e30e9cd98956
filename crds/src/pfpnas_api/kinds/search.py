"""What is known of a search: the status of an experiment, its best trials, its finalists and their evaluations."""

from typing import Annotated, Literal

from pydantic import Field

from pfpnas_api.kinds.common import ArtifactRef, Conditions, Count, Model, Timestamp
from pfpnas_api.kinds.metrics import Accuracy, Latency, TrialMetrics
from pfpnas_api.kinds.prediction import PredictorStatus


class TrialCounts(Model):
    """Trials by state; by-hand ones included."""

    created: Count = 0
    """All of them."""
    pending: Count = 0
    """Of those not finished, the ones whose build wasn't started yet."""
    running: Count = 0
    """Being built or measured."""
    succeeded: Count = 0
    """Measured and scored."""
    failed: Count = 0
    """Ended without a score."""
    infeasible: Count = 0
    """Succeeded, but outside a limit."""


class RankedTrial(Model):
    """A finished trial as the experiment's status shows it."""

    trial: Annotated[str, Field(max_length=63)]
    """Its name."""
    architecture: Annotated[str, Field(max_length=512)]
    """Canonical id."""
    score: float | None = None
    """Higher is better."""
    feasible: bool
    """Whether every limit is met."""
    violation: float = 0.0
    """Sum of the relative excesses over the limits; 0 when feasible."""
    metrics: TrialMetrics
    artifact: ArtifactRef | None = None

    @property
    def accuracy(self) -> float | None:
        """On the private validation split; None when it was skipped."""
        return self.metrics.accuracy


class Remeasurement(Model):
    """One more measurement of a trial, by a fresh process on the same split."""

    repetition: Annotated[int, Field(ge=1, le=1000)]
    """1 is the blind repeat of the search; larger ones were made at the end."""
    latency_milliseconds: Latency | None = None
    accuracy: Accuracy | None = None


MOST_FINALISTS = 10
"""Those of the budget, 5 at most, and a reserve: of the next best, and of an earlier end."""


class Finalist(Model):
    """One of the best trials, measured again at the end so that luck does not decide."""

    trial: Annotated[str, Field(max_length=63)]
    """Its name."""
    remeasurements: Annotated[tuple[Remeasurement, ...], Field(max_length=4)] = ()
    """All but the first, which is the trial's own."""
    attempts: Count = 0
    """Times that an agent claimed the measurement under way."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """Why it could not be measured again, if so."""
    ranked: RankedTrial | None = None
    """The trial by the medians of all its measurements; None until they are there."""


class Evaluation(Model):
    """One net scored once on the private test split at the end: the finalists, and baselines to compare them with."""

    name: Literal["best", "finalist", "largest", "smallest", "untrained", "rawPixels"]
    """What it is compared as."""
    architecture: Annotated[str, Field(max_length=512)] | None = None
    """None for raw pixels."""
    artifact: ArtifactRef | None = None
    accuracy: Accuracy | None = None
    latency_ms: float | None = None
    """p50."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """Why there is no figure, if there is none."""
    attempts: Count = 0
    """Times that an agent claimed the measurement."""


class NASExperimentStatus(Model):
    """What is known of an experiment.

    Conditions: Accepted, SupernetReady, AgentsAvailable, Searching, Suspended, Succeeded, Failed.
    """

    observed_generation: Count = 0
    conditions: Conditions = ()
    reference: ArtifactRef | None = None
    """The smallest subnet as a candidate: every latency is measured beside its."""
    reference_architecture: Annotated[str, Field(max_length=512)] | None = None
    """Its canonical id."""
    trials: TrialCounts = TrialCounts()
    best: RankedTrial | None = None
    """The best feasible trial; while there is none, the one closest to feasible."""
    front: Annotated[tuple[RankedTrial, ...], Field(max_length=20)] = ()
    """Measured Pareto front (accuracy against latency, relative to the reference model where the limit is) of the
    trials that break no other limit, at most 20 points, best scores first."""
    hypervolume: float | None = None
    """Of the front, relative to (accuracy 0, the latency limit or the slowest measured), in 0…1."""
    predictor: PredictorStatus | None = None
    """The private predictors as they were last fitted, and how much of their error is noise."""
    finalists: Annotated[tuple[Finalist, ...], Field(max_length=MOST_FINALISTS)] = ()
    """The best trials by their scores, measured again; more than budget.finalists where none of those keeps every
    limit, and those of an earlier end."""
    evaluations: Annotated[tuple[Evaluation, ...], Field(max_length=32)] = ()
    """The nets of the end first; then those of an earlier end, since no net is scored on the test split twice."""
    attempts: dict[str, Count] = Field(default={}, max_length=16)
    """Times that each of the experiment's own Jobs and builds was started."""
    interruptions: dict[str, Count] = Field(default={}, max_length=16)
    """Times in a row that each of them was evicted, preempted or interrupted; these are no attempts."""
    supernet_uid: Annotated[str, Field(max_length=64)] | None = None
    """Of the Supernet whose weights are searched: another one of the same name is none of this search."""
    refused_results: Count = 0
    """Answers of agents that can't be read, can't be true, or are to tasks that never were."""
    replicates: Count = 0
    """Answers that came late or twice."""
    started_at: Timestamp | None = None
    """When the search began: its Supernet, its reference model and what it starts warm from were there."""
    suspended_at: Timestamp | None = None
    """Since when it is suspended, if it is."""
    suspended_seconds: Count = 0
    """How long it was suspended since the search began: budget.maxDurationSeconds leaves it out."""
    search_finished_at: Timestamp | None = None
    """When its last trial was finished."""
    finished_at: Timestamp | None = None
    """When its finalists and baselines had their figures too."""
