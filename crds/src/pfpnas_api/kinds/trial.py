"""Trial: one candidate architecture, built, measured and scored."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from pfpnas_api.kinds.common import (
    ArtifactRef,
    Conditions,
    LocalReference,
    Model,
    Resource,
    Timestamp,
    is_true,
)
from pfpnas_api.kinds.metrics import TrialMetrics

_IMMUTABLE: JsonDict = {"rule": "self == oldSelf", "message": "a Trial's spec is immutable: make a new Trial"}

Origin = Literal["Tuner", "Random", "User", "WarmStart"]


class TrialSpec(Model):
    """What is tried. Immutable."""

    model_config = {"json_schema_extra": {"x-kubernetes-validations": [_IMMUTABLE]}}

    experiment_ref: LocalReference
    architecture: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-z0-9.-]+$")]
    """Canonical id."""
    index: Annotated[int, Field(ge=0)] | None = None
    """The tuner's number of it; only on the tuner's own."""
    origin: Origin = "User"


class PredictedMetrics(Model):
    """What the predictors said before it was measured."""

    public_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class TrialStatus(Model):
    """What is known of a trial. Conditions: Built, Measured, Succeeded, Failed."""

    observed_generation: int = 0
    conditions: Conditions = ()
    metrics: TrialMetrics | None = None
    predicted: PredictedMetrics | None = None
    score: float | None = None
    feasible: bool | None = None
    violation: float | None = None
    artifact: ArtifactRef | None = None
    build_attempts: int = 0
    """Builds started, those for a lost blob included."""
    measure_attempts: int = 0
    """Times that an agent claimed the measurement."""
    build_milliseconds: float | None = None
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
