"""Supernet: a Job that trains, then a Job that fits the public accuracy predictor, then Ready."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pfpnas_api.jobs import EXIT_BAD_INPUT, FitPredictorJob, Manifest, PretrainJob
from pfpnas_api.kinds import (
    CheckpointStatus,
    Condition,
    StageProgress,
    Supernet,
    SupernetSpec,
    SupernetStatus,
    find_condition,
    is_true,
)
from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.deadlines import MOST_ATTEMPTS, STALL_DEADLINE, STEADY
from pfpnas_operator.reconcile.manifests import accuracies, checkpoint_in, predictor_in
from pfpnas_operator.reconcile.observed import BadManifest, JobView, SupernetObserved
from pfpnas_operator.reconcile.plan import JobRequest, Plan
from pfpnas_operator.reconcile.waits import PENDING, Wait, counted, interrupted, remove, retry, wait_of

Stage = Literal["Pretrain", "FitPredictor"]

SAID_BY = {"Pretrain": "Trained", "FitPredictor": "PredictorReady"}
"""The condition that tells of a stage."""

WORDS = {
    "Pretrain": Wait(reason="Training", message="the supernet is being trained"),
    "FitPredictor": Wait(reason="Fitting", message="subnets are being evaluated"),
}
"""What is said while a stage runs."""


@dataclass(frozen=True, kw_only=True)
class _StageFailed:
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class _Ongoing:
    status: SupernetStatus
    said: Wait


@dataclass(frozen=True, kw_only=True)
class _Cycle:
    """What one look at a Supernet works on."""

    observed: SupernetObserved
    plan: Plan
    stamp: Stamp
    lack: Wait | None

    @property
    def supernet(self) -> Supernet:
        return self.observed.supernet

    @property
    def now(self) -> datetime:
        return self.stamp.now

    def note(self, reason: str, message: str, *, warning: bool = False) -> None:
        self.plan.note(self.supernet.metadata.name, reason, message, warning=warning)


def reconcile_supernet(observed: SupernetObserved, now: datetime, *, lack: Wait | None = None) -> Plan:
    """The next step of a Supernet.

    Args:
        observed: As seen; what is away tells nothing.
        now: The time.
        lack: What is away, if something is: then nothing is started and no Job judged; a wish to suspend is obeyed,
            and what a Job left behind is taken up, as far as it is seen.
    """
    plan, supernet = Plan(), observed.supernet
    stamp = Stamp(now=now, generation=supernet.metadata.generation)
    cycle = _Cycle(observed=observed, plan=plan, stamp=stamp, lack=lack)
    status = supernet.status if lack is not None and _has_ended(supernet.status) else _decide(cycle)
    if status != supernet.status:
        plan.status = status
    return plan


def manifest_uids(supernet: Supernet) -> list[str]:
    """Uids whose manifests `reconcile_supernet` wants to see: none of one that rests, which so needs no store."""
    status = supernet.status
    seen = status.observed_generation == supernet.metadata.generation
    ended = is_true(status.conditions, "Ready") or (is_true(status.conditions, "Failed") and seen)
    return [] if ended or supernet.spec.suspend else names.supernet_manifests(supernet)


def training_of(spec: SupernetSpec) -> SupernetSpec:
    """What a Job is told of a spec: where its pods run, and whether they do, is no part of what is trained.

    The checkpoint in progress belongs to the spec that its Job was given: one that is suspended, queued elsewhere or
    given other GPUs goes on from there.
    """
    return spec.model_copy(
        update={"suspend": False, "pod_template": PodTemplate(), "queue_name": None, "deletion_policy": "Delete"}
    )


def _decide(cycle: _Cycle) -> SupernetStatus:
    status, stamp = _tried_again(cycle), cycle.stamp
    if _has_ended(status):
        _clean(cycle)
        # Whoever applied the spec waits to hear that it was seen.
        status = status.model_copy(update={"observed_generation": stamp.generation})
        return _nothing_to_suspend(cycle, status) if cycle.supernet.spec.suspend else status
    status = status.model_copy(
        update={
            "observed_generation": stamp.generation,
            "conditions": stamp.put(status.conditions, "Accepted", TRUE, "Valid"),
            "started_at": status.started_at or stamp.now,
        }
    )
    if cycle.supernet.spec.suspend:
        return _suspended(cycle, status)
    if cycle.lack is not None and not _has_left(cycle, _stage_of(status)):
        return _without(cycle, status, cycle.lack)
    status = _resumed(cycle, status)
    if status.checkpoint is None:
        return _pretrain(cycle, status)
    return _fit(cycle, status, status.checkpoint)


def _has_ended(status: SupernetStatus) -> bool:
    return is_true(status.conditions, "Ready") or is_true(status.conditions, "Failed")


def _stage_of(status: SupernetStatus) -> Stage:
    return "Pretrain" if status.checkpoint is None else "FitPredictor"


def _has_left(cycle: _Cycle, stage: Stage) -> bool:
    """Whether what a stage's Job left behind is seen."""
    uids = dict(zip(SAID_BY, names.supernet_manifests(cycle.supernet), strict=True))
    return uids[stage] in cycle.observed.manifests


