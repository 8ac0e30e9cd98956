"""What an experiment needs to be there: its Supernet, agents, its own Jobs, and the reference model."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pfpnas_api.jobs import EXIT_BAD_INPUT, TrialWorkerJob, TuneJob
from pfpnas_api.kinds import CheckpointStatus, Supernet, find_condition, is_true
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.building import (
    BuildFailed,
    Building,
    Built,
    SelfMeasured,
    Tries,
    advance_build,
    build_request,
)
from pfpnas_operator.reconcile.conditions import FALSE, TRUE
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.deadlines import CLAIM_DEADLINE, MOST_ATTEMPTS, STEADY, SUGGESTION_DEADLINE
from pfpnas_operator.reconcile.observed import ExperimentObserved, JobView
from pfpnas_operator.reconcile.plan import JobRequest
from pfpnas_operator.reconcile.search import awaits_suggestions
from pfpnas_operator.reconcile.trials import measures_itself
from pfpnas_operator.reconcile.waits import PENDING, Wait, interrupted, remove, retry, wait_of
from pfpnas_operator.reconcile.willing import all_refuse, nobody_takes, refusing, said_of

REFERENCE = "reference"
"""The reference model's build among `status.attempts`."""

NOT_CLAIMED = "NotClaimed"
"""That agents are heard and free, and take no task."""


def checkpoint_of(supernet: Supernet | None) -> CheckpointStatus | None:
    """The checkpoint of a Supernet that is ready."""
    if supernet is None or not is_true(supernet.status.conditions, "Ready"):
        return None
    return supernet.status.checkpoint


def wait_for_supernet(cycle: Cycle, supernet: Supernet | None) -> None:
    """Say what is lacking."""
    name = cycle.experiment.spec.supernet_ref.name
    if is_true(cycle.status.conditions, "SupernetReady"):
        cycle.note("SupernetLost", f"Supernet {name} is gone or no longer ready: the search waits for it", warning=True)
    if supernet is None:
        cycle.put("SupernetReady", FALSE, "NotFound", f"no Supernet {name} in this namespace")
    elif is_true(supernet.status.conditions, "Failed"):
        cycle.put("SupernetReady", FALSE, "SupernetFailed", f"Supernet {name} has failed: see its conditions")
    else:
        # Not False: it has deadlines of its own, and may rightly take weeks.
        ready = find_condition(supernet.status.conditions, "Ready")
        how = f": {ready.reason}" if ready and ready.status == "False" else ""
        cycle.put("SupernetReady", "Unknown", "Waiting", f"Supernet {name} is not ready yet{how}")


def see_agents(cycle: Cycle) -> None:
    """Say whether somebody is there who measures."""
    pool, count = cycle.experiment.spec.target.pool, len(cycle.observed.agents)
    if measures_itself(cycle.status):
        cycle.put("AgentsAvailable", TRUE, "NotNeeded", "the trials' image measures by itself")
    elif all_refuse(cycle.observed):
        _lack_agents(cycle, "AgentsRefuse", f"no agent of pool {pool} takes tasks" + said_of(refusing(cycle.observed)))
    elif nobody_takes(cycle.observed, cycle.stamp.now, after=_claim_patience(cycle)):
        text = (
            f"agents in pool {pool}: {count}, but none takes a task: their own logs say why "
            "(`Redis refuses` names a right that is lacking); start them again"
        )
        _lack_agents(cycle, NOT_CLAIMED, text)
    elif count:
        text = f"agents in pool {pool}: {count}" + said_of(refusing(cycle.observed))
        cycle.put("AgentsAvailable", TRUE, "Heartbeat", text)
    else:
        _lack_agents(cycle, "NoHeartbeat", f"no agent of pool {pool} is heard: is one running?")


def _claim_patience(cycle: Cycle) -> timedelta:
    """How long tasks may lie there; that nobody takes them stays said until somebody does, whoever starts to count."""
    said = find_condition(cycle.status.conditions, "AgentsAvailable")
    return timedelta(0) if said is not None and said.reason == NOT_CLAIMED else CLAIM_DEADLINE


def _lack_agents(cycle: Cycle, reason: str, text: str) -> None:
    if is_true(cycle.status.conditions, "AgentsAvailable"):
        cycle.note(reason, text, warning=True)
    cycle.put("AgentsAvailable", FALSE, reason, text)


