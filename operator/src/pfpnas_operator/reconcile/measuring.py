"""One measurement's way: task, lease, result; asked for again when its agent dies, given up after three claims."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pfpnas_api.kinds import ArtifactRef, Latency, NASExperiment
from pfpnas_api.messages import (
    EXPERIMENT_REASONS,
    RETRY_REASONS,
    MeasurementRequest,
    MeasureResult,
    MeasureTask,
    ModelRef,
)
from pfpnas_api.quantities import DECIMAL
from pfpnas_operator.reconcile.deadlines import ANSWER_GRACE, CLAIM_GRACE, MOST_ATTEMPTS
from pfpnas_operator.reconcile.observed import ExperimentObserved, Lease, ResultView
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.rounding import rounded_result
from pfpnas_operator.reconcile.willing import AGENTS_REASONS, has_taker, may_go_to_another, may_wait


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An agent answered with numbers."""

    result: MeasureResult
    agent: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """No answer yet: nobody has claimed it, or somebody measures."""

    state: Literal["Queued", "Measuring"]
    attempts: int
    """Claims that ended without an answer."""
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class MeasureFailed:
    """There will be no answer."""

    reason: str
    message: str
    fault: Literal["Candidate", "Experiment"]
    """Experiment: every other candidate would meet it too."""


MeasureOutcome = Measured | Waiting | MeasureFailed

ROUNDING = 1 - 1e-6
"""An agent divides and rounds in its own way: so little below a limit it is at it."""

ADVICE = {
    "ClassMismatch": "the private data set has other classes than the supernet: use target.head: Fitted",
    "DatasetUnreadable": "the agent can't read target.dataset: run `pfpnas-agent check` where the agent is",
    "NamespaceRefused": "the agent does not serve this namespace: its owner may add it in the agent's file",
    "ProviderFallback": "the backend fell back to another device: run `pfpnas-agent check` where the agent is",
    "UnknownBackend": "no agent of the pool knows target.backend: run `pfpnas-agent check` where the agent is",
    "UnknownDataset": "no agent of the pool knows target.dataset: run `pfpnas-agent check` where the agent is",
    "MeasurementTimeout": "not measured within target.measurement.deadlineSeconds",
    "OutOfMemory": "the candidate does not fit into the device's memory",
    "UnsupportedOperator": "the device's backend lacks an operator of the candidate",
    "BackendFailed": "the device's backend failed on it; the agent's own log says why",
    "BadModel": "the agent could not use the model it was given",
    "BlobMissing": "the candidate's chunks were lost on their way time and again",
    "DeviceUnavailable": "the device was busy or away time and again",
}
"""What a failure means for the author of the experiment: agents send reasons, never texts."""


def measure_task(
    experiment: NASExperiment,
    model: ArtifactRef | None,
    reference: ArtifactRef | None,
    *,
    split: Literal["Validation", "Test"] = "Validation",
    repetition: int = 0,
) -> MeasureTask:
    """The task that measures a candidate of this experiment; without a model, ridge on raw pixels."""
    target = experiment.spec.target
    return MeasureTask.identified(
        experiment=experiment.metadata.uid,
        namespace=experiment.metadata.namespace,
        model=ModelRef.of(model) if model else None,
        reference=ModelRef.of(reference) if reference and model else None,
        dataset=target.dataset,
        head=target.head,
        backend=target.backend,
        split=split,
        repetition=repetition,
        measurement=_request(experiment, scored_anyway=split == "Test"),
    )


def _request(experiment: NASExperiment, *, scored_anyway: bool) -> MeasurementRequest:
    spec = experiment.spec.target.measurement
    limit = experiment.spec.objective.constraint("Latency")
    factor = DECIMAL.parse(spec.skip_accuracy_above)
    over = limit.limit * factor if limit and not scored_anyway else None
    return MeasurementRequest(
        batch_size=spec.batch_size,
        threads=spec.threads,
        runs=spec.runs,
        warmup_seconds=DECIMAL.parse(spec.warmup_seconds),
        max_seconds=DECIMAL.parse(spec.max_seconds),
        deadline_seconds=spec.deadline_seconds,
        throughput=spec.throughput or experiment.spec.objective.constraint("Throughput") is not None,
        skip_accuracy_over_ms=over if limit and not limit.relative else None,
        skip_accuracy_over_relative=over if limit and limit.relative else None,
    )


def advance_measurement(
    observed: ExperimentObserved, task: MeasureTask, plan: Plan, *, attempts: int, now: datetime
) -> MeasureOutcome:
    """Where a measurement stands; issues the task (again) where need be, and clears what it left on the road."""
    plan.wanted_tasks.add(task.task_id)
    lease, answers = observed.tasks.get(task.task_id), _credible(observed, task, plan)
    if answers:
        return _answered(observed, task, plan, answers=answers, attempts=attempts)
    if lease is None:
        _issue(observed, task, plan)
        return Waiting(state="Queued", attempts=attempts)
    if lease.state == "Waiting":
        return Waiting(state="Queued", attempts=attempts)
    lost = _lost(observed, task, lease, now)
    if lost is None:
        return Waiting(state="Measuring", attempts=attempts, agent=lease.consumer)
    plan.delete_tasks.append(lease.entry)
    return _again(observed, task, plan, attempts=attempts, lost=lost)


def _credible(observed: ExperimentObserved, task: MeasureTask, plan: Plan) -> tuple[ResultView, ...]:
    """The answers that may be ones to this task; the others are refused: for the task they are as good as none."""
    answers = observed.results.get(task.task_id, ())
    wrong = [answer for answer in answers if contradicts(task, answer.result)]
    for answer in wrong:
        if answer not in plan.refuse_results:
            plan.refuse_results.append(answer)
    return tuple(answer for answer in answers if answer not in wrong)


