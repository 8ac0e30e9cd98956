"""What the tuner is told: which trials were started, and how they ended."""

from collections.abc import Sequence

from pfpnas_api.kinds import NASExperiment, ObjectiveSpec, Trial, TrialMetrics
from pfpnas_api.kinds.experiment import MetricName
from pfpnas_api.messages import LogEntry
from pfpnas_api.scoring import judge
from pfpnas_api.scoring.limits import STATIC_FIELDS
from pfpnas_api.scoring.metrics import limited_value
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.space import reference_metrics


def tell(observed: ExperimentObserved, unfinished: Sequence[Trial], finished: Sequence[Trial], plan: Plan) -> None:
    """Bring the tuner's log up to date: first what finished, then what was started, then (elsewhere) what is asked."""
    entries: list[LogEntry] = []
    news = [trial for trial in finished if trial.metadata.name not in observed.log.finished]
    reference = reference_metrics(observed.supernet) if news else None
    for trial in news:
        entries.append(finished_entry(observed.experiment, trial, reference=reference))
        plan.told[trial.metadata.name] = "Finished"
    for trial in unfinished:
        if trial.metadata.name not in observed.log.started:
            entries.append(LogEntry(event="Started", index=trial.spec.index, architecture=trial.spec.architecture))
            plan.told[trial.metadata.name] = "Started"
    plan.log[:0] = entries


def finished_entry(experiment: NASExperiment, trial: Trial, *, reference: TrialMetrics | None) -> LogEntry:
    """What the tuner learns of a finished trial; `reference` is what is counted of the reference model."""
    status, metrics = trial.status, trial.status.metrics
    latency = metrics.latency_milliseconds if metrics else None
    judgement = None
    if metrics and status.score is not None:
        judgement = judge(experiment.spec.objective, metrics, reference=reference)
    return LogEntry(
        event="Finished",
        index=trial.spec.index,
        architecture=trial.spec.architecture,
        outcome=judgement.outcome if judgement else "Failed",
        score=status.score,
        accuracy=metrics.accuracy if metrics else None,
        latency_ms=latency.p50 if latency else None,
        reference_ms=latency.reference if latency else None,
        ratios=ratios(experiment.spec.objective, metrics) if metrics else {},
        violation=status.violation,
        checkpoint=status.checkpoint,
    )


def ratios(objective: ObjectiveSpec, metrics: TrialMetrics) -> dict[MetricName, float]:
    """Metrics that are limited and were measured, as shares of their limits; Latency is told by itself.

    Above 1 the limit is broken: Throughput, which has to be high, is therefore the limit's share of the value.
    """
    found: dict[MetricName, float] = {}
    for constraint in objective.constraints:
        if constraint.metric == "Latency" or constraint.metric in STATIC_FIELDS:
            continue
        value = limited_value(metrics, constraint, reference=None)
        if value is not None:
            share = value / constraint.limit
            found[constraint.metric] = 1 / share if constraint.min is not None else share
    return found
