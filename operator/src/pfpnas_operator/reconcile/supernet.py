"""Supernet: a Job that trains, then a Job that fits the public accuracy predictor, then Ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_RETRY, FitPredictorJob, Manifest, PretrainJob
from pfpnas_api.kinds import (
    AccuracyPredictorStatus,
    CheckpointStatus,
    StageProgress,
    Supernet,
    SupernetStatus,
    is_true,
)
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.deadlines import MOST_ATTEMPTS, STALL_DEADLINE
from pfpnas_operator.reconcile.observed import JobView, SupernetObserved
from pfpnas_operator.reconcile.plan import JobDocument, JobRequest, Plan

Stage = Literal["Pretrain", "FitPredictor"]


@dataclass(frozen=True, kw_only=True)
class _StageFailed:
    reason: str
    message: str


def reconcile_supernet(observed: SupernetObserved, now: datetime) -> Plan:
    """The next step of a Supernet."""
    plan, supernet = Plan(), observed.supernet
    stamp = Stamp(now=now, generation=supernet.metadata.generation)
    status = _decide(observed, plan, stamp)
    if status != supernet.status:
        plan.status = status
    return plan


def _decide(observed: SupernetObserved, plan: Plan, stamp: Stamp) -> SupernetStatus:
    status = observed.supernet.status
    if is_true(status.conditions, "Failed") or is_true(status.conditions, "Ready"):
        _clean(observed, plan, stamp.now)
        return status
    conditions = stamp.put(status.conditions, "Accepted", TRUE, "Valid")
    status = status.model_copy(
        update={
            "observed_generation": stamp.generation,
            "conditions": conditions,
            "started_at": status.started_at or stamp.now,
        }
    )
    if status.checkpoint is None:
        return _pretrain(observed, plan, stamp, status)
    return _fit(observed, plan, stamp, status, status.checkpoint)


def _pretrain(observed: SupernetObserved, plan: Plan, stamp: Stamp, status: SupernetStatus) -> SupernetStatus:
    supernet = observed.supernet
    name = names.pretrain_job(supernet)
    document = PretrainJob(uid=names.uid(supernet, name), spec=supernet.spec)
    outcome = _stage(observed, plan, status, stage="Pretrain", name=name, document=document, now=stamp.now)
    if isinstance(outcome, _StageFailed):
        return _failed(plan, stamp, status, outcome, supernet)
    if isinstance(outcome, SupernetStatus):
        conditions = stamp.put(outcome.conditions, "Trained", FALSE, "Training", "the supernet is being trained")
        return outcome.model_copy(update={"conditions": conditions})
    checkpoint = _checkpoint(outcome)
    if checkpoint is None:
        fault = _StageFailed(reason="BadManifest", message="the training left no checkpoint: see its log")
        return _failed(plan, stamp, status, fault, supernet)
    plan.note(supernet.metadata.name, "Trained", _accuracies(checkpoint))
    conditions = stamp.put(status.conditions, "Trained", TRUE, "Trained", _accuracies(checkpoint))
    return status.model_copy(update={"conditions": conditions, "checkpoint": checkpoint, "progress": None})


def _fit(
    observed: SupernetObserved, plan: Plan, stamp: Stamp, status: SupernetStatus, checkpoint: CheckpointStatus
) -> SupernetStatus:
    supernet = observed.supernet
    name = names.fit_predictor_job(supernet)
    document = FitPredictorJob(
        uid=names.uid(supernet, name),
        spec=supernet.spec,
        checkpoint=checkpoint.artifact,
        calibration=checkpoint.calibration,
    )
    outcome = _stage(observed, plan, status, stage="FitPredictor", name=name, document=document, now=stamp.now)
    if isinstance(outcome, _StageFailed):
        return _failed(plan, stamp, status, outcome, supernet)
    if isinstance(outcome, SupernetStatus):
        conditions = stamp.put(outcome.conditions, "PredictorReady", FALSE, "Fitting", "subnets are being evaluated")
        return outcome.model_copy(update={"conditions": conditions})
    predictor = _predictor(outcome)
    if predictor is None:
        fault = _StageFailed(reason="BadManifest", message="the fit left no predictor: see its log")
        return _failed(plan, stamp, status, fault, supernet)
    text = f"Kendall τ {predictor.kendall_tau:.2f} on held-out subnets of {predictor.samples} evaluated"
    plan.note(supernet.metadata.name, "PredictorReady", text)
    conditions = stamp.put(status.conditions, "PredictorReady", TRUE, "Fitted", text)
    conditions = stamp.put(conditions, "Ready", TRUE, "Ready")
    return status.model_copy(
        update={
            "conditions": conditions,
            "predictor": predictor,
            "progress": None,
            "finished_at": stamp.now,
        }
    )


def _stage(
    observed: SupernetObserved,
    plan: Plan,
    status: SupernetStatus,
    *,
    stage: Stage,
    name: str,
    document: PretrainJob | FitPredictorJob,
    now: datetime,
) -> Manifest | SupernetStatus | _StageFailed:
    """The stage's manifest when it is done; else the status with its progress; else why it failed."""
    manifest, job = observed.manifests.get(document.uid), observed.jobs.get(name)
    if manifest is not None:
        if job is not None and not job.active:
            plan.delete_jobs.append(name)
        if manifest.outcome == "Done":
            return manifest
        return _StageFailed(reason=manifest.outcome, message=manifest.message)
    if job is None:
        return _start(plan, status, name=name, document=document, stage=stage)
    if job.active and not _stalls(job, now):
        return status.model_copy(update={"progress": _progress(stage, job)})
    return _again(observed, plan, status, stage=stage, job=job)


