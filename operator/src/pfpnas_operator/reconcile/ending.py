"""How an experiment ends, and what makes one that has ended go on."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pfpnas_api.kinds import (
    ArtifactRef,
    CheckpointStatus,
    NASExperiment,
    Supernet,
    Trial,
    find_condition,
    is_true,
)
from pfpnas_operator.reconcile.conditions import FALSE, TRUE
from pfpnas_operator.reconcile.counting import count, predictor_figures
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.finale import Final, evaluate, settled
from pfpnas_operator.reconcile.finalists import Remeasuring, planned_finalists, ranked_finalists, standing_best
from pfpnas_operator.reconcile.stopping import REMEDIES, REOPENED, end_of_search
from pfpnas_operator.reconcile.summary import Summary, reasons
from pfpnas_operator.reconcile.trials import concluded, failed, is_measured

TOO_MANY = "TooManyFailedTrials"

INFEASIBLE = "NoFeasibleArchitecture"

NO_SUCCESS = "NoTrialSucceeded"

LASTING = frozenset({TOO_MANY, INFEASIBLE, NO_SUCCESS, "SupernetReplaced"})
"""Failures that no change of the spec alone mends: they follow from what was measured. The others are tried again once
the spec is changed, if only by suspending and resuming it: an image or an agent may be there by now."""


def reopen(cycle: Cycle) -> None:
    """Undo an end that a changed goal or budget, or a trial made by hand since, makes void."""
    searching = find_condition(cycle.status.conditions, "Searching")
    if _tried_again(cycle):
        _undo_end(cycle)
        _wait_anew(cycle)
        cycle.update(attempts={}, interruptions={})
        cycle.note("TriedAgain", "the spec was changed: it is tried again")
    elif goes_on(cycle.experiment, cycle.summary, cycle.stamp.now):
        _undo_end(cycle)
        cycle.update(search_finished_at=None, attempts={})
        cycle.note(*REOPENED.get(searching.reason if searching else "", REOPENED["BudgetSpent"]))
    elif cycle.ended and cycle.observed.active and cycle.status.search_finished_at is not None:
        _undo_end(cycle)
        cycle.note("TrialAdded", "a trial was added by hand: it is measured too")
    elif cycle.ended and _more_finalists(cycle):
        _undo_end(cycle)
        cycle.note("FinalistsAdded", "more of the best are wanted than were measured again: they are now")

    elif cycle.ended and _changed(cycle):
        _say_why_not(cycle)


def _tried_again(cycle: Cycle) -> bool:
    """Whether it failed for what a changed spec may mend, and the spec was changed since."""
    failure = find_condition(cycle.status.conditions, "Failed")
    if failure is None or failure.status != "True" or failure.reason in LASTING:
        return False
    return cycle.experiment.status.observed_generation != cycle.stamp.generation


def _wait_anew(cycle: Cycle) -> None:
    """Forget since when it waits; how a search ended that was over is kept."""
    over = ("Searching",) if cycle.status.search_finished_at is not None else ()
    kept = tuple(c for c in cycle.status.conditions if c.type in ("Suspended", *over))
    cycle.update(conditions=kept)


def _changed(cycle: Cycle) -> bool:
    """Whether the spec is another one than when the search was finished."""
    observed = cycle.experiment.status
    return observed.search_finished_at is not None and observed.observed_generation != cycle.stamp.generation


def _say_why_not(cycle: Cycle) -> None:
    """A larger budget may not be enough: say what else ends the search, since whoever changed it waits for more."""
    end = end_of_search(cycle.experiment, cycle.summary, started=cycle.summary.tuned, now=cycle.stamp.now)
    if end is not None:
        cycle.note(end.reason, f"the search stays ended: {end.message}; for more trials {REMEDIES[end.reason]}")


def _more_finalists(cycle: Cycle) -> bool:
    """Whether, since the spec was changed, one is to be a finalist that was none."""
    observed, budget = cycle.experiment.status, cycle.experiment.spec.budget
    if not _changed(cycle):
        return False
    wanted = planned_finalists(cycle.summary, observed.finalists, most=budget.finalists)
    return bool({row.trial for row in wanted} - {row.trial for row in observed.finalists})


def goes_on(experiment: NASExperiment, summary: Summary, now: datetime) -> bool:
    """Whether the search is over, but would not be by the goal and the budget as they are now."""
    status, budget = experiment.status, experiment.spec.budget
    searching = find_condition(status.conditions, "Searching")
    reason = searching.reason if searching else ""
    if reason == TOO_MANY:
        return is_true(status.conditions, "Failed") and summary.failures <= budget.max_failed_trials
    if reason not in REOPENED or status.search_finished_at is None:
        return False
    return end_of_search(experiment, summary, started=summary.tuned, now=now) is None


def _undo_end(cycle: Cycle) -> None:
    kept = tuple(c for c in cycle.status.conditions if c.type not in ("Succeeded", "Failed"))
    cycle.update(conditions=kept, finished_at=None)


def withdraw(cycle: Cycle, trial: Trial, why: str) -> Trial:
    """End a trial that nobody will measure any more, for no fault of its own; by its first figures, if it has them."""
    stamp = replace(cycle.stamp, generation=trial.metadata.generation)
    if is_measured(trial) and cycle.observed.supernet is not None:
        status = concluded(cycle.observed, trial, stamp)
    else:
        status = failed(trial, stamp, "Withdrawn", why)
    status = status.model_copy(update={"observed_generation": stamp.generation})
    cycle.plan.trial_status[trial.metadata.name] = status
    return trial.model_copy(update={"status": status})


def finale(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus, *, waiting: bool) -> None:
    """Measure the finalists again, score them and the baselines on the test split; when all have theirs, end.

    Args:
        cycle: As it stands; its search is over.
        supernet: What was searched.
        checkpoint: Its weights.
        waiting: Trials by hand are still under way: what was begun goes on, and nothing new is planned until they end.
    """
    reference = cycle.status.reference
    if cycle.summary.best is None or reference is None:
        return None if waiting else finish(cycle)
    _remeasure(cycle, reference, waiting=waiting)
    ranked = ranked_finalists(cycle.status.finalists)
    if not ranked or len(ranked) < len(cycle.status.finalists):
        return None
    final = Final(
        observed=cycle.observed, supernet=supernet, checkpoint=checkpoint, finalists=tuple(ranked), reference=reference
    )
    cycle.status = evaluate(final, cycle.status, cycle.plan, now=cycle.stamp.now, waiting=waiting)
    if not waiting and all(settled(evaluation) for evaluation in cycle.status.evaluations):
        finish(cycle)
    return None


def _remeasure(cycle: Cycle, reference: ArtifactRef, *, waiting: bool) -> None:
    """One step of every finalist; whom a better trial has displaced stays as it is until the next plan."""
    most = cycle.experiment.spec.budget.finalists
    rows = cycle.status.finalists
    if not waiting:
        rows = planned_finalists(cycle.summary, rows, most=most)
    contenders = {contender.ranked.trial: contender.ranked for contender in cycle.summary.top}
    work = Remeasuring(observed=cycle.observed, plan=cycle.plan, reference=reference, now=cycle.stamp.now)
    stepped = tuple(
        row if row.ranked is not None or row.trial not in contenders else work.step(row, contenders[row.trial])
        for row in rows
    )
    if not waiting:
        stepped = planned_finalists(cycle.summary, stepped, most=most)
    cycle.update(finalists=stepped)
    cycle.update(best=standing_best(cycle.summary, cycle.status, most=most), predictor=predictor_figures(cycle))


def finish(cycle: Cycle) -> None:
    """End: succeeded when the best keeps every limit."""
    searched, best = find_condition(cycle.status.conditions, "Searching"), cycle.status.best
    why, text = (searched.reason, searched.message) if searched else ("Searched", "")
    if best is not None and best.feasible:
        cycle.put("Succeeded", TRUE, why, text)
        cycle.note("Succeeded", f"best {best.trial} with score {best.score or 0.0:.4f}")
    else:
        if best is not None:
            why = INFEASIBLE
            text = f"{_nobody(cycle)}; the closest is {best.trial} ({best.architecture})"
        elif why != INFEASIBLE:
            why, text = NO_SUCCESS, f"no trial succeeded ({reasons(cycle.summary) or why}): {text}"
        cycle.put("Failed", TRUE, why, text)
        cycle.note(why, text, warning=True)
    cycle.update(finished_at=cycle.stamp.now)
    rest(cycle, ())


def _nobody(cycle: Cycle) -> str:
    """Who is known to break a limit: everybody, unless some seemed to keep them by their first measurement."""
    if cycle.summary.best is None or not cycle.summary.best.feasible:
        return "no trial meets every limit"
    return f"no finalist meets every limit when measured again ({len(cycle.status.finalists)} measured)"


def fail(cycle: Cycle, fault: Fault, active: Iterable[Trial]) -> None:
    """End as failed: what is still active is withdrawn, and Jobs go."""
    rest(cycle, active, why=f"the experiment failed: {fault.reason}")
    cycle.put("Searching", FALSE, fault.reason, fault.message)
    cycle.put("Failed", TRUE, fault.reason, fault.message)
    cycle.note(fault.reason, fault.message, warning=True)
    cycle.update(finished_at=cycle.stamp.now)


def rest(cycle: Cycle, active: Iterable[Trial], *, why: str = "the experiment has ended") -> None:
    """Nothing more to do: trials are withdrawn, what still runs or lies on the road is no longer wanted."""
    for trial in sorted(active, key=lambda trial: trial.metadata.name):
        cycle.finish(withdraw(cycle, trial, why))
    count(cycle, ())
    plan = cycle.plan
    for planned in (plan.create_jobs, plan.waiting_jobs, plan.builds, plan.tasks, plan.push):
        planned.clear()
    for wanted in (plan.wanted_jobs, plan.wanted_builds, plan.wanted_tasks):
        wanted.clear()
