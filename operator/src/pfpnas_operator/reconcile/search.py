"""Which trials to start: asks to the tuner, trials from its suggestions, and when the search is over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfpnas_api.kinds import (
    LocalReference,
    Metadata,
    NASExperiment,
    Trial,
    TrialMetrics,
    TrialSpec,
    TrialStatus,
)
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.scoring import judge
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.space import reference_metrics
from pfpnas_operator.reconcile.summary import Summary


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """Where the search stands after this cycle.

    Attributes:
        over: Why no further trial will be started; None while some will.
        message: In words, with the closest architecture where none is feasible.
        created: The new trials.
    """

    over: str | None
    message: str = ""
    created: tuple[Trial, ...] = ()


def search_step(
    observed: ExperimentObserved, active: Sequence[Trial], plan: Plan, *, summary: Summary, now: datetime
) -> SearchState:
    """Start trials from the suggestions at hand, and ask for those that are lacking.

    Args:
        observed: As seen.
        active: Trials not finished after this cycle.
        plan: Gets new trials and log entries.
        summary: Of those finished after this cycle.
        now: The time.
    """
    experiment = observed.experiment
    late = overdue(experiment, now)
    if late:
        return SearchState(over="DurationSpent", message=late)
    budget, first = experiment.spec.budget, next_index(summary, active)
    under_way = sum(trial.spec.index is not None for trial in active)
    tuned = summary.tuned + under_way
    if tuned >= budget.max_trials:
        return SearchState(over="BudgetSpent", message=f"all {budget.max_trials} trials were started")
    free = max(0, min(budget.parallel_trials - under_way, budget.max_trials - tuned))
    created: list[Trial] = []
    for index in range(first, first + free):
        suggestion = observed.suggestions.get(index)
        if suggestion is None:
            break
        if suggestion.architecture is None:
            return _exhausted(suggestion, created, plan)
        created.append(_trial(experiment, suggestion, suggestion.architecture, now))
    plan.create_trials.extend(created)
    if free and observed.log.asked < first + free:
        plan.log.append(LogEntry(event="Ask", count=first + free))
    return SearchState(over=None, created=tuple(created))


def next_index(summary: Summary, active: Iterable[Trial]) -> int:
    """The first index that no trial has had yet."""
    indices = (trial.spec.index for trial in active)
    return max([summary.next_index, *(index + 1 for index in indices if index is not None)])


def awaits_suggestions(observed: ExperimentObserved) -> bool:
    """Whether the tuner was asked for a suggestion that isn't there."""
    for index in range(next_index(observed.summary, observed.active), observed.log.asked):
        suggestion = observed.suggestions.get(index)
        if suggestion is None or suggestion.architecture is None:
            return suggestion is None
    return False


def _exhausted(suggestion: Suggestion, created: list[Trial], plan: Plan) -> SearchState:
    plan.create_trials.extend(created)
    reason = suggestion.exhausted or "SpaceExhausted"
    message = "every architecture of the search space was tried"
    if reason == "NoFeasibleArchitecture":
        message = f"no architecture meets the limits known beforehand; the closest is {suggestion.closest}"
    return SearchState(over=reason, message=message, created=tuple(created))


def overdue(experiment: NASExperiment, now: datetime) -> str | None:
    """Why no time is left, if none is."""
    limit, started = experiment.spec.budget.max_duration_seconds, experiment.status.started_at
    if limit is None or started is None or now - started <= timedelta(seconds=limit):
        return None
    return f"the search ran for budget.maxDurationSeconds ({limit} s)"


def _trial(experiment: NASExperiment, suggestion: Suggestion, architecture: str, now: datetime) -> Trial:
    return Trial(
        metadata=Metadata(name=names.trial(experiment, suggestion.index), namespace=experiment.metadata.namespace),
        spec=TrialSpec(
            experiment_ref=LocalReference(name=experiment.metadata.name),
            architecture=architecture,
            index=suggestion.index,
            origin=suggestion.origin,
        ),
        status=TrialStatus(predicted=suggestion.predicted, created_at=now),
    )


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
        violation=status.violation,
    )
