"""Quiet while the agent measures: on one machine, other work on the same cores triples the 90th percentile."""

from pfpnas_operator.reconcile import ExperimentObserved, Plan, names
from pfpnas_operator.reconcile.search import awaits_suggestions


def hold_back(plan: Plan, observed: ExperimentObserved) -> Plan:
    """The plan without what would disturb a measurement; what is held back is planned again in the next cycle.

    While a task lies on the road nothing is built and nothing is asked of the tuner; while a build or an ask is under
    way no task is published. Work so goes in turns: ask and build a batch, then measure it.
    """
    if _measuring(observed):
        plan.builds.clear()
        plan.create_jobs.clear()
        plan.log[:] = [entry for entry in plan.log if entry.event != "Ask"]
    elif _building(observed) or _starts_work(plan):
        plan.tasks.clear()
    return plan


def _measuring(observed: ExperimentObserved) -> bool:
    return any(lease.state != "Answered" for lease in observed.tasks.values())


def _building(observed: ExperimentObserved) -> bool:
    builds = any(lease.state != "Answered" for lease in observed.builds.values())
    pods = any(job.active and not _serves(observed, job.name) for job in observed.jobs.values())
    return builds or pods or _suggesting(observed)


def _serves(observed: ExperimentObserved, name: str) -> bool:
    """Whether a Job waits for work rather than being work itself."""
    return name in (names.tune_job(observed.experiment), names.worker_job(observed.experiment))


def _suggesting(observed: ExperimentObserved) -> bool:
    """Whether a tuner computes: one that is gone, or whose suggestions nobody wants any more, holds nothing up."""
    tuner = observed.jobs.get(names.tune_job(observed.experiment))
    searching = observed.experiment.status.search_finished_at is None
    return searching and tuner is not None and tuner.active and awaits_suggestions(observed)


def _starts_work(plan: Plan) -> bool:
    asks = any(entry.event == "Ask" for entry in plan.log)
    # New trials are built in the next cycle: their candidates join the batch that is measured then.
    return bool(plan.builds or plan.create_trials) or asks or any(job.workload == "trial" for job in plan.create_jobs)
