"""The end of a search: finalists, and baselines to compare them with, are scored once on the private test split."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pfpnas_api.kinds import (
    ArtifactRef,
    CheckpointStatus,
    Evaluation,
    NASExperiment,
    NASExperimentStatus,
    RankedTrial,
    Supernet,
)
from pfpnas_api.messages import BuildRequest
from pfpnas_operator.reconcile.building import (
    BuildFailed,
    Built,
    SelfMeasured,
    Tries,
    advance_build,
    build_request,
)
from pfpnas_operator.reconcile.measuring import Measured, MeasureFailed, advance_measurement, measure_task
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan

EvaluationName = Literal["best", "finalist", "largest", "smallest", "untrained", "rawPixels"]

MOST = 32
"""Evaluations that a status has room for."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """What the evaluations need to know."""

    observed: ExperimentObserved
    supernet: Supernet
    checkpoint: CheckpointStatus
    finalists: tuple[RankedTrial, ...]
    """By all their measurements, best first; one at least."""
    reference: ArtifactRef

    def artifact(self, architecture: str | None) -> ArtifactRef | None:
        """The candidate of a finalist."""
        return next((one.artifact for one in self.finalists if one.architecture == architecture), None)


def planned(experiment: NASExperiment, supernet: Supernet, finalists: tuple[RankedTrial, ...]) -> list[Evaluation]:
    """The evaluations that an experiment ends with; raw pixels only where the agent fits a head anyway."""
    space, best = supernet.space(), finalists[0]
    rows: list[tuple[EvaluationName, str | None]] = [
        ("best", best.architecture),
        *(("finalist", other.architecture) for other in finalists[1:]),
        ("largest", space.maximum().id),
        ("smallest", space.minimum().id),
        ("untrained", best.architecture),
    ]
    if experiment.spec.target.head == "Fitted":
        rows.append(("rawPixels", None))
    return [Evaluation(name=name, architecture=architecture) for name, architecture in rows]


def evaluation_build(
    experiment: NASExperiment, checkpoint: CheckpointStatus, evaluation: Evaluation
) -> BuildRequest | None:
    """The build that an evaluation needs, if its artifact isn't there."""
    if evaluation.artifact is not None or evaluation.architecture is None or settled(evaluation):
        return None
    untrained = evaluation.name == "untrained"
    return build_request(experiment, checkpoint, evaluation.architecture, untrained=untrained)


def settled(evaluation: Evaluation) -> bool:
    """Whether an evaluation has its figure, or a reason why it has none."""
    return evaluation.accuracy is not None or evaluation.reason is not None


def evaluate(
    final: Final, status: NASExperimentStatus, plan: Plan, *, now: datetime, waiting: bool
) -> NASExperimentStatus:
    """One step of every evaluation; done when all are `settled`.

    Those of nets that are no longer wanted make room for new ones, but a figure is kept as long as there is room for
    it: the test split is seen once. What is new is only planned: the next cycle sees what of it is built already.
    While `waiting` nothing is planned.
    """
    attempts, interruptions = dict(status.attempts), dict(status.interruptions)
    evaluations = status.evaluations if waiting else _current(final, status.evaluations)
    if evaluations != status.evaluations:
        for evaluation in set(evaluations) - set(status.evaluations):
            attempts.pop(evaluation.name, None)
        return status.model_copy(update={"evaluations": evaluations, "attempts": attempts})
    counts = _Counts(attempts, interruptions)
    stepped = tuple(_step(final, evaluation, counts, plan, now=now) for evaluation in evaluations)
    return status.model_copy(update={"evaluations": stepped, "attempts": attempts, "interruptions": interruptions})


def _net(evaluation: Evaluation) -> tuple[bool, str | None]:
    """What is scored: under whatever name, it is scored once."""
    return evaluation.name == "untrained", evaluation.architecture


def _current(final: Final, evaluations: tuple[Evaluation, ...]) -> tuple[Evaluation, ...]:
    """The evaluations that are wanted, with what is there of their nets; then the figures of earlier finalists."""
    known: dict[tuple[bool, str | None], Evaluation] = {}
    for evaluation in evaluations:
        if _net(evaluation) not in known or settled(evaluation):
            known[_net(evaluation)] = evaluation
    wished = planned(final.observed.experiment, final.supernet, final.finalists)
    rows = [known.get(_net(one), one).model_copy(update={"name": one.name}) for one in wished]
    there = {_net(row) for row in rows}
    earlier = [
        one.model_copy(update={"name": "finalist"})
        for one in evaluations
        if one.name in ("best", "finalist") and one.accuracy is not None and _net(one) not in there
    ]
    return tuple([*rows, *earlier][:MOST])


@dataclass(frozen=True)
class _Counts:
    """Of builds, by the name of their evaluation."""

    attempts: dict[str, int]
    interruptions: dict[str, int]

    def of(self, name: str) -> Tries:
        return Tries(attempts=self.attempts.get(name, 0), interruptions=self.interruptions.get(name, 0))

    def keep(self, name: str, tries: Tries) -> None:
        self.attempts[name] = tries.attempts
        if tries.interruptions or name in self.interruptions:
            self.interruptions[name] = tries.interruptions


def _step(final: Final, evaluation: Evaluation, counts: _Counts, plan: Plan, *, now: datetime) -> Evaluation:
    if settled(evaluation):
        return evaluation
    if evaluation.architecture is not None and evaluation.artifact is None:
        return _build(final, evaluation, counts, plan, now=now)
    return _measure(final, evaluation, plan, now=now)


def _build(final: Final, evaluation: Evaluation, counts: _Counts, plan: Plan, *, now: datetime) -> Evaluation:
    there = final.artifact(evaluation.architecture) if evaluation.name != "untrained" else None
    if there is not None:
        return evaluation.model_copy(update={"artifact": there})
    if evaluation.name == "smallest":
        return evaluation.model_copy(update={"artifact": final.reference})
    request = evaluation_build(final.observed.experiment, final.checkpoint, evaluation)
    return evaluation if request is None else _advance(final, evaluation, request, counts, plan, now=now)


def _advance(
    final: Final, evaluation: Evaluation, request: BuildRequest, counts: _Counts, plan: Plan, *, now: datetime
) -> Evaluation:
    outcome = advance_build(final.observed, request, plan, tries=counts.of(evaluation.name), now=now)
    if isinstance(outcome, BuildFailed):
        return evaluation.model_copy(update={"reason": outcome.reason})
    if isinstance(outcome, SelfMeasured):
        return evaluation.model_copy(update={"reason": "SelfMeasured"})
    if isinstance(outcome, Built):
        return evaluation.model_copy(update={"artifact": outcome.artifact})
    counts.keep(evaluation.name, outcome.tries)
    return evaluation


def _measure(final: Final, evaluation: Evaluation, plan: Plan, *, now: datetime) -> Evaluation:
    task = measure_task(final.observed.experiment, evaluation.artifact, final.reference, split="Test")
    outcome = advance_measurement(final.observed, task, plan, attempts=evaluation.attempts, now=now)
    if isinstance(outcome, MeasureFailed):
        return evaluation.model_copy(update={"reason": outcome.reason})
    if isinstance(outcome, Measured):
        latency = outcome.result.latency if task.model else None
        return evaluation.model_copy(
            update={
                "accuracy": outcome.result.accuracy,
                "latency_ms": latency.p50 if latency else None,
                "reason": None if outcome.result.accuracy else "NoAccuracy",
            }
        )
    return evaluation.model_copy(update={"attempts": outcome.attempts})