def build_reference(
    cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus, *, worker: Wait | None
) -> Fault | None:
    """One step of the reference model's build; `status.reference` is set once it is there.

    Args:
        cycle: Of the experiment.
        supernet: Its Supernet.
        checkpoint: Of the Supernet.
        worker: Why the workers' pods don't run yet, if so: nobody builds meanwhile.
    """
    smallest = supernet.space().minimum().id
    request, status = build_request(cycle.experiment, checkpoint, smallest), cycle.status
    tries = Tries(attempts=status.attempts.get(REFERENCE, 0), interruptions=status.interruptions.get(REFERENCE, 0))
    outcome = advance_build(cycle.observed, request, cycle.plan, tries=tries, now=cycle.stamp.now)
    if isinstance(outcome, BuildFailed):
        return Fault(reason=outcome.reason, message=f"the reference model can't be built: {outcome.message}")
    if isinstance(outcome, Building):
        cycle.attempt(REFERENCE, outcome.tries.attempts)
        cycle.interruption(REFERENCE, outcome.tries.interruptions)
        stopped = worker if worker is not None and worker.reason != PENDING else None
        building = Wait(reason="BuildingReference", message="the reference model is being built")
        wait_with(cycle, outcome.wait or stopped or building)
        return None
    fault = _nothing_to_relate_to(cycle) if isinstance(outcome, SelfMeasured) else None
    if fault is None:
        artifact = outcome.artifact if isinstance(outcome, Built) else None
        cycle.update(reference=artifact, reference_architecture=smallest)
    return fault


def _nothing_to_relate_to(cycle: Cycle) -> Fault | None:
    """Limits that are multiples of what an agent measures of the reference model: there is no such measurement."""
    for number, constraint in enumerate(cycle.experiment.spec.objective.constraints):
        if constraint.relative and constraint.metric in ("Latency", "Cost"):
            text = (
                f"spec.objective.constraints[{number}].maxRelative: the trials' image measures by itself, "
                f"so there is no reference model that {constraint.metric} could be a multiple of; use max"
            )
            return Fault(reason="NoReference", message=text)
    return None


def wait_with(cycle: Cycle, wait: Wait) -> None:
    """Say why the search doesn't begin or go on; what may need somebody's help is an event too, once."""
    before = find_condition(cycle.status.conditions, "Searching")
    if wait.worrying and wait.reason != "BuildingReference" and (before is None or before.reason != wait.reason):
        cycle.note(wait.reason, wait.message, warning=True)
    cycle.put("Searching", FALSE, wait.reason, wait.message)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How the experiment's own Jobs stand.

    Attributes:
        fault: One keeps dying, or waited for too long.
        tuner: Why the tuner's pod does not run yet, if so.
        worker: The same of the workers' pods.
    """

    fault: Fault | None = None
    tuner: Wait | None = None
    worker: Wait | None = None

    @property
    def wait(self) -> Wait | None:
        """The first of the two."""
        return self.tuner or self.worker


def keep_jobs(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> Kept:
    """See that the experiment's own Jobs are up."""
    tuner = worker = None
    if cycle.status.search_finished_at is None:
        tuner = _keep(cycle, _tune(cycle, supernet, checkpoint))
    if cycle.experiment.spec.trial_template.mode == "Pooled":
        worker = _keep(cycle, _worker(cycle))
    faults = [kept for kept in (tuner, worker) if isinstance(kept, Fault)]
    if faults:
        return Kept(fault=faults[0])
    return Kept(tuner=tuner if isinstance(tuner, Wait) else None, worker=worker if isinstance(worker, Wait) else None)


