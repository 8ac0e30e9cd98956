"""One trial's way: Pending → Built → Measured (→ measured again, some) → Succeeded, or Failed with a reason."""

from dataclasses import dataclass
from datetime import datetime

from pfpnas_api.kinds import (
    ArtifactRef,
    CheckpointStatus,
    Latency,
    NASExperiment,
    NASExperimentStatus,
    Repeat,
    Supernet,
    Trial,
    TrialMetrics,
    TrialStatus,
    find_condition,
    is_true,
)
from pfpnas_api.messages import MeasureResult
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring import Judgement, cost_per_million, judge
from pfpnas_api.spaces import ArchitectureError
from pfpnas_operator.reconcile.building import (
    BuildFailed,
    Building,
    Built,
    SelfMeasured,
    Tries,
    advance_build,
    build_request,
)
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.cycle import Fault
from pfpnas_operator.reconcile.measuring import (
    Measured,
    MeasureFailed,
    Waiting,
    advance_measurement,
    measure_task,
)
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.repeats import BLIND, repeat_of, wants_repeat
from pfpnas_operator.reconcile.rounding import rounded
from pfpnas_operator.reconcile.space import reference_metrics, static_metrics
from pfpnas_operator.reconcile.waits import PENDING, QUEUED, Wait


def advance_trial(
    observed: ExperimentObserved,
    trial: Trial,
    plan: Plan,
    *,
    supernet: Supernet,
    checkpoint: CheckpointStatus,
    now: datetime,
) -> tuple[Trial, Fault | None]:
    """One step of a trial that is not finished. What it asks for goes into the plan, its new status too."""
    stamp = Stamp(now=now, generation=trial.metadata.generation)
    step = _Step(observed=observed, trial=trial, plan=plan, stamp=stamp)
    if is_true(trial.status.conditions, "Built"):
        status, fault = step.measure()
    else:
        status, fault = step.build(supernet, checkpoint)
    status = summed_up(status, stamp)
    if status == trial.status:
        return trial, fault
    status = status.model_copy(update={"observed_generation": stamp.generation})
    plan.trial_status[trial.metadata.name] = status
    return trial.model_copy(update={"status": status}), fault


