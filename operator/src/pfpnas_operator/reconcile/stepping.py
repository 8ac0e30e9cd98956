"""Every trial of an experiment one step on."""

from dataclasses import dataclass, field

from pfpnas_api.kinds import CheckpointStatus, Supernet, Trial
from pfpnas_operator.reconcile.counting import announce
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.ending import withdraw
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.search import overdue
from pfpnas_operator.reconcile.trials import advance_trial


@dataclass(kw_only=True)
class Stepped:
    """The trials after a cycle: those that go on, those that finished, and the first fault of the experiment met."""

    active: list[Trial] = field(default_factory=list)
    done: list[Trial] = field(default_factory=list)
    fault: Fault | None = None


def step_trials(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> Stepped:
    """Advance every active trial; those of the tuner that nobody has in hand when the time is spent are withdrawn."""
    stepped, late = Stepped(), overdue(cycle.experiment, cycle.stamp.now)
    for trial in cycle.observed.active:
        if late and trial.spec.index is not None and not _in_hand(cycle, trial):
            stepped.done.append(withdraw(cycle, trial, late))
            continue
        after, fault = advance_trial(
            cycle.observed, trial, cycle.plan, supernet=supernet, checkpoint=checkpoint, now=cycle.stamp.now
        )
        stepped.fault = stepped.fault or fault
        (stepped.done if after.finished else stepped.active).append(after)
    for trial in stepped.done:
        cycle.finish(trial)
        announce(cycle, trial)
    return stepped


def _in_hand(cycle: Cycle, trial: Trial) -> bool:
    """Whether an agent measures a trial, or has an answer on its way."""
    if trial.status.artifact is None:
        return False
    task = measure_task(cycle.experiment, trial.status.artifact, cycle.status.reference).task_id
    lease = cycle.observed.tasks.get(task)
    return task in cycle.observed.results or (lease is not None and lease.state != "Waiting")