def _tune(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> JobRequest:
    name, spec, predictor = names.tune_job(cycle.experiment), cycle.experiment.spec, supernet.status.predictor
    document = TuneJob(
        uid=names.uid(cycle.experiment, name),
        experiment=cycle.experiment.metadata.uid,
        search_space=supernet.spec.search_space,
        classes=checkpoint.classes,
        objective=spec.objective,
        tuner=spec.tuner,
        prediction=spec.predictor,
        checkpoint=checkpoint.sha256,
        predictor=predictor.artifact if predictor else None,
    )
    return JobRequest(name=name, workload="tune", document=document)


def _worker(cycle: Cycle) -> JobRequest:
    name = names.worker_job(cycle.experiment)
    document = TrialWorkerJob(uid=names.uid(cycle.experiment, name), experiment=cycle.experiment.metadata.uid)
    return JobRequest(name=name, workload="trial-worker", document=document)


def _keep(cycle: Cycle, wanted: JobRequest) -> Fault | Wait | None:
    """Make a Job that is not there, and again one that died; why it does not run yet, or why that is in vain."""
    cycle.plan.wanted_jobs.add(wanted.name)
    job = cycle.observed.jobs.get(wanted.name)
    if job is None:
        cycle.plan.create_jobs.append(wanted)
        return None
    wait = wait_of(job, cycle.stamp.now)
    if wait is not None and wait.over:
        return Fault(reason=wait.reason, message=wait.message)
    if wait is not None:
        cycle.plan.waiting_jobs.append(wanted)
        return wait
    if interrupted(job):
        return _interrupted(cycle, job)
    why = _trouble(cycle.observed, wanted, job, cycle.stamp.now)
    if why is not None:
        remove(cycle.plan, job.name)
        return _tolerate(cycle, job, why)
    if cycle.stamp.now - job.since > STEADY:
        _forgive(cycle, job.name)
    return None


def _forgive(cycle: Cycle, name: str) -> None:
    if cycle.status.attempts.get(name):
        cycle.attempt(name, 0)
    cycle.interruption(name, 0)


def _interrupted(cycle: Cycle, job: JobView) -> Fault | Wait:
    """Its pod was evicted or stopped: that is no death of its own."""
    next_try = retry(job, cycle.status.interruptions.get(job.name, 0), now=cycle.stamp.now)
    if next_try.goes:
        remove(cycle.plan, job.name)
    if next_try.wait.over:
        return Fault(reason=next_try.wait.reason, message=next_try.wait.message)
    cycle.interruption(job.name, next_try.count)
    if next_try.goes:
        cycle.note(next_try.wait.reason, next_try.wait.message, warning=True)
    return next_try.wait


def _trouble(observed: ExperimentObserved, wanted: JobRequest, job: JobView, now: datetime) -> str | None:
    """Why a Job that should stay up has to go, if it has to."""
    if not job.active:
        return job.message or f"ended with exit code {job.exit_code}"
    if wanted.workload == "trial-worker" and _idle(observed, job, now) > CLAIM_DEADLINE:
        return f"it took no build for {int(CLAIM_DEADLINE.total_seconds())} s"
    if wanted.workload == "tune" and job.state == "Running" and _silence(observed, job, now) > SUGGESTION_DEADLINE:
        return f"it made no suggestion for {int(SUGGESTION_DEADLINE.total_seconds())} s"
    return None


def _idle(observed: ExperimentObserved, workers: JobView, now: datetime) -> timedelta:
    """For how long workers that are up have left builds lying, and have none in hand."""
    leases = observed.builds.values()
    waiting = [lease.since for lease in leases if lease.state == "Waiting"]
    if workers.state != "Running" or not waiting or any(lease.state == "Claimed" for lease in leases):
        return timedelta(0)
    return now - max(min(waiting), workers.since)


def _silence(observed: ExperimentObserved, tuner: JobView, now: datetime) -> timedelta:
    """For how long the tuner owes a suggestion."""
    asked = observed.log.asked_at
    if asked is None or not awaits_suggestions(observed):
        return timedelta(0)
    return now - max(asked, tuner.since, tuner.progressed_at)


def _tolerate(cycle: Cycle, job: JobView, why: str) -> Fault | None:
    """A fault unless the Job may be started again."""
    deaths = cycle.status.attempts.get(job.name, 0) + 1
    cycle.attempt(job.name, deaths)
    if job.exit_code == EXIT_BAD_INPUT:
        return Fault(reason="BadInput", message=f"{job.name}: {why}")
    if deaths >= MOST_ATTEMPTS:
        return Fault(reason="JobFailed", message=f"{job.name} failed {deaths} times: {why}")
    cycle.note("JobFailed", f"{job.name} is started again: {why}", warning=True)
    return None