@dataclass(frozen=True, kw_only=True)
class _Step:
    observed: ExperimentObserved
    trial: Trial
    plan: Plan
    stamp: Stamp

    @property
    def experiment(self) -> NASExperiment:
        return self.observed.experiment

    def build(self, supernet: Supernet, checkpoint: CheckpointStatus) -> tuple[TrialStatus, Fault | None]:
        """From nothing to an artifact."""
        status = self.trial.status
        try:
            known = static_metrics(supernet.space(), self.trial.spec.architecture)
        except ArchitectureError as e:
            return failed(self.trial, self.stamp, "BadArchitecture", str(e)), None
        request = build_request(self.experiment, checkpoint, self.trial.spec.architecture)
        tries = Tries(attempts=status.build_attempts, interruptions=status.build_interruptions)
        outcome = advance_build(self.observed, request, self.plan, tries=tries, now=self.stamp.now)
        if isinstance(outcome, Building):
            return self._building(outcome), None
        if isinstance(outcome, BuildFailed):
            return failed(self.trial, self.stamp, outcome.reason, outcome.message), None
        if isinstance(outcome, SelfMeasured) != measures_itself(self.experiment.status):
            return failed(self.trial, self.stamp, "BadManifest", _MIXED), None
        if isinstance(outcome, SelfMeasured):
            return self._self_measured(outcome, known, checkpoint), None
        return self._built(outcome, known, checkpoint), None

    def _building(self, building: Building) -> TrialStatus:
        status, wait = self.trial.status, building.wait
        if wait is None or wait.reason == PENDING:
            said = Wait(reason="Building", message=f"build {building.tries.attempts}")
        else:
            said = wait
        before = find_condition(status.conditions, "Built")
        if wait is not None and wait.worrying and (before is None or before.reason != wait.reason):
            self.plan.note(self.trial.metadata.name, wait.reason, wait.message, warning=True)
        # The wait in a queue is no time of the build's.
        started = None if said.reason == QUEUED else status.build_started_at or self.stamp.now
        return status.model_copy(
            update={
                "conditions": self.stamp.put(status.conditions, "Built", FALSE, said.reason, said.message),
                "build_attempts": building.tries.attempts,
                "build_interruptions": building.tries.interruptions,
                "build_started_at": started,
            }
        )

    def _self_measured(self, figures: SelfMeasured, known: TrialMetrics, checkpoint: CheckpointStatus) -> TrialStatus:
        """From nothing to a score: its image built and measured it at once."""
        conditions = self.stamp.put(self.trial.status.conditions, "Built", TRUE, "SelfMeasured")
        conditions = self.stamp.put(conditions, "Measured", TRUE, "SelfMeasured", "by its own image, not by an agent")
        status = self.trial.status.model_copy(
            update={
                "conditions": conditions,
                "checkpoint": checkpoint.sha256,
                "metrics": self_measured_metrics(self.experiment, known, figures),
                "built_at": self.stamp.now,
            }
        )
        return self._scored(self.trial.model_copy(update={"status": status}))

    def _built(self, built: Built, known: TrialMetrics, checkpoint: CheckpointStatus) -> TrialStatus:
        status = self.trial.status
        conditions = self.stamp.put(status.conditions, "Built", TRUE, "Built")
        conditions = self.stamp.put(conditions, "Measured", FALSE, "Queued", "waits for an agent of the pool")
        return status.model_copy(
            update={
                "conditions": conditions,
                "artifact": built.artifact,
                "checkpoint": checkpoint.sha256,
                "metrics": known,
                "build_milliseconds": built.milliseconds,
                "built_at": self.stamp.now,
            }
        )

    def measure(self) -> tuple[TrialStatus, Fault | None]:
        """From an artifact to numbers."""
        status, reference = self.trial.status, self.experiment.status.reference
        if reference is None:
            return status, None
        if is_measured(self.trial):
            return self._repeat(self.trial, reference), None
        task = measure_task(self.experiment, status.artifact, reference)
        outcome = advance_measurement(
            self.observed, task, self.plan, attempts=status.measure_attempts, now=self.stamp.now
        )
        if isinstance(outcome, MeasureFailed):
            fault = Fault(reason=outcome.reason, message=outcome.message) if outcome.fault == "Experiment" else None
            return failed(self.trial, self.stamp, outcome.reason, outcome.message), fault
        if isinstance(outcome, Measured):
            return self._measured(outcome.result, reference), None
        return self._waiting(outcome), None

    def _repeat(self, trial: Trial, reference: ArtifactRef) -> TrialStatus:
        """From numbers to an end, by way of a second measurement; one that fails says nothing against the trial."""
        task = measure_task(self.experiment, trial.status.artifact, reference, repetition=BLIND)
        outcome = advance_measurement(
            self.observed, task, self.plan, attempts=trial.status.repeat_attempts, now=self.stamp.now
        )
        if isinstance(outcome, Waiting):
            return trial.status.model_copy(update={"repeat_attempts": outcome.attempts})
        repeat = repeat_of(outcome.result) if isinstance(outcome, Measured) else None
        return concluded(self.observed, trial, self.stamp, repeat=repeat)

    def _waiting(self, waiting: Waiting) -> TrialStatus:
        status = self.trial.status
        message = "waits for an agent of the pool" if waiting.state == "Queued" else "an agent measures it"
        conditions = self.stamp.put(status.conditions, "Measured", FALSE, waiting.state, message)
        return status.model_copy(update={"conditions": conditions, "measure_attempts": waiting.attempts})

    def _measured(self, result: MeasureResult, reference: ArtifactRef) -> TrialStatus:
        metrics = measured_metrics(self.experiment, self.trial.status.metrics or TrialMetrics(), result)
        conditions = self.stamp.put(self.trial.status.conditions, "Measured", TRUE, "Measured")
        measured = self.trial.model_copy(
            update={"status": self.trial.status.model_copy(update={"conditions": conditions, "metrics": metrics})}
        )
        if not self._lacking(metrics) and wants_repeat(self.experiment, measured, metrics):
            return self._repeat(measured, reference)
        return self._scored(measured)

    def _lacking(self, metrics: TrialMetrics) -> tuple[str, ...]:
        missing = judged(self.observed, metrics).missing
        return missing if metrics.latency_milliseconds else tuple(dict.fromkeys(("Latency", *missing)))

    def _scored(self, measured: Trial) -> TrialStatus:
        missing = self._lacking(measured.status.metrics or TrialMetrics())
        if missing:
            text = f"the backend does not measure {', '.join(missing)}"
            return failed(measured, self.stamp, "MetricUnavailable", text)
        return concluded(self.observed, measured, self.stamp)


