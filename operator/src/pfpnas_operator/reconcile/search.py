"""Which trials to start: those of a warm start, then asks to the tuner and trials from its suggestions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pfpnas_api.kinds import (
    LocalReference,
    Metadata,
    Trial,
    TrialSpec,
    TrialStatus,
)
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.origins import is_own
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.stopping import end_of_search
from pfpnas_operator.reconcile.summary import Summary
from pfpnas_operator.reconcile.warming import warm_trials


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
    experiment, budget = observed.experiment, observed.experiment.spec.budget
    under_way = sum(is_own(trial) for trial in active)
    started = summary.tuned + under_way
    end = end_of_search(experiment, summary, started=started, now=now)
    if end is not None:
        return SearchState(over=end.reason, message=end.message)
    free = max(0, min(budget.parallel_trials - under_way, budget.max_trials - started))
    refused = observed.trials_refused
    if refused is not None and not refused.due:
        free = 0
    warm = warm_trials(observed, active, summary=summary, now=now)[:free]
    plan.create_trials.extend(warm)
    return _draw(observed, (*active, *warm), plan, free=free - len(warm), summary=summary, now=now, warm=warm)


def _draw(
    observed: ExperimentObserved,
    active: Sequence[Trial],
    plan: Plan,
    *,
    free: int,
    summary: Summary,
    now: datetime,
    warm: tuple[Trial, ...],
) -> SearchState:
    """Trials of the tuner's suggestions, as many as there is room for; what is lacking is asked for."""
    created, first = list(warm), next_index(summary, active)
    for index in range(first, first + free):
        suggestion = observed.suggestions.get(index)
        if suggestion is None:
            break
        if suggestion.architecture is None:
            return _exhausted(suggestion, created)
        trial = _trial(observed, suggestion, suggestion.architecture, now)
        created.append(trial)
        plan.create_trials.append(trial)
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


def _exhausted(suggestion: Suggestion, created: list[Trial]) -> SearchState:
    reason = suggestion.exhausted or "SpaceExhausted"
    message = "every architecture of the search space was tried"
    if reason == "NoFeasibleArchitecture":
        message = f"no architecture meets the limits known beforehand; the closest is {suggestion.closest}"
    return SearchState(over=reason, message=message, created=tuple(created))


def _trial(observed: ExperimentObserved, suggestion: Suggestion, architecture: str, now: datetime) -> Trial:
    experiment = observed.experiment
    name = names.trial(experiment, suggestion.index, taken=observed.reserved)
    return Trial(
        metadata=Metadata(name=name, namespace=experiment.metadata.namespace),
        spec=TrialSpec(
            experiment_ref=LocalReference(name=experiment.metadata.name),
            architecture=architecture,
            index=suggestion.index,
            origin=suggestion.origin,
        ),
        status=TrialStatus(predicted=suggestion.predicted, created_at=now),
    )