def _without(cycle: _Cycle, status: SupernetStatus, lack: Wait) -> SupernetStatus:
    """What is lacking, on the condition of the stage; its Job, if there is one, goes on."""
    stage = _stage_of(status)
    conditions = cycle.stamp.put(status.conditions, SAID_BY[stage], "Unknown", lack.reason, lack.message)
    conditions = cycle.stamp.put(conditions, "Ready", FALSE, lack.reason, lack.message)
    return status.model_copy(update={"conditions": conditions})


def _tried_again(cycle: _Cycle) -> SupernetStatus:
    """The status; without its failure once the spec was changed since, if only by suspending and resuming it.

    What was trained is still there: an image that can be pulled again, or a GPU, is all that it may have lacked.
    """
    status = cycle.supernet.status
    changed = status.observed_generation != cycle.stamp.generation
    if not changed or cycle.supernet.spec.suspend or not is_true(status.conditions, "Failed"):
        return status
    cycle.note("TriedAgain", "the spec was changed: it is tried again")
    cycle.plan.forget.extend(uid for uid, found in cycle.observed.manifests.items() if not _is_good(found))
    kept = tuple(condition for condition in status.conditions if condition.type != "Failed")
    return status.model_copy(update={"conditions": kept, "attempts": {}, "interruptions": {}, "finished_at": None})


def _nothing_to_suspend(cycle: _Cycle, status: SupernetStatus) -> SupernetStatus:
    text = "spec.suspend is true, but there is nothing to suspend: it has ended"
    conditions = cycle.stamp.put(status.conditions, "Suspended", FALSE, "Ended", text)
    return status.model_copy(update={"conditions": conditions})


def _suspended(cycle: _Cycle, status: SupernetStatus) -> SupernetStatus:
    """Its Jobs go, and keep their checkpoint; no attempt is counted."""
    for job in cycle.observed.jobs.values():
        if not job.leaving:
            remove(cycle.plan, job.name)
    if not is_true(status.conditions, "Suspended"):
        cycle.note("Suspended", "its Jobs are stopped; what was trained is kept")
    said = Wait(reason="Suspended", message="spec.suspend is true")
    conditions = cycle.stamp.put(status.conditions, "Suspended", TRUE, "Suspended", said.message)
    progress = status.progress.model_copy(update={"eta_seconds": None}) if status.progress else None
    return status.model_copy(
        update={"conditions": _said(cycle, conditions, stage=_stage_of(status), said=said), "progress": progress}
    )


def _resumed(cycle: _Cycle, status: SupernetStatus) -> SupernetStatus:
    if not is_true(status.conditions, "Suspended"):
        return status
    cycle.note("Resumed", "it goes on where it was")
    return status.model_copy(
        update={"conditions": cycle.stamp.put(status.conditions, "Suspended", FALSE, "Resumed", "")}
    )