def _again(
    observed: SupernetObserved, plan: Plan, status: SupernetStatus, *, stage: Stage, job: JobView
) -> SupernetStatus | _StageFailed:
    """A Job that hangs or ended without a manifest: another attempt, unless its input is at fault."""
    plan.delete_jobs.append(job.name)
    why = job.message or ("said nothing new for too long" if job.active else f"ended with exit code {job.exit_code}")
    if job.exit_code == EXIT_BAD_INPUT:
        return _StageFailed(reason="BadInput", message=why)
    if job.exit_code == EXIT_RETRY:
        return status
    failures = status.attempts.get(stage, 0) + 1
    if failures >= MOST_ATTEMPTS:
        return _StageFailed(reason="JobFailed", message=f"{job.name} failed {failures} times: {why}")
    plan.note(observed.supernet.metadata.name, "JobFailed", f"{job.name} is tried again: {why}", warning=True)
    return status.model_copy(update={"attempts": {**status.attempts, stage: failures}})


def _start(
    plan: Plan, status: SupernetStatus, *, name: str, document: PretrainJob | FitPredictorJob, stage: Stage
) -> SupernetStatus:
    wanted: JobDocument = document
    workload: Literal["pretrain", "fit-predictor"] = "pretrain" if stage == "Pretrain" else "fit-predictor"
    plan.create_jobs.append(JobRequest(name=name, workload=workload, document=wanted))
    return status.model_copy(update={"progress": StageProgress(stage=stage)})


def _progress(stage: Stage, job: JobView) -> StageProgress:
    said = job.progress
    if said is None:
        return StageProgress(stage=stage)
    return StageProgress(
        stage=stage,
        epoch=said.epoch,
        epochs=said.epochs,
        percent=min(100, 100 * said.done // said.total) if said.total else 0,
        eta_seconds=None if said.eta_seconds is None else int(said.eta_seconds),
    )


def _checkpoint(manifest: Manifest) -> CheckpointStatus | None:
    artifacts, figures = manifest.artifacts, manifest.figures
    if not {"checkpoint", "calibration"} <= artifacts.keys() or figures.get("classes", 0) < 2:
        return None
    return CheckpointStatus(
        uri=_uri(artifacts["checkpoint"].sha256),
        sha256=artifacts["checkpoint"].sha256,
        size=artifacts["checkpoint"].size,
        calibration=artifacts["calibration"],
        classes=int(figures["classes"]),
        largest_accuracy=figures.get("largestAccuracy"),
        smallest_accuracy=figures.get("smallestAccuracy"),
    )


def _predictor(manifest: Manifest) -> AccuracyPredictorStatus | None:
    figures: Mapping[str, float] = manifest.figures
    needed = {"samples", "kendallTau", "meanAbsoluteError", "constantMeanAbsoluteError"}
    if "predictor" not in manifest.artifacts or not needed <= figures.keys():
        return None
    return AccuracyPredictorStatus(
        uri=_uri(manifest.artifacts["predictor"].sha256),
        sha256=manifest.artifacts["predictor"].sha256,
        size=manifest.artifacts["predictor"].size,
        samples=int(figures["samples"]),
        kendall_tau=figures["kendallTau"],
        mean_absolute_error=figures["meanAbsoluteError"],
        constant_mean_absolute_error=figures["constantMeanAbsoluteError"],
    )


def _uri(digest: str) -> str:
    return f"sha256:{digest}"


def _accuracies(checkpoint: CheckpointStatus) -> str:
    parts = [
        f"{name} subnet {value:.1%}"
        for name, value in (("largest", checkpoint.largest_accuracy), ("smallest", checkpoint.smallest_accuracy))
        if value is not None
    ]
    return "public validation accuracy: " + ", ".join(parts) if parts else ""


def _failed(
    plan: Plan, stamp: Stamp, status: SupernetStatus, fault: _StageFailed, supernet: Supernet
) -> SupernetStatus:
    plan.note(supernet.metadata.name, fault.reason, fault.message, warning=True)
    conditions = stamp.put(status.conditions, "Failed", TRUE, fault.reason, fault.message)
    conditions = stamp.put(conditions, "Ready", FALSE, fault.reason, fault.message)
    return status.model_copy(update={"conditions": conditions, "progress": None, "finished_at": stamp.now})


def _clean(observed: SupernetObserved, plan: Plan, now: datetime) -> None:
    plan.delete_jobs.extend(name for name, job in observed.jobs.items() if not job.active or _stalls(job, now))


def _stalls(job: JobView, now: datetime) -> bool:
    """A Job that waits for its queue has nothing to say yet."""
    return job.state == "Running" and now - job.progressed_at > STALL_DEADLINE
