"""What travels through Redis: closed, numeric, versioned, at most 64 KiB, unknown fields refused."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pfpnas_api.kinds.common import ArtifactRef, Digest, Model
from pfpnas_api.kinds.experiment import Alias, MetricName
from pfpnas_api.kinds.metrics import Accuracy, Latency, Positive
from pfpnas_api.kinds.prediction import PredictedMetrics, PredictorStatus

MAX_MESSAGE_BYTES = 64 * 1024
"""A stream's entries stay in memory of every reader; anything bigger is an artifact."""

CHUNK_BYTES = 1024 * 1024
"""Size of a blob's chunks: small enough that a slow link gets one through before its socket times out."""

MAX_MODEL_BYTES = 2**31
"""A candidate is one ONNX file, which can be no larger."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""JSON has no infinity: it would arrive as nothing at all."""


class MessageError(ValueError):
    """Bytes that are no message of the expected type and version."""


class Message(Model):
    """One entry of a stream."""

    version: Literal[1] = 1

    def encode(self) -> bytes:
        """The bytes that are sent.

        Raises:
            MessageError: longer than `MAX_MESSAGE_BYTES`.
        """
        payload = self.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageError(f"{type(self).__name__} has {len(payload)} bytes; allowed are {MAX_MESSAGE_BYTES}")
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read a message strictly.

        Raises:
            MessageError: too long, not JSON, another version or none, an unknown field, a value out of bounds.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            raise MessageError(f"{cls.__name__} has {len(payload)} bytes; allowed are {MAX_MESSAGE_BYTES}")
        try:
            message = cls.model_validate_json(payload, strict=True, by_alias=True, by_name=False)
        except ValidationError as e:
            raise MessageError(f"no {cls.__name__}: {summary(e)}") from e
        if "version" not in message.model_fields_set:
            raise MessageError(f"no {cls.__name__}: version: is missing")
        return message


def summary(error: ValidationError, *, most: int = 3) -> str:
    """The first errors of a validation on one line: field, what is wrong; never the input's text."""
    parts = []
    for detail in error.errors(include_url=False, include_input=False)[:most]:
        field = ".".join(str(part) for part in detail["loc"]) or "message"
        parts.append(f"{field}: {detail['msg']}")
    return "; ".join(parts)