def _pretrain(cycle: _Cycle, status: SupernetStatus) -> SupernetStatus:
    supernet, stamp = cycle.supernet, cycle.stamp
    name = names.pretrain_job(supernet)
    document = PretrainJob(uid=names.uid(supernet, name), spec=training_of(supernet.spec))
    wanted = JobRequest(name=name, workload="pretrain", document=document)
    outcome = _stage(cycle, status, "Pretrain", wanted)
    if isinstance(outcome, _StageFailed):
        return _failed(cycle, status, outcome)
    if isinstance(outcome, _Ongoing):
        return _with_words(cycle, outcome, "Pretrain")
    checkpoint = checkpoint_in(outcome)
    if checkpoint is None:
        fault = _StageFailed(reason="BadManifest", message="the training left no checkpoint: see its log")
        return _failed(cycle, status, fault)
    cycle.note("Trained", accuracies(checkpoint))
    conditions = stamp.put(status.conditions, "Trained", TRUE, "Trained", accuracies(checkpoint))
    return status.model_copy(update={"conditions": conditions, "checkpoint": checkpoint, "progress": None})


def _fit(cycle: _Cycle, status: SupernetStatus, checkpoint: CheckpointStatus) -> SupernetStatus:
    supernet, stamp = cycle.supernet, cycle.stamp
    name = names.fit_predictor_job(supernet)
    document = FitPredictorJob(
        uid=names.uid(supernet, name),
        spec=training_of(supernet.spec),
        checkpoint=checkpoint.artifact,
        calibration=checkpoint.calibration,
    )
    wanted = JobRequest(name=name, workload="fit-predictor", document=document)
    outcome = _stage(cycle, status, "FitPredictor", wanted)
    if isinstance(outcome, _StageFailed):
        return _failed(cycle, status, outcome)
    if isinstance(outcome, _Ongoing):
        return _with_words(cycle, outcome, "FitPredictor")
    predictor = predictor_in(outcome)
    if predictor is None:
        return _failed(
            cycle, status, _StageFailed(reason="BadManifest", message="the fit left no predictor: see its log")
        )
    text = f"Kendall τ {predictor.kendall_tau:.2f} on held-out subnets of {predictor.samples} evaluated"
    cycle.note("PredictorReady", text)
    conditions = stamp.put(status.conditions, "PredictorReady", TRUE, "Fitted", text)
    conditions = stamp.put(conditions, "Ready", TRUE, "Ready", accuracies(checkpoint))
    return status.model_copy(
        update={"conditions": conditions, "predictor": predictor, "progress": None, "finished_at": stamp.now}
    )


def _with_words(cycle: _Cycle, ongoing: _Ongoing, stage: Stage) -> SupernetStatus:
    """The status of a stage under way; what may need somebody's help is an event too, once."""
    before = find_condition(ongoing.status.conditions, SAID_BY[stage])
    if (
        ongoing.said.worrying
        and ongoing.said != WORDS[stage]
        and (before is None or before.reason != ongoing.said.reason)
    ):
        cycle.note(ongoing.said.reason, ongoing.said.message, warning=True)
    conditions = _said(cycle, ongoing.status.conditions, stage=stage, said=ongoing.said)
    return ongoing.status.model_copy(update={"conditions": conditions})


def _said(cycle: _Cycle, conditions: tuple[Condition, ...], *, stage: Stage, said: Wait) -> tuple[Condition, ...]:
    """The stage's condition, and `Ready` with the same words: it is the one that sums up."""
    conditions = cycle.stamp.put(conditions, SAID_BY[stage], FALSE, said.reason, said.message)
    return cycle.stamp.put(conditions, "Ready", FALSE, said.reason, said.message)


def _stage(
    cycle: _Cycle, status: SupernetStatus, stage: Stage, wanted: JobRequest
) -> Manifest | _Ongoing | _StageFailed:
    """The stage's manifest when it is done; else the status with its progress; else why it failed."""
    uid, job = wanted.document.uid, cycle.observed.jobs.get(wanted.name)
    manifest = cycle.observed.manifests.get(uid)
    if manifest is not None and uid not in cycle.plan.forget:
        if job is not None and not job.active and not job.leaving:
            remove(cycle.plan, wanted.name)
        if isinstance(manifest, BadManifest):
            return _StageFailed(reason="BadManifest", message=manifest.why)
        return manifest if _is_good(manifest) else _StageFailed(reason=manifest.outcome, message=manifest.message)
    if job is None:
        return _start(cycle, status, stage, wanted)
    wait = wait_of(job, cycle.now)
    if wait is None:
        return _of_job(cycle, status, stage, job)
    if wait.over:
        return _StageFailed(reason=wait.reason, message=wait.message)
    cycle.plan.waiting_jobs.append(wanted)
    return _Ongoing(status=status, said=wait)


