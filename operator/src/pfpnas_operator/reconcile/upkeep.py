"""What an experiment needs to be there: its Supernet, agents, its own Jobs, and the reference model."""

from datetime import datetime, timedelta

from pfpnas_api.jobs import EXIT_BAD_INPUT, TrialWorkerJob, TuneJob
from pfpnas_api.kinds import CheckpointStatus, Supernet, is_true
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.building import BuildFailed, Built, advance_build, build_request
from pfpnas_operator.reconcile.conditions import FALSE, TRUE
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.deadlines import MOST_ATTEMPTS, STEADY, SUGGESTION_DEADLINE
from pfpnas_operator.reconcile.observed import ExperimentObserved, JobView
from pfpnas_operator.reconcile.plan import JobRequest
from pfpnas_operator.reconcile.search import awaits_suggestions


def checkpoint_of(supernet: Supernet | None) -> CheckpointStatus | None:
    """The checkpoint of a Supernet that is ready."""
    if supernet is None or not is_true(supernet.status.conditions, "Ready"):
        return None
    return supernet.status.checkpoint


def wait_for_supernet(cycle: Cycle, supernet: Supernet | None) -> None:
    """Say what is lacking."""
    name = cycle.experiment.spec.supernet_ref.name
    if supernet is None:
        cycle.put("SupernetReady", FALSE, "NotFound", f"no Supernet {name} in this namespace")
    elif is_true(supernet.status.conditions, "Failed"):
        cycle.put("SupernetReady", FALSE, "SupernetFailed", f"Supernet {name} has failed: see its conditions")
    else:
        cycle.put("SupernetReady", FALSE, "Waiting", f"Supernet {name} is not ready yet")


def see_agents(cycle: Cycle) -> None:
    """Say whether somebody is there who measures."""
    pool, count = cycle.experiment.spec.target.pool, len(cycle.observed.agents)
    if count:
        cycle.put("AgentsAvailable", TRUE, "Heartbeat", f"agents in pool {pool}: {count}")
    else:
        cycle.put("AgentsAvailable", FALSE, "NoHeartbeat", f"no agent of pool {pool} is heard: is one running?")


def build_reference(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> Fault | None:
    """One step of the reference model's build; `status.reference` is set once it is there."""
    smallest = supernet.space().minimum().id
    request, tried = build_request(cycle.experiment, checkpoint, smallest), cycle.status.attempts.get("reference", 0)
    outcome = advance_build(cycle.observed, request, cycle.plan, attempts=tried, now=cycle.stamp.now)
    if isinstance(outcome, BuildFailed):
        return Fault(reason=outcome.reason, message=f"the reference model can't be built: {outcome.message}")
    if isinstance(outcome, Built):
        cycle.update(reference=outcome.artifact, reference_architecture=smallest)
    else:
        cycle.attempt("reference", outcome.attempts)
        cycle.put("Searching", FALSE, "BuildingReference", "the reference model is being built")
    return None


def keep_jobs(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> Fault | None:
    """See that the experiment's own Jobs are up; a fault when one keeps dying."""
    jobs = [_tune(cycle, supernet, checkpoint)] if cycle.status.search_finished_at is None else []
    if cycle.experiment.spec.trial_template.mode == "Pooled":
        jobs.append(_worker(cycle))
    faults = [_keep(cycle, job) for job in jobs]
    return next((fault for fault in faults if fault), None)


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


def _keep(cycle: Cycle, wanted: JobRequest) -> Fault | None:
    cycle.plan.wanted_jobs.add(wanted.name)
    job = cycle.observed.jobs.get(wanted.name)
    if job is None:
        cycle.plan.create_jobs.append(wanted)
        return None
    why = _trouble(cycle.observed, wanted, job, cycle.stamp.now)
    if why is not None:
        cycle.plan.delete_jobs.append(job.name)
        return _tolerate(cycle, job, why)
    if cycle.status.attempts.get(job.name) and cycle.stamp.now - job.since > STEADY:
        cycle.attempt(job.name, 0)
    return None


def _trouble(observed: ExperimentObserved, wanted: JobRequest, job: JobView, now: datetime) -> str | None:
    """Why a Job that should stay up has to go, if it has to."""
    if not job.active:
        return job.message or f"ended with exit code {job.exit_code}"
    if wanted.workload == "tune" and job.state == "Running" and _silence(observed, job, now) > SUGGESTION_DEADLINE:
        return f"it made no suggestion for {int(SUGGESTION_DEADLINE.total_seconds())} s"
    return None


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