_MIXED = (
    "an image either builds all candidates of an experiment, the reference model too, or measures them all by itself; "
    "this one did otherwise for the reference model"
)


def measures_itself(status: NASExperimentStatus) -> bool:
    """Whether candidates are measured by their image: the reference model's build left figures and no model."""
    return status.reference is None and status.reference_architecture is not None


def summed_up(status: TrialStatus, stamp: Stamp) -> TrialStatus:
    """With `Succeeded` saying in one word where the trial is, for as long as it has not succeeded."""
    conditions = {condition.type: condition for condition in status.conditions}
    if is_true(status.conditions, "Succeeded"):
        return status
    said = conditions.get("Failed") or conditions.get("Measured") or conditions.get("Built")
    if said is None:
        return status
    reason = "WaitingForAgent" if (said.type, said.reason) == ("Measured", "Queued") else said.reason
    reason = "Repeating" if said.type == "Measured" and said.status == "True" else reason
    return status.model_copy(
        update={"conditions": stamp.put(status.conditions, "Succeeded", FALSE, reason, said.message)}
    )


def is_measured(trial: Trial) -> bool:
    """Whether its figures are there, finished or not: until its second measurement is done it is not."""
    return is_true(trial.status.conditions, "Measured")


def judged(observed: ExperimentObserved, metrics: TrialMetrics) -> Judgement:
    """What a candidate of this experiment is worth."""
    objective = observed.experiment.spec.objective
    return judge(objective, metrics, reference=reference_metrics(observed.supernet))


def measured_metrics(experiment: NASExperiment, known: TrialMetrics, result: MeasureResult) -> TrialMetrics:
    """What was counted, with what an agent measured."""
    price = experiment.spec.target.price_per_hour
    cost_of_million = None
    if price is not None and result.latency is not None:
        cost_of_million = cost_per_million(DECIMAL.parse(price), result.latency.p50)
    return known.model_copy(
        update={
            "accuracy": result.accuracy.value if result.accuracy else None,
            "accuracy_samples": result.accuracy.samples if result.accuracy else None,
            "accuracy_skipped": result.accuracy_skipped,
            "latency_milliseconds": result.latency,
            "throughput": result.throughput,
            "peak_memory_bytes": result.peak_memory_bytes,
            "energy_millijoules": result.energy_millijoules,
            "cost": cost_of_million,
        }
    )


def self_measured_metrics(experiment: NASExperiment, known: TrialMetrics, figures: SelfMeasured) -> TrialMetrics:
    """What was counted, with what a trial's own image says."""
    latency = Latency(p50=figures.latency_ms, p90=figures.latency_ms, mad=0.0, runs=1)
    price = experiment.spec.target.price_per_hour
    cost = None if price is None else cost_per_million(DECIMAL.parse(price), latency.p50)
    return known.model_copy(update={"accuracy": figures.accuracy, "latency_milliseconds": latency, "cost": cost})


def concluded(observed: ExperimentObserved, trial: Trial, stamp: Stamp, *, repeat: Repeat | None = None) -> TrialStatus:
    """The status of a trial that was measured, scored by its first measurement."""
    judgement = judged(observed, trial.status.metrics or TrialMetrics())
    message = f"over the limit: {', '.join(judgement.broken)}" if judgement.broken else ""
    reason = "InfeasibleByConstraint" if judgement.broken else "Scored"
    return trial.status.model_copy(
        update={
            "conditions": stamp.put(trial.status.conditions, "Succeeded", TRUE, reason, message),
            "repeat": repeat,
            "score": scored(judgement),
            "feasible": judgement.feasible,
            "violation": judgement.violation,
            "finished_at": stamp.now,
        }
    )


def scored(judgement: Judgement) -> float | None:
    """The score as a status holds it."""
    return None if judgement.score is None else rounded(judgement.score)


def failed(trial: Trial, stamp: Stamp, reason: str, message: str) -> TrialStatus:
    """The status of a trial that ends without a score."""
    conditions = stamp.put(trial.status.conditions, "Failed", TRUE, reason, message)
    status = trial.status.model_copy(update={"conditions": conditions, "finished_at": stamp.now})
    return summed_up(status, stamp)