def contradicts(task: MeasureTask, result: MeasureResult) -> bool:
    """Whether a readable answer can't be one to this task.

    An accuracy may be skipped only where the task says from which latency on, and not below it; a skipped one can't be
    there; and of a distribution the 90th percentile is not below the median. Figures that nobody asked for are
    harmless.
    """
    latency = result.latency
    if latency is not None and latency.p90 < latency.p50:
        return True
    return result.accuracy_skipped and (result.accuracy is not None or not _may_skip(task.measurement, latency))


def _may_skip(request: MeasurementRequest, latency: Latency | None) -> bool:
    if latency is None:
        return False
    limits = (
        (request.skip_accuracy_over_ms, latency.p50),
        (request.skip_accuracy_over_relative, latency.relative),
    )
    return any(limit is not None and value is not None and value > limit * ROUNDING for limit, value in limits)


@dataclass(frozen=True, kw_only=True)
class _Lost:
    """A claim that is void, and what is said when it was the last one."""

    reason: Literal["Poisoned", "NoUsableAnswer"]
    why: str


def _lost(observed: ExperimentObserved, task: MeasureTask, lease: Lease, now: datetime) -> _Lost | None:
    """Why a claim is void, if it is.

    Of an answer that was refused nothing is left but the task that its agent has done with.
    """
    held = now - lease.since
    if lease.state == "Answered":
        why = "answered, but by nothing that can be true (status.refusedResults), or it was lost on its way"
        return _Lost(reason="NoUsableAnswer", why=why) if held > ANSWER_GRACE else None
    if lease.consumer not in observed.agents:
        return _Lost(reason="Poisoned", why="its agent is gone") if held > CLAIM_GRACE else None
    if held > timedelta(seconds=task.measurement.deadline_seconds) + CLAIM_GRACE:
        return _Lost(reason="Poisoned", why="its agent did not answer in time")
    return None


def _again(
    observed: ExperimentObserved, task: MeasureTask, plan: Plan, *, attempts: int, lost: _Lost
) -> MeasureOutcome:
    if attempts + 1 >= MOST_ATTEMPTS:
        text = f"claimed {attempts + 1} times without an answer that counts, the last time: {lost.why}"
        return MeasureFailed(reason=lost.reason, message=text, fault="Candidate")
    _issue(observed, task, plan)
    return Waiting(state="Queued", attempts=attempts + 1)


def _issue(observed: ExperimentObserved, task: MeasureTask, plan: Plan) -> None:
    """Publish a task, now or (while nobody would take it) later; trials with equal candidates share it."""
    if all(planned.task_id != task.task_id for planned in plan.tasks) and has_taker(
        observed, plan, task_id=task.task_id
    ):
        plan.tasks.append(task)


def _answered(
    observed: ExperimentObserved, task: MeasureTask, plan: Plan, *, answers: tuple[ResultView, ...], attempts: int
) -> MeasureOutcome:
    """The first valid result wins, the others are replicates; all are cleared, and the task with them."""
    if answers[0] not in plan.delete_results:
        plan.delete_results.extend(answers)
        plan.replicates += len(answers) - 1
    lease = observed.tasks.get(task.task_id)
    if lease is not None and lease.entry not in plan.delete_tasks:
        plan.delete_tasks.append(lease.entry)
    good = next((answer for answer in answers if answer.result.failure is None), None)
    if good is not None:
        return Measured(result=rounded_result(good.result), agent=good.agent)
    said = next((answer for answer in answers if answer.result.failure not in AGENTS_REASONS), answers[0])
    return _refused(observed, task, plan, answer=said, attempts=attempts)


def _refused(
    observed: ExperimentObserved, task: MeasureTask, plan: Plan, *, answer: ResultView, attempts: int
) -> MeasureOutcome:
    reason = answer.result.failure or ""
    if _is_theirs(observed, reason):
        _announce_refusal(observed, plan, agent=answer.agent, reason=reason)
        _issue(observed, task, plan)
        return Waiting(state="Queued", attempts=attempts)
    passing = reason in RETRY_REASONS or reason == "BlobMissing"
    if passing and attempts + 1 < MOST_ATTEMPTS:
        if reason == "BlobMissing":
            plan.push.extend(artifact for artifact in artifacts_of(task) if artifact not in plan.push)
        _issue(observed, task, plan)
        return Waiting(state="Queued", attempts=attempts + 1)
    return MeasureFailed(
        reason=reason,
        message=ADVICE.get(reason, reason),
        fault="Experiment" if reason in EXPERIMENT_REASONS else "Candidate",
    )


def _is_theirs(observed: ExperimentObserved, reason: str) -> bool:
    """Whether a refusal says nothing against candidate and experiment: others may take it, or took such tasks before.

    What passes is tried again by the same agent where it is the only one.
    """
    if reason in EXPERIMENT_REASONS:
        return may_wait(observed)
    return reason in RETRY_REASONS and may_go_to_another(observed)


def _announce_refusal(observed: ExperimentObserved, plan: Plan, *, agent: str, reason: str) -> None:
    """Say once that an agent refuses: the others go on, but somebody may want it to take part."""
    text = f"agent {agent} answers {reason} ({ADVICE[reason]}); other agents of the pool are asked"
    if agent not in observed.refusers and all(event.message != text for event in plan.events):
        plan.note(observed.experiment.metadata.name, "AgentRefused", text, warning=True)


def artifacts_of(task: MeasureTask) -> list[ArtifactRef]:
    """What an agent fetches for a task: the candidate and the reference."""
    return [ArtifactRef(sha256=m.sha256, size=m.size) for m in (task.model, task.reference) if m is not None]
