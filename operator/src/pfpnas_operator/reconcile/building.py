"""One candidate's way from an architecture to an artifact, in either mode."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pfpnas_api.jobs import EXIT_BAD_INPUT, Manifest, TrialJob
from pfpnas_api.kinds import ArtifactRef, CheckpointStatus, NASExperiment
from pfpnas_api.messages import MAX_MODEL_BYTES, BuildRequest
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.deadlines import ANSWER_GRACE, MOST_ATTEMPTS
from pfpnas_operator.reconcile.observed import BadManifest, ExperimentObserved, JobView, Lease
from pfpnas_operator.reconcile.plan import JobRequest, Plan
from pfpnas_operator.reconcile.rounding import rounded, rounded_duration
from pfpnas_operator.reconcile.waits import Wait, interrupted, remove, retry, wait_of


@dataclass(frozen=True, kw_only=True)
class Built:
    """The candidate is in the store."""

    artifact: ArtifactRef
    milliseconds: float | None


@dataclass(frozen=True, kw_only=True)
class SelfMeasured:
    """The image that should have built the candidate measured it by itself, and left no model."""

    accuracy: float
    """As a fraction of 1."""
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Tries:
    """How often a build was tried."""

    attempts: int = 0
    """Builds started."""
    interruptions: int = 0
    """Times in a row that its pod was evicted or stopped: no attempts."""


@dataclass(frozen=True, kw_only=True)
class Building:
    """It is under way."""

    tries: Tries
    wait: Wait | None = None
    """Why it does not run yet, if it does not."""


@dataclass(frozen=True, kw_only=True)
class BuildFailed:
    """It will not be built."""

    reason: str
    message: str


BuildOutcome = Built | SelfMeasured | Building | BuildFailed

IMAGES_FAULTS = frozenset({"BadManifest", "BadFigures"})
"""Failures that say nothing of the candidate: what its image left can't be used."""

SELF_MEASURED = ("accuracy", "latencyMilliseconds")
"""Figures by which a manifest without a model says that its image measured the candidate by itself."""


def build_request(
    experiment: NASExperiment, checkpoint: CheckpointStatus, architecture: str, *, untrained: bool = False
) -> BuildRequest:
    """The request for a candidate of an experiment; equal candidates have equal uids."""
    fields: dict[str, Any] = {
        "pool": experiment.spec.target.pool,
        "architecture": architecture,
        "checkpoint": checkpoint.artifact,
        "calibration": checkpoint.calibration,
        "weights": "Untrained" if untrained else "Trained",
        "seed": experiment.spec.tuner.seed,
    }
    identity = (architecture, checkpoint.sha256, fields["weights"], fields["seed"] if untrained else "")
    return BuildRequest(uid=names.build_uid(experiment, *identity), **fields)


def advance_build(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, tries: Tries, now: datetime
) -> BuildOutcome:
    """Where a build stands; asks for it (again) where need be, and marks as wanted what it waits for.

    It is done when its builder says so, not when its manifest is there: the chunks are pushed in between.
    """
    pooled = observed.experiment.spec.trial_template.mode == "Pooled"
    manifest = observed.manifests.get(request.uid)
    outcome = None if manifest is None else _settled(manifest)
    if isinstance(outcome, SelfMeasured):
        return outcome
    if isinstance(outcome, BuildFailed) and outcome.reason in IMAGES_FAULTS:
        # Once the image is mended it is asked again, should the same candidate be wanted once more.
        plan.forget.append(request.uid)
        return outcome
    if outcome is not None:
        pushing = _pushes_pooled if pooled else _pushes_pod
        return Building(tries=tries) if pushing(observed, request, plan, tries=tries, now=now) else outcome
    advance = _advance_pooled if pooled else _advance_pod
    return advance(observed, request, plan, tries=tries, now=now)


def _pushes_pooled(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, tries: Tries, now: datetime
) -> bool:
    lease = observed.builds.get(request.uid)
    pushing = lease is not None and lease.state == "Claimed" and now - lease.since <= _longest(observed)
    if lease is not None and not pushing:
        _drop(lease, plan)
    return pushing


def _pushes_pod(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, tries: Tries, now: datetime
) -> bool:
    name = names.build_job(observed.experiment, request.model_copy(update={"attempt": max(tries.attempts, 1)}))
    job = observed.jobs.get(name)
    if job is None or job.leaving or job.state != "Running" or now - job.since > _longest(observed):
        return False
    plan.wanted_jobs.add(name)
    return True


def _measured_by_itself(manifest: Manifest) -> bool:
    figures = manifest.figures.keys()
    return manifest.outcome == "Done" and "model" not in manifest.artifacts and figures >= set(SELF_MEASURED)


def _settled(manifest: Manifest | BadManifest) -> Built | SelfMeasured | BuildFailed:
    if isinstance(manifest, BadManifest):
        return BuildFailed(reason="BadManifest", message=manifest.why)
    if _measured_by_itself(manifest):
        return _figures(manifest)
    if manifest.outcome == "Done" and "model" in manifest.artifacts:
        return _model(manifest)
    reason = "BadArchitecture" if manifest.outcome == "BadArchitecture" else "BuildFailed"
    return BuildFailed(reason=reason, message=manifest.message or "the build left no model")


