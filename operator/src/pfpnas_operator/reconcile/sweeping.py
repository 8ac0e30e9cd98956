"""Taking away what nothing waits for: late answers, void tasks and builds, Jobs that are done."""

from pfpnas_operator.reconcile.cycle import Cycle
from pfpnas_operator.reconcile.waits import remove


def sweep(cycle: Cycle) -> None:
    """Clear the road of what this cycle did not want; to be called once every trial and evaluation was looked at."""
    _sweep_tasks(cycle)
    _sweep_results(cycle)
    _sweep_builds(cycle)
    sweep_jobs(cycle)
    _count_answers(cycle)


def _sweep_tasks(cycle: Cycle) -> None:
    plan = cycle.plan
    for task_id, lease in cycle.observed.tasks.items():
        if task_id not in plan.wanted_tasks and lease.entry not in plan.delete_tasks:
            plan.delete_tasks.append(lease.entry)


def _sweep_results(cycle: Cycle) -> None:
    """Answers that nobody waits for: late ones are replicates, those to tasks that never were are refused."""
    plan = cycle.plan
    for task_id, answers in cycle.observed.results.items():
        if task_id in plan.wanted_tasks:
            continue
        if task_id in cycle.observed.strange:
            plan.refuse_results.extend(answers)
            continue
        spare = [answer for answer in answers if answer not in plan.delete_results]
        plan.delete_results.extend(spare)
        plan.replicates += len(spare)


def _count_answers(cycle: Cycle) -> None:
    """What was swept or refused, in the status; what is refused is said, since an agent is wrong or worse."""
    plan = cycle.plan
    plan.delete_results.extend(plan.refuse_results)
    for agent in sorted({answer.agent for answer in plan.refuse_results}):
        cycle.note("ResultRefused", f"agent {agent} answered what can't be true, or what nobody asked", warning=True)
    if cycle.observed.refused:
        cycle.note("ResultRefused", f"answers that can't be read: {cycle.observed.refused}", warning=True)
    if plan.replicates:
        cycle.update(replicates=cycle.status.replicates + plan.replicates)
    if plan.refuse_results:
        cycle.update(refused_results=cycle.status.refused_results + len(plan.refuse_results))


def _sweep_builds(cycle: Cycle) -> None:
    """A claimed build is left to its worker while the experiment lives: it clears up behind itself."""
    plan = cycle.plan
    for uid, lease in cycle.observed.builds.items():
        unwanted = uid not in plan.wanted_builds and (lease.state != "Claimed" or cycle.ended)
        if unwanted and lease.entry not in plan.delete_builds:
            plan.delete_builds.append(lease.entry)


def sweep_jobs(cycle: Cycle) -> None:
    """Have the Jobs deleted that this cycle did not want."""
    plan = cycle.plan
    for name, job in cycle.observed.jobs.items():
        if name not in plan.wanted_jobs and not job.leaving:
            remove(plan, name)
