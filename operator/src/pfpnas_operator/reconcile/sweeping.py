"""Taking away what nothing waits for: late answers, void tasks and builds, Jobs that are done."""

from pfpnas_operator.reconcile.cycle import Cycle


def sweep(cycle: Cycle) -> None:
    """Clear the road of what this cycle did not want; to be called once every trial and evaluation was looked at."""
    _sweep_tasks(cycle)
    _sweep_results(cycle)
    _sweep_builds(cycle)
    _sweep_jobs(cycle)
    if cycle.plan.replicates:
        cycle.update(replicates=cycle.status.replicates + cycle.plan.replicates)


def _sweep_tasks(cycle: Cycle) -> None:
    plan = cycle.plan
    for task_id, lease in cycle.observed.tasks.items():
        if task_id not in plan.wanted_tasks and lease.entry not in plan.delete_tasks:
            plan.delete_tasks.append(lease.entry)


def _sweep_results(cycle: Cycle) -> None:
    plan = cycle.plan
    for task_id, answers in cycle.observed.results.items():
        if task_id not in plan.wanted_tasks:
            spare = [answer for answer in answers if answer not in plan.delete_results]
            plan.delete_results.extend(spare)
            plan.replicates += len(spare)


def _sweep_builds(cycle: Cycle) -> None:
    """A claimed build is left to its worker while the experiment lives: it clears up behind itself."""
    plan = cycle.plan
    for uid, lease in cycle.observed.builds.items():
        unwanted = uid not in plan.wanted_builds and (lease.state != "Claimed" or cycle.ended)
        if unwanted and lease.entry not in plan.delete_builds:
            plan.delete_builds.append(lease.entry)


def _sweep_jobs(cycle: Cycle) -> None:
    plan = cycle.plan
    for name in cycle.observed.jobs:
        if name not in plan.wanted_jobs and name not in plan.delete_jobs:
            plan.delete_jobs.append(name)