def _model(manifest: Manifest) -> Built | BuildFailed:
    model, took = manifest.artifacts["model"], manifest.figures.get("buildMilliseconds", 0.0)
    if not 1 <= model.size <= MAX_MODEL_BYTES:
        text = f"its manifest says artifacts.model.size {model.size}; possible are 1 to {MAX_MODEL_BYTES} bytes"
        return BuildFailed(reason="BadManifest", message=text)
    if not 0 <= took < math.inf:
        text = f"its manifest says figures.buildMilliseconds {took}; 0 or more is possible"
        return BuildFailed(reason="BadManifest", message=text)
    return Built(artifact=model, milliseconds=manifest.figures.get("buildMilliseconds"))


def _figures(manifest: Manifest) -> SelfMeasured | BuildFailed:
    accuracy, latency = (manifest.figures[name] for name in SELF_MEASURED)
    if 0 <= accuracy <= 1 and 0 < latency < math.inf:
        return SelfMeasured(accuracy=rounded(accuracy), latency_ms=rounded_duration(latency))
    text = f"its image says accuracy {accuracy} (0 to 1 is possible) and latencyMilliseconds {latency} (above 0)"
    return BuildFailed(reason="BadFigures", message=text)


def _advance_pooled(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, tries: Tries, now: datetime
) -> BuildOutcome:
    lease = observed.builds.get(request.uid)
    plan.wanted_builds.add(request.uid)
    if lease is None:
        return _start(observed, request, plan, attempts=max(tries.attempts, 1))
    overdue = (lease.state == "Claimed" and now - lease.since > _longest(observed)) or (
        lease.state == "Answered" and now - lease.since > ANSWER_GRACE
    )
    if not overdue:
        return Building(tries=tries)
    _drop(lease, plan)
    why = _late(observed) if lease.state == "Claimed" else "a worker acknowledged it, but left no manifest"
    return _again(observed, request, plan, attempts=tries.attempts, why=why)


def _drop(lease: Lease, plan: Plan) -> None:
    if lease.entry not in plan.delete_builds:
        plan.delete_builds.append(lease.entry)


def _advance_pod(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, tries: Tries, now: datetime
) -> BuildOutcome:
    current = max(tries.attempts, 1)
    tries = replace(tries, attempts=current)
    request = request.model_copy(update={"attempt": current})
    job = observed.jobs.get(names.build_job(observed.experiment, request))
    if job is None:
        return _start(observed, request, plan, attempts=current, interruptions=tries.interruptions)
    wait = wait_of(job, now)
    if wait is not None and wait.over:
        return BuildFailed(reason=wait.reason, message=wait.message)
    if wait is not None and job.name not in plan.wanted_jobs:
        plan.waiting_jobs.append(_job_of(observed.experiment, request))
    if wait is not None or (job.state == "Running" and now - job.since <= _longest(observed)):
        plan.wanted_jobs.add(job.name)
        return Building(tries=tries, wait=wait)
    if interrupted(job):
        return _interrupted(observed, job, plan, tries=tries, now=now)
    remove(plan, job.name)
    if job.exit_code == EXIT_BAD_INPUT:
        return BuildFailed(reason="BadArchitecture", message=job.message or "the build refused its input")
    return _again(observed, request, plan, attempts=current, why=_why(observed, job))


def _interrupted(
    observed: ExperimentObserved, job: JobView, plan: Plan, *, tries: Tries, now: datetime
) -> Building | BuildFailed:
    """Its pod was evicted or stopped: the same attempt is made again once the Job is gone."""
    next_try = retry(job, tries.interruptions, now=now)
    if next_try.wait.over:
        return BuildFailed(reason=next_try.wait.reason, message=next_try.wait.message)
    if not next_try.goes:
        plan.wanted_jobs.add(job.name)
    elif job.name not in plan.delete_jobs:
        remove(plan, job.name)
        plan.note(observed.experiment.metadata.name, next_try.wait.reason, next_try.wait.message, warning=True)
    return Building(tries=replace(tries, interruptions=next_try.count), wait=next_try.wait)


def _why(observed: ExperimentObserved, job: JobView) -> str:
    if job.state == "Running":
        return _late(observed)
    return job.message or f"its process ended with {job.exit_code}"


def _longest(observed: ExperimentObserved) -> timedelta:
    """How long a build may take, from its claim or its pod's start."""
    return timedelta(seconds=observed.experiment.spec.trial_template.deadline_seconds)


def _late(observed: ExperimentObserved) -> str:
    seconds = observed.experiment.spec.trial_template.deadline_seconds
    return f"it was not done within {seconds} s of its start (trialTemplate.deadlineSeconds)"


def _again(observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, attempts: int, why: str) -> BuildOutcome:
    if attempts >= MOST_ATTEMPTS:
        return BuildFailed(reason="BuildFailed", message=f"built {attempts} times without success: {why}")
    return _start(observed, request, plan, attempts=attempts + 1)


def _start(
    observed: ExperimentObserved, request: BuildRequest, plan: Plan, *, attempts: int, interruptions: int = 0
) -> Building:
    request = request.model_copy(update={"attempt": attempts})
    tries = Tries(attempts=attempts, interruptions=interruptions)
    if any(build.uid == request.uid for build in _asked(plan)):
        return Building(tries=tries)
    experiment = observed.experiment
    if experiment.spec.trial_template.mode == "Pooled":
        plan.builds.append(request)
    else:
        plan.create_jobs.append(_job_of(experiment, request))
    return Building(tries=tries)


def _job_of(experiment: NASExperiment, request: BuildRequest) -> JobRequest:
    document = TrialJob(experiment=experiment.metadata.uid, **dict(request))
    return JobRequest(name=names.build_job(experiment, request), workload="trial", document=document)


def _asked(plan: Plan) -> list[BuildRequest]:
    return plan.builds + [job.document for job in plan.create_jobs if isinstance(job.document, TrialJob)]
