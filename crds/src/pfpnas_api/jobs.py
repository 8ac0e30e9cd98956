"""What a workload is told (one JSON document), and what it leaves behind (one manifest in the artifact store).

A Job gets three things: its document in the environment variable `PFPNAS_JOB` or a file, the artifact store's address
in `PFPNAS_ARTIFACTS` (with a token in `PFPNAS_ARTIFACTS_TOKEN` where it is a server), and Redis' in `PFPNAS_REDIS_URL`.
Its result is the manifest ``refs/<uid>.json``.
"""

from typing import Annotated, Literal

from pydantic import Field

from pfpnas_api.kinds.common import ArtifactRef, Digest, Model
from pfpnas_api.kinds.experiment import ObjectiveSpec, TunerSpec
from pfpnas_api.kinds.prediction import PredictionSpec
from pfpnas_api.kinds.supernet import SearchSpaceSpec, SupernetSpec
from pfpnas_api.messages import BuildRequest

ENV_JOB = "PFPNAS_JOB"
ENV_REDIS = "PFPNAS_REDIS_URL"
ENV_ARTIFACTS = "PFPNAS_ARTIFACTS"
ENV_ARTIFACTS_TOKEN = "PFPNAS_ARTIFACTS_TOKEN"

KEY_REDIS = "redis-url"
KEY_TOKEN = "artifacts-token"
KEY_ADDRESS = "artifacts-address"
"""What the Secret of an owner's Jobs holds."""

EXIT_DONE = 0
EXIT_BAD_INPUT = 42
"""The document, the data or the architecture is at fault: another attempt would end the same way."""
EXIT_RETRY = 75
"""Interrupted, or something else is at fault; another attempt goes on from the last checkpoint."""

Uid = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$")]


def secret_name(owner: str, *, kind: Literal["Supernet", "NASExperiment"]) -> str:
    """Name of the Secret by which an owner's Jobs reach Redis and the store; it lies in their namespace."""
    return f"{owner}-{'sn' if kind == 'Supernet' else 'nas'}-pfpnas"


class PretrainJob(Model):
    """Train the supernet."""

    kind: Literal["Pretrain"] = "Pretrain"
    uid: Uid
    spec: SupernetSpec


class FitPredictorJob(Model):
    """Fit the public accuracy predictor."""

    kind: Literal["FitPredictor"] = "FitPredictor"
    uid: Uid
    spec: SupernetSpec
    checkpoint: ArtifactRef
    calibration: ArtifactRef


class TuneJob(Model):
    """Serve suggestions for one experiment."""

    kind: Literal["Tune"] = "Tune"
    uid: Uid
    experiment: Annotated[str, Field(max_length=64)]
    """Uid of the experiment: the stream's name."""
    search_space: SearchSpaceSpec
    classes: Annotated[int, Field(ge=2)]
    objective: ObjectiveSpec
    tuner: TunerSpec
    prediction: PredictionSpec = PredictionSpec()
    checkpoint: Digest | None = None
    """The weights that are searched now: accuracies of other ones are stale. None: all count."""
    predictor: ArtifactRef | None = None
    """The public accuracy predictor."""


class TrialJob(BuildRequest):
    """Build one candidate: the request itself, and whose it is."""

    kind: Literal["Trial"] = "Trial"
    experiment: Annotated[str, Field(max_length=64)]


class TrialWorkerJob(Model):
    """Serve the builds of one experiment until told to stop."""

    kind: Literal["TrialWorker"] = "TrialWorker"
    uid: Uid
    experiment: Annotated[str, Field(max_length=64)]


class Manifest(Model):
    """What a job left behind. Written once, at its end."""

    uid: Uid
    outcome: Literal["Done", "BadInput", "BadArchitecture"]
    message: Annotated[str, Field(max_length=2000)] = ""
    """For BadInput and BadArchitecture: what is wrong and what to do."""
    artifacts: dict[str, ArtifactRef] = {}
    """Pretrain: checkpoint, calibration. FitPredictor: predictor, samples. Builds: model."""
    figures: dict[str, float] = {}
    """Pretrain: largestAccuracy, smallestAccuracy, classes, seconds. FitPredictor: samples, kendallTau,
    meanAbsoluteError, constantMeanAbsoluteError. Builds: buildMilliseconds (slice and ONNX),
    recalibrationMilliseconds."""