class ModelRef(Model):
    """A candidate as an agent finds it: digest, bytes, chunks."""

    sha256: Digest
    size: Annotated[int, Field(ge=1, le=MAX_MODEL_BYTES)]
    chunks: Annotated[int, Field(ge=1, le=2048)]

    @classmethod
    def of(cls, artifact: ArtifactRef) -> "ModelRef":
        """The reference of an artifact, cut into `CHUNK_BYTES`."""
        return cls(sha256=artifact.sha256, size=artifact.size, chunks=-(-artifact.size // CHUNK_BYTES))


class MeasurementRequest(Model):
    """How to measure; seconds as floats, since here no document is written by hand."""

    batch_size: Annotated[int, Field(ge=1, le=1024)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    runs: Annotated[int, Field(ge=64, le=10_000)] = 64
    warmup_seconds: Annotated[float, Field(ge=0, le=60)] = 0.5
    max_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    deadline_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    throughput: bool = False
    skip_accuracy_over_ms: Positive | None = None
    """Skip the accuracy when p50 is over it."""
    skip_accuracy_over_relative: Positive | None = None
    """The same as a multiple of the reference model."""


class MeasureTask(Message):
    """Operator → agent: measure one candidate, or (without a model) score ridge on the raw pixels."""

    task_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    experiment: Annotated[str, Field(max_length=64)]
    """Uid; tells tasks of one pool apart."""
    namespace: Annotated[str, Field(max_length=63)]
    model: ModelRef | None = None
    reference: ModelRef | None = None
    dataset: Alias
    head: Literal["Fitted", "Supernet"]
    backend: Alias
    split: Literal["Validation", "Test"] = "Validation"
    repetition: Annotated[int, Field(ge=0, le=1000)] = 0
    measurement: MeasurementRequest = MeasurementRequest()

    @classmethod
    def identified(cls, **fields: Any) -> "MeasureTask":
        """The task with its id: a hash of what is measured, so that re-issuing it is harmless."""
        draft = cls(task_id="0" * 32, **fields)
        parts = draft.model_dump(mode="json", exclude={"task_id", "version", "namespace"})
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return draft.model_copy(update={"task_id": digest[:32]})


FailureReason = Literal[
    "BackendFailed",
    "BadModel",
    "BlobMissing",
    "ClassMismatch",
    "DatasetUnreadable",
    "DeviceUnavailable",
    "MeasurementTimeout",
    "NamespaceRefused",
    "OutOfMemory",
    "ProviderFallback",
    "UnknownBackend",
    "UnknownDataset",
    "UnsupportedOperator",
]
"""Why a measurement failed. A closed list: no text of the agent's own travels."""

EXPERIMENT_REASONS = frozenset(
    {"ClassMismatch", "DatasetUnreadable", "NamespaceRefused", "UnknownBackend", "UnknownDataset", "ProviderFallback"}
)
"""Failures that every other candidate would meet too: the experiment is at fault, not the trial."""

RETRY_REASONS = frozenset({"DeviceUnavailable"})
"""Failures that may pass: the same task again, up to its attempts."""


class MeasureResult(Message):
    """Agent → operator: numbers, or the reason why there are none."""

    task_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    failure: FailureReason | None = None
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    accuracy_skipped: bool = False
    throughput: Positive | None = None
    peak_memory_bytes: Annotated[int, Field(ge=0)] | None = None
    energy_millijoules: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Wall time of the whole task at the agent."""

    @model_validator(mode="after")
    def _says_something(self) -> "MeasureResult":
        if self.failure is None and self.latency is None and self.accuracy is None:
            raise ValueError("a result needs a latency, an accuracy, or the failure that left none")
        return self


class Heartbeat(Message):
    """Agent → operator, at an interval, with expiry: still here, and what it holds."""

    state: Literal["Idle", "Busy"]
    task_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None


class BuildRequest(Message):
    """Operator → trial worker: make one candidate and put its chunks where the pool's agents find them."""

    uid: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$")]
    """Names the manifest: the same request made twice finds its first result."""
    pool: Alias
    architecture: Annotated[str, Field(min_length=1, max_length=512)]
    checkpoint: ArtifactRef
    calibration: ArtifactRef
    weights: Literal["Trained", "Untrained"] = "Trained"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Of the untrained weights."""
    attempt: Annotated[int, Field(ge=1)] = 1


class LogEntry(Message):
    """Operator → tuner: the log from which the tuner's whole state follows."""

    event: Literal["Ask", "Started", "Finished"]
    count: Annotated[int, Field(ge=0)] | None = None
    """Ask: suggestions 0 to count-1 are wanted in all."""
    index: Annotated[int, Field(ge=0)] | None = None
    """Started, Finished: of the tuner's trials; None for one by hand."""
    architecture: Annotated[str, Field(max_length=512)] | None = None
    outcome: Literal["Scored", "Infeasible", "Failed"] | None = None
    score: Finite | None = None
    accuracy: Finite | None = None
    latency_ms: Finite | None = None
    reference_ms: Finite | None = None
    """The reference model's p50 beside it."""
    ratios: dict[MetricName, Finite] = {}
    """What is measured and limited, as a share of its limit: above 1 breaks it, for Throughput too (limit/value)."""
    violation: Finite | None = None
    checkpoint: Digest | None = None
    """Of the weights that were measured."""


class Suggestion(Message):
    """Tuner → operator: the architecture of one index, or why there is none."""

    index: Annotated[int, Field(ge=0)]
    architecture: Annotated[str, Field(max_length=512)] | None = None
    origin: Literal["Tuner", "Random"] = "Tuner"
    predicted: PredictedMetrics | None = None
    """What the predictors say of it, as far as there are any."""
    predictor: PredictorStatus | None = None
    """How good the private predictors are that chose it; told once a refit."""
    exhausted: Literal["SpaceExhausted", "NoFeasibleArchitecture"] | None = None
    closest: Annotated[str, Field(max_length=512)] | None = None
    """With NoFeasibleArchitecture: the architecture that comes closest to the limits known beforehand."""


class Progress(Message):
    """Workload → operator: how far a job is; kept as one field of a hash."""

    stage: Literal["Pretrain", "FitPredictor", "Tune", "Trial"]
    done: Annotated[int, Field(ge=0)] = 0
    """Steps or samples done."""
    total: Annotated[int, Field(ge=0)] = 0
    epoch: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=0)] = 0
    eta_seconds: Annotated[float, Field(ge=0)] | None = None
    loss: float | None = None
    """One that is no number (a training that diverges) is left out on the way."""
    accuracy: float | None = None


class Bell(Message):
    """Workload → operator: look into the store, the job's manifest is there (or its progress moved)."""

    uid: Annotated[str, Field(max_length=80)]
