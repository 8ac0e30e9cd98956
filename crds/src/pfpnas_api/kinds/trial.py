"""Trial: one candidate architecture, built, measured and scored."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from pfpnas_api.kinds.common import (
    ArtifactRef,
    Conditions,
    Count,
    Digest,
    LocalReference,
    Model,
    Resource,
    Timestamp,
    is_true,
)
from pfpnas_api.kinds.metrics import Accuracy, Latency, TrialMetrics
from pfpnas_api.kinds.prediction import PredictedMetrics

_IMMUTABLE: JsonDict = {"rule": "self == oldSelf", "message": "a Trial's spec is immutable: make a new Trial"}
_INDEX_IS_THE_TUNERS: JsonDict = {
    "rule": "!has(self.index) || self.origin in ['Tuner', 'Random']",
    "message": "index belongs to the tuner's own trials only",
}

Origin = Literal["Tuner", "Random", "User", "WarmStart"]


class TrialSpec(Model):
    """What is tried. Immutable."""

    model_config = {"json_schema_extra": {"x-kubernetes-validations": [_IMMUTABLE, _INDEX_IS_THE_TUNERS]}}

    experiment_ref: LocalReference
    architecture: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-z0-9.-]+$")]
    """Canonical id: `r<pixels>`, then for each of the six elastic stages `-` and its blocks `k<kernel>e<expand ratio>`,
    with `.` between them: r24-k3e3-k3e2.k3e3-k3e2-k3e3-k3e2-k5e2. The last stage has one block."""
    index: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """The tuner's number of it; only on the tuner's own."""
    origin: Origin = "User"
    """Who proposed it."""

    @model_validator(mode="after")
    def _index_is_the_tuners(self) -> "TrialSpec":
        if self.index is not None and self.origin not in ("Tuner", "Random"):
            raise ValueError(f"index belongs to the tuner's own trials only, and origin is {self.origin}: leave it out")
        return self


class Repeat(Model):
    """The second measurement of a trial: how far it is from the first is noise."""

    latency_milliseconds: Latency | None = None
    accuracy: Accuracy | None = None


class TrialStatus(Model):
    """What is known of a trial. Conditions: Accepted (only where it is refused), Built, Measured, Succeeded, Failed."""

    observed_generation: Count = 0
    conditions: Conditions = ()
    metrics: TrialMetrics | None = None
    repeat: Repeat | None = None
    """Of a share of the trials only; the score is of the first measurement."""
    predicted: PredictedMetrics | None = None
    """What the predictors said before it was measured."""
    score: float | None = None
    """Higher is better."""
    feasible: bool | None = None
    """Whether every limit is met."""
    violation: Annotated[float, Field(ge=0)] | None = None
    """Sum of the relative excesses over the limits."""
    artifact: ArtifactRef | None = None
    checkpoint: Digest | None = None
    """SHA-256 of the supernet's checkpoint from which it was built: its accuracy holds for those weights only."""
    build_attempts: Count = 0
    """Builds started, those for a lost blob included."""
    build_interruptions: Count = 0
    """Times in a row that the build's pod was evicted, preempted or interrupted; these are no attempts."""
    measure_attempts: Count = 0
    """Times that an agent claimed the measurement."""
    repeat_attempts: Count = 0
    """The same of the second measurement, where there is one."""
    build_milliseconds: Annotated[float, Field(ge=0)] | None = None
    """Wall time of slicing and writing the model."""
    created_at: Timestamp | None = None
    build_started_at: Timestamp | None = None
    built_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class Trial(Resource[TrialSpec, TrialStatus]):
    """One candidate."""

    kind: Literal["Trial"] = "Trial"
    status: TrialStatus = TrialStatus()

    @property
    def finished(self) -> bool:
        """Whether it has succeeded or failed."""
        return is_true(self.status.conditions, "Succeeded") or is_true(self.status.conditions, "Failed")