def _is_good(manifest: Manifest | BadManifest) -> bool:
    return isinstance(manifest, Manifest) and manifest.outcome == "Done"


def _of_job(cycle: _Cycle, status: SupernetStatus, stage: Stage, job: JobView) -> _Ongoing | _StageFailed:
    """Of one that runs or has ended."""
    if job.active and not _stalls(job, cycle.now):
        return _Ongoing(status=_running(status, stage, job, cycle.now), said=WORDS[stage])
    return _interrupted(cycle, status, stage=stage, job=job) if interrupted(job) else _again(cycle, status, stage, job)


def _running(status: SupernetStatus, stage: Stage, job: JobView, now: datetime) -> SupernetStatus:
    """With its progress; one that runs for a while is forgiven its interruptions."""
    fields: dict[str, object] = {"progress": _progress(stage, job)}
    if stage in status.interruptions and now - job.since > STEADY:
        fields["interruptions"] = counted(status.interruptions, stage, 0)
    return status.model_copy(update=fields)


def _interrupted(cycle: _Cycle, status: SupernetStatus, *, stage: Stage, job: JobView) -> _Ongoing | _StageFailed:
    """Its pod was evicted, or it was told to stop: it goes on from its checkpoint, and no attempt is counted."""
    next_try = retry(job, status.interruptions.get(stage, 0), now=cycle.now)
    if next_try.wait.over:
        return _StageFailed(reason=next_try.wait.reason, message=next_try.wait.message)
    if next_try.goes:
        remove(cycle.plan, job.name)
        cycle.note(next_try.wait.reason, next_try.wait.message, warning=True)
    interruptions = counted(status.interruptions, stage, next_try.count)
    return _Ongoing(status=status.model_copy(update={"interruptions": interruptions}), said=next_try.wait)


def _again(cycle: _Cycle, status: SupernetStatus, stage: Stage, job: JobView) -> _Ongoing | _StageFailed:
    """A Job that hangs or ended without a manifest: another attempt, unless its input is at fault."""
    remove(cycle.plan, job.name)
    why = job.message or ("said nothing new for too long" if job.active else f"ended with exit code {job.exit_code}")
    if job.exit_code == EXIT_BAD_INPUT:
        return _StageFailed(reason="BadInput", message=why)
    failures = status.attempts.get(stage, 0) + 1
    if failures >= MOST_ATTEMPTS:
        return _StageFailed(reason="JobFailed", message=f"{job.name} failed {failures} times: {why}")
    cycle.note("JobFailed", f"{job.name} is tried again: {why}", warning=True)
    tried = status.model_copy(update={"attempts": {**status.attempts, stage: failures}})
    return _Ongoing(status=tried, said=Wait(reason=PENDING, message=f"{job.name} is tried again: {why}"))


def _start(cycle: _Cycle, status: SupernetStatus, stage: Stage, wanted: JobRequest) -> _Ongoing:
    cycle.plan.create_jobs.append(wanted)
    progress = status.progress if status.progress and status.progress.stage == stage else StageProgress(stage=stage)
    started = status.model_copy(update={"progress": progress})
    return _Ongoing(status=started, said=Wait(reason=PENDING, message=f"{wanted.name}: its pod is being started"))


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


def _failed(cycle: _Cycle, status: SupernetStatus, fault: _StageFailed) -> SupernetStatus:
    for job in cycle.observed.jobs.values():
        if not job.leaving:
            remove(cycle.plan, job.name)
    cycle.note(fault.reason, fault.message, warning=True)
    conditions = cycle.stamp.put(status.conditions, "Failed", TRUE, fault.reason, fault.message)
    conditions = cycle.stamp.put(conditions, "Ready", FALSE, fault.reason, fault.message)
    return status.model_copy(update={"conditions": conditions, "progress": None, "finished_at": cycle.now})


def _clean(cycle: _Cycle) -> None:
    for name, job in cycle.observed.jobs.items():
        if not job.leaving and (not job.active or _stalls(job, cycle.now)):
            remove(cycle.plan, name)


def _stalls(job: JobView, now: datetime) -> bool:
    """A Job that waits for its queue has nothing to say yet."""
    return job.state == "Running" and now - job.progressed_at > STALL_DEADLINE
