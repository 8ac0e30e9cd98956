"""How an experiment ends, and what makes one that has ended go on."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pfpnas_api.kinds import CheckpointStatus, NASExperiment, Supernet, Trial, find_condition, is_true
from pfpnas_operator.reconcile.conditions import FALSE, TRUE
from pfpnas_operator.reconcile.counting import count
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.finale import Final, evaluate, settled
from pfpnas_operator.reconcile.search import overdue
from pfpnas_operator.reconcile.summary import Summary, reasons
from pfpnas_operator.reconcile.trials import failed

TOO_MANY = "TooManyFailedTrials"

INFEASIBLE = "NoFeasibleArchitecture"

NO_SUCCESS = "NoTrialSucceeded"

SPENT = frozenset({"BudgetSpent", "DurationSpent"})
"""Ends of a search that a larger budget undoes."""


def reopen(cycle: Cycle) -> None:
    """Undo an end that a larger budget, or a trial made by hand since, makes void."""
    if budget_raised(cycle.experiment, cycle.summary, cycle.stamp.now):
        _undo_end(cycle)
        cycle.update(search_finished_at=None, attempts={})
        cycle.note("BudgetRaised", "the budget was raised: the search goes on")
    elif cycle.ended and cycle.observed.active and cycle.status.search_finished_at is not None:
        _undo_end(cycle)
        cycle.note("TrialAdded", "a trial was added by hand: it is measured too")


def budget_raised(experiment: NASExperiment, summary: Summary, now: datetime) -> bool:
    """Whether the search is over, and the budget as it is now leaves room to go on."""
    status, budget = experiment.status, experiment.spec.budget
    searching = find_condition(status.conditions, "Searching")
    reason = searching.reason if searching else ""
    if reason == TOO_MANY:
        return is_true(status.conditions, "Failed") and summary.failures <= budget.max_failed_trials
    if reason not in SPENT or status.search_finished_at is None:
        return False
    return summary.tuned < budget.max_trials and not overdue(experiment, now)


def _undo_end(cycle: Cycle) -> None:
    kept = tuple(c for c in cycle.status.conditions if c.type not in ("Succeeded", "Failed"))
    cycle.update(conditions=kept, finished_at=None)


def withdraw(cycle: Cycle, trial: Trial, why: str) -> Trial:
    """End a trial that nobody will measure any more, for no fault of its own."""
    stamp = replace(cycle.stamp, generation=trial.metadata.generation)
    status = failed(trial, stamp, "Withdrawn", why).model_copy(update={"observed_generation": stamp.generation})
    cycle.plan.trial_status[trial.metadata.name] = status
    return trial.model_copy(update={"status": status})


def finale(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
    """Score the best and the baselines; when all have their figure, that is the end."""
    best, reference = cycle.summary.best, cycle.status.reference
    if best is None or reference is None:
        return finish(cycle)
    final = Final(observed=cycle.observed, supernet=supernet, checkpoint=checkpoint, best=best, reference=reference)
    cycle.status = evaluate(final, cycle.status, cycle.plan, now=cycle.stamp.now)
    if all(settled(evaluation) for evaluation in cycle.status.evaluations):
        finish(cycle)
    return None


def finish(cycle: Cycle) -> None:
    """End: succeeded when the best keeps every limit."""
    searched, best = find_condition(cycle.status.conditions, "Searching"), cycle.summary.best
    why, text = (searched.reason, searched.message) if searched else ("Searched", "")
    if best is not None and best.feasible:
        cycle.put("Succeeded", TRUE, why, text)
        cycle.note("Succeeded", f"best {best.trial} with score {best.score or 0.0:.4f}")
    else:
        if best is not None:
            why = INFEASIBLE
            text = f"no trial meets every limit; the closest is {best.trial} ({best.architecture})"
        elif why != INFEASIBLE:
            why, text = NO_SUCCESS, f"no trial succeeded ({reasons(cycle.summary) or why}): {text}"
        cycle.put("Failed", TRUE, why, text)
        cycle.note(why, text, warning=True)
    cycle.update(finished_at=cycle.stamp.now)
    rest(cycle, ())


def fail(cycle: Cycle, fault: Fault, active: Iterable[Trial]) -> None:
    """End as failed: what is still active is withdrawn, and Jobs go."""
    rest(cycle, active, why=f"the experiment failed: {fault.reason}")
    cycle.put("Searching", FALSE, fault.reason, fault.message)
    cycle.put("Failed", TRUE, fault.reason, fault.message)
    cycle.note(fault.reason, fault.message, warning=True)
    cycle.update(finished_at=cycle.stamp.now)


def rest(cycle: Cycle, active: Iterable[Trial], *, why: str = "the experiment has ended") -> None:
    """Nothing more to do: trials are withdrawn, what still runs or lies on the road is no longer wanted."""
    for trial in active:
        cycle.finish(withdraw(cycle, trial, why))
    count(cycle, ())
    plan = cycle.plan
    for planned in (plan.create_jobs, plan.builds, plan.tasks, plan.push):
        planned.clear()
    for wanted in (plan.wanted_jobs, plan.wanted_builds, plan.wanted_tasks):
        wanted.clear()
