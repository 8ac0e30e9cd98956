"""Every trial of an experiment one step on."""

from dataclasses import dataclass, field, replace

from pfpnas_api.kinds import CheckpointStatus, Supernet, Trial, find_condition, is_true
from pfpnas_operator.reconcile.conditions import FALSE
from pfpnas_operator.reconcile.counting import announce
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.ending import TOO_MANY, withdraw
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.origins import is_own
from pfpnas_operator.reconcile.repeats import BLIND
from pfpnas_operator.reconcile.stopping import overdue
from pfpnas_operator.reconcile.summary import reasons
from pfpnas_operator.reconcile.trials import advance_trial, is_measured, summed_up
from pfpnas_operator.reconcile.waits import Wait


@dataclass(kw_only=True)
class Stepped:
    """The trials after a cycle: those that go on, those that finished, and the first fault of the experiment met."""

    active: list[Trial] = field(default_factory=list)
    done: list[Trial] = field(default_factory=list)
    fault: Fault | None = None


def step_trials(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus, *, paused: bool = False) -> Stepped:
    """Advance every active trial; of the search's own, those that nobody has in hand when the time is spent end.

    While `paused` only answers are taken in: what is not built stays as it is, and no time is spent.
    """
    stepped, late = Stepped(), None if paused else overdue(cycle.experiment, cycle.stamp.now)
    for trial in cycle.observed.active:
        if paused and not is_true(trial.status.conditions, "Built"):
            stepped.active.append(trial)
            continue
        if late and is_own(trial) and not _in_hand(cycle, trial):
            stepped.done.append(withdraw(cycle, trial, late))
            continue
        after, fault = advance_trial(
            cycle.observed, trial, cycle.plan, supernet=supernet, checkpoint=checkpoint, now=cycle.stamp.now
        )
        stepped.fault = stepped.fault or fault
        (stepped.done if after.finished else stepped.active).append(after)
    # The order in which they are read again later, too: what is kept of them, and what the tuner is told, is the same.
    stepped.done.sort(key=lambda trial: trial.metadata.name)
    for trial in stepped.done:
        cycle.finish(trial)
        announce(cycle, trial)
    return stepped


def fault_of(cycle: Cycle, stepped: Stepped) -> Fault | None:
    """What the trials say against the experiment; a search that is finished stays so, whatever is added by hand."""
    most = cycle.experiment.spec.budget.max_failed_trials
    if cycle.status.search_finished_at is not None:
        return None
    if stepped.fault or cycle.summary.failures <= most:
        return stepped.fault
    return Fault(reason=TOO_MANY, message=f"more than {most} trials failed: {reasons(cycle.summary)}")


def hold_trials(cycle: Cycle, wait: Wait) -> None:
    """Say on trials that were made before the search began why nothing happens to them."""
    for trial in cycle.observed.active:
        if find_condition(trial.status.conditions, "Built") is not None:
            continue
        stamp = replace(cycle.stamp, generation=trial.metadata.generation)
        conditions = stamp.put(trial.status.conditions, "Built", FALSE, "WaitingForSearch", wait.message)
        status = trial.status.model_copy(update={"conditions": conditions, "observed_generation": stamp.generation})
        cycle.plan.trial_status[trial.metadata.name] = summed_up(status, stamp)


def _in_hand(cycle: Cycle, trial: Trial) -> bool:
    """Whether an agent measures a trial (for the second time, maybe), or has an answer on its way."""
    if trial.status.artifact is None:
        return False
    repetition = BLIND if is_measured(trial) else 0
    task = measure_task(cycle.experiment, trial.status.artifact, cycle.status.reference, repetition=repetition).task_id
    lease = cycle.observed.tasks.get(task)
    return task in cycle.observed.results or (lease is not None and lease.state != "Waiting")
