"""Suspended experiments: nothing is started, its Jobs go, and what agents have in hand is still taken in."""

from pfpnas_api.kinds import CheckpointStatus, Supernet
from pfpnas_operator.reconcile.conditions import FALSE, TRUE
from pfpnas_operator.reconcile.counting import count
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.ending import fail, finale
from pfpnas_operator.reconcile.stepping import fault_of, step_trials
from pfpnas_operator.reconcile.sweeping import sweep, sweep_jobs
from pfpnas_operator.reconcile.telling import tell
from pfpnas_operator.reconcile.upkeep import checkpoint_of

WISH = "spec.suspend is true"


def suspend(cycle: Cycle) -> None:
    """One step of an experiment that is to be suspended and has not ended."""
    _say_suspended(cycle)
    pause(cycle)


def suspend_unseen(cycle: Cycle) -> None:
    """The same while Redis or the store is away: its Jobs go, and what lies on the road waits until all is seen."""
    _say_suspended(cycle)
    sweep_jobs(cycle)


def _say_suspended(cycle: Cycle) -> None:
    if cycle.status.suspended_at is None:
        cycle.update(suspended_at=cycle.stamp.now)
        cycle.note("Suspended", "nothing is started any more; what agents measure is still taken in")
    claimed = sum(lease.state == "Claimed" for lease in cycle.observed.tasks.values())
    under_way = f"; measurements under way, still taken in: {claimed}" if claimed else ""
    cycle.put("Suspended", TRUE, "Suspended", WISH + under_way)
    if cycle.status.search_finished_at is None:
        cycle.put("Searching", FALSE, "Suspended", WISH)


def resume(cycle: Cycle) -> None:
    """Let a suspended experiment go on; what it was suspended for since it began is no time of its search."""
    since, began = cycle.status.suspended_at, cycle.status.started_at
    if since is None:
        return
    slept = (cycle.stamp.now - max(since, began)).total_seconds() if began else 0
    cycle.update(suspended_at=None, suspended_seconds=cycle.status.suspended_seconds + max(0, int(slept)))
    cycle.put("Suspended", FALSE, "Resumed")
    cycle.note("Resumed", "it goes on where it was")


def nothing_to_suspend(cycle: Cycle) -> None:
    """Say so of an experiment that has ended; it stays ended until it is no longer to be suspended."""
    cycle.update(suspended_at=None)
    cycle.put("Suspended", FALSE, "Ended", f"{WISH}, but there is nothing to suspend: it has ended")


def pause(cycle: Cycle) -> None:
    """Start nothing, keep no Job, withdraw what nobody has claimed; answers are taken in."""
    supernet = cycle.observed.supernet
    checkpoint = checkpoint_of(supernet)
    if cycle.status.started_at is None:
        count(cycle, cycle.observed.active)
        _start_nothing(cycle)
        return sweep(cycle)
    if supernet is None or checkpoint is None:
        # Nothing is looked at, so no answer is swept: they wait until the Supernet is there.
        _start_nothing(cycle)
        return sweep_jobs(cycle)
    _take_answers(cycle, supernet, checkpoint)
    _start_nothing(cycle)
    return sweep(cycle)


def _take_answers(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
    stepped = step_trials(cycle, supernet, checkpoint, paused=True)
    tell(cycle.observed, stepped.active, [*cycle.observed.untold, *stepped.done], cycle.plan)
    count(cycle, stepped.active)
    fault: Fault | None = fault_of(cycle, stepped)
    if fault is not None:
        return fail(cycle, fault, stepped.active)
    if cycle.status.search_finished_at is not None:
        finale(cycle, supernet, checkpoint, waiting=True)
    return None


def _start_nothing(cycle: Cycle) -> None:
    """Take out of the plan what would be started, and off the road what nobody has begun.

    Chunks that an agent missed are pushed all the same: its answer has cost an attempt, and the next agent needs them.
    """
    plan, observed = cycle.plan, cycle.observed
    for planned in (plan.create_jobs, plan.waiting_jobs, plan.builds, plan.tasks):
        planned.clear()
    for wanted in (plan.wanted_jobs, plan.wanted_builds):
        wanted.clear()
    unclaimed = (lease.entry for lease in observed.tasks.values() if lease.state == "Waiting")
    plan.delete_tasks.extend(entry for entry in unclaimed if entry not in plan.delete_tasks)
    # Claimed builds too: their workers go.
    builds = (lease.entry for lease in observed.builds.values())
    plan.delete_builds.extend(entry for entry in builds if entry not in plan.delete_builds)
