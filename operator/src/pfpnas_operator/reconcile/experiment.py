"""NASExperiment: tuner and workers up, trials through, the end evaluated; one plan a cycle."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median

from pfpnas_api.jobs import TrialWorkerJob, TuneJob
from pfpnas_api.kinds import (
    CheckpointStatus,
    NASExperiment,
    NASExperimentStatus,
    Supernet,
    Trial,
    TrialCounts,
    TrialStatus,
    find_condition,
    is_true,
)
from pfpnas_api.scoring import hypervolume
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.building import BuildFailed, Built, advance_build, build_request
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.deadlines import MOST_ATTEMPTS
from pfpnas_operator.reconcile.finale import Final, evaluate, evaluation_build, settled
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.observed import ExperimentObserved, JobView
from pfpnas_operator.reconcile.plan import JobRequest, Plan
from pfpnas_operator.reconcile.search import SearchState, overdue, search_step, tell
from pfpnas_operator.reconcile.summary import Summary, front_points, shown_front
from pfpnas_operator.reconcile.trials import Fault, advance_trial, failed

REOPENING = frozenset({"BudgetSpent", "DurationSpent"})
"""Ends that a larger budget undoes."""


def reconcile_experiment(observed: ExperimentObserved, now: datetime) -> Plan:
    """The next step of an experiment."""
    cycle = _Cycle(
        observed=observed,
        stamp=Stamp(now=now, generation=observed.experiment.metadata.generation),
        status=observed.experiment.status,
        summary=observed.summary,
    )
    cycle.run()
    cycle.sweep()
    if cycle.status != observed.experiment.status:
        cycle.plan.status = cycle.status
    return cycle.plan


def build_uids(experiment: NASExperiment, supernet: Supernet | None, active: Iterable[Trial]) -> list[str]:
    """Uids whose manifests `reconcile_experiment` wants to see."""
    checkpoint = supernet.status.checkpoint if supernet else None
    if supernet is None or checkpoint is None:
        return []
    status = experiment.status
    architectures = [t.spec.architecture for t in active if not is_true(t.status.conditions, "Built")]
    if status.reference is None:
        architectures.append(supernet.space().minimum().id)
    requests = [build_request(experiment, checkpoint, architecture) for architecture in architectures]
    finals = (evaluation_build(experiment, checkpoint, evaluation) for evaluation in status.evaluations)
    return [request.uid for request in (*requests, *(final for final in finals if final))]


@dataclass(kw_only=True)
class _Cycle:
    """One reconciliation: what is seen, the status as it becomes, and the plan as it grows."""

    observed: ExperimentObserved
    stamp: Stamp
    status: NASExperimentStatus
    summary: Summary
    plan: Plan = field(default_factory=Plan)

    @property
    def experiment(self) -> NASExperiment:
        return self.observed.experiment

    def run(self) -> None:
        """Decide, and leave status and plan behind."""
        self._reopen()
        if is_true(self.status.conditions, "Succeeded") or is_true(self.status.conditions, "Failed"):
            return self._rest()
        self._put("Accepted", TRUE, "Valid")
        self.status = self.status.model_copy(update={"observed_generation": self.stamp.generation})
        supernet = self.observed.supernet
        checkpoint = supernet.status.checkpoint if supernet else None
        if supernet is None or checkpoint is None or not is_true(supernet.status.conditions, "Ready"):
            return self._wait_for_supernet(supernet)
        self._put("SupernetReady", TRUE, "Ready")
        self._see_agents()
        return self._search(supernet, checkpoint)

    def _search(self, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
        if self.status.started_at is None:
            self.status = self.status.model_copy(update={"started_at": self.stamp.now})
            self._note("Searching", "the search has begun")
        if not self._reference(supernet, checkpoint):
            return None
        active, done, fault = self._advance(supernet, checkpoint)
        if fault:
            return self._fail(fault.reason, fault.message, active)
        most = self.experiment.spec.budget.max_failed_trials
        if self.summary.failures > most:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.summary.failed.items()))
            return self._fail("TooManyFailedTrials", f"more than {most} trials failed: {reasons}", active)
        return self._go_on(supernet, checkpoint, active, done)

    def _go_on(self, supernet: Supernet, checkpoint: CheckpointStatus, active: list[Trial], done: list[Trial]) -> None:
        """Start what is to be started; when nothing is, and nothing is under way, evaluate the end."""
        if not self._workers(supernet, checkpoint):
            return None
        state = SearchState(over="Searched")
        if self.status.search_finished_at is None:
            state = self._next_trials(active)
        tell(self.observed, [*active, *state.created], [*self.observed.untold, *done], self.plan)
        self._count([*active, *state.created])
        if state.over is None:
            self._put("Searching", TRUE, "Searching", "")
            return None
        if active or state.created:
            return None
        if self.status.search_finished_at is None:
            self._put("Searching", FALSE, state.over, state.message)
            self._note(state.over, state.message)
            self.status = self.status.model_copy(update={"search_finished_at": self.stamp.now})
        return self._finale(supernet, checkpoint)

    def _next_trials(self, active: list[Trial]) -> SearchState:
        indices = [trial.spec.index for trial in active if trial.spec.index is not None]
        return search_step(
            self.observed,
            active,
            self.plan,
            tuned=self.summary.tuned + len(indices),
            next_index=max([self.summary.next_index, *(index + 1 for index in indices)]),
            now=self.stamp.now,
        )

    def _advance(
        self, supernet: Supernet, checkpoint: CheckpointStatus
    ) -> tuple[list[Trial], list[Trial], Fault | None]:
        """Every active trial one step on: those that go on, those that finished, and a fault of the experiment."""
        active: list[Trial] = []
        done: list[Trial] = []
        first: Fault | None = None
        late = overdue(self.experiment, self.stamp.now)
        for trial in self.observed.active:
            stepped, fault = advance_trial(
                self.observed, trial, self.plan, supernet=supernet, checkpoint=checkpoint, now=self.stamp.now
            )
            if late and not stepped.finished and not self._claimed(stepped):
                stepped = self._withdraw(stepped, late)
            first = first or fault
            (done if stepped.finished else active).append(stepped)
        for trial in done:
            self.summary = self.summary.add(trial)
            self._announce(trial)
        return active, done, first

    def _claimed(self, trial: Trial) -> bool:
        if trial.status.artifact is None:
            return False
        task = measure_task(self.experiment, trial.status.artifact, self.status.reference)
        lease = self.observed.tasks.get(task.task_id)
        return lease is not None and lease.state == "Claimed"

    def _withdraw(self, trial: Trial, why: str) -> Trial:
        if trial.status.artifact is not None:
            task = measure_task(self.experiment, trial.status.artifact, self.status.reference)
            self.plan.wanted_tasks.discard(task.task_id)
            self.plan.tasks[:] = [planned for planned in self.plan.tasks if planned.task_id != task.task_id]
        status = failed(trial, replace(self.stamp, generation=trial.metadata.generation), "Withdrawn", why)
        self.plan.trial_status[trial.metadata.name] = status
        return trial.model_copy(update={"status": status})

    def _announce(self, trial: Trial) -> None:
        metrics, latency = trial.status.metrics, None
        if metrics and metrics.latency_milliseconds:
            latency = metrics.latency_milliseconds.p50
        if is_true(trial.status.conditions, "Failed"):
            condition = find_condition(trial.status.conditions, "Failed")
            reason, text = (condition.reason, condition.message) if condition else ("Failed", "")
            self.plan.note(trial.metadata.name, reason, text, warning=True)
            return
        accuracy = f"accuracy {metrics.accuracy:.4f}, " if metrics and metrics.accuracy is not None else ""
        self.plan.note(
            trial.metadata.name, "Measured", f"{accuracy}p50 {latency:.3f} ms, score {trial.status.score:.4f}"
        )

    # -- what has to be there ----------------------------------------------------------------------------------

    def _wait_for_supernet(self, supernet: Supernet | None) -> None:
        name = self.experiment.spec.supernet_ref.name
        if supernet is None:
            self._put("SupernetReady", FALSE, "NotFound", f"no Supernet {name} in this namespace")
        elif is_true(supernet.status.conditions, "Failed"):
            self._put("SupernetReady", FALSE, "SupernetFailed", f"Supernet {name} has failed: see its conditions")
        else:
            self._put("SupernetReady", FALSE, "Waiting", f"Supernet {name} is not ready yet")

    def _see_agents(self) -> None:
        pool, count = self.experiment.spec.target.pool, len(self.observed.agents)
        if count:
            self._put("AgentsAvailable", TRUE, "Heartbeat", f"agents in pool {pool}: {count}")
        else:
            self._put("AgentsAvailable", FALSE, "NoHeartbeat", f"no agent of pool {pool} is heard: is one running?")

    def _reference(self, supernet: Supernet, checkpoint: CheckpointStatus) -> bool:
        """Whether the reference model is built; asks for it (and the workers) otherwise."""
        if self.status.reference is not None:
            return True
        if not self._workers(supernet, checkpoint):
            return False
        smallest = supernet.space().minimum().id
        request, tried = build_request(self.experiment, checkpoint, smallest), self.status.attempts.get("reference", 0)
        outcome = advance_build(self.observed, request, self.plan, attempts=tried, now=self.stamp.now)
        if isinstance(outcome, BuildFailed):
            self._fail(outcome.reason, f"the reference model can't be built: {outcome.message}", [])
        elif isinstance(outcome, Built):
            update = {"reference": outcome.artifact, "reference_architecture": smallest}
            self.status = self.status.model_copy(update=update)
        else:
            self._attempt("reference", outcome.attempts)
            self._put("Searching", FALSE, "BuildingReference", "the reference model is being built")
        return False

    def _workers(self, supernet: Supernet, checkpoint: CheckpointStatus) -> bool:
        """Whether the experiment's own Jobs are up or on their way; fails the experiment when one keeps dying."""
        jobs = [self._tune(supernet, checkpoint)] if self.status.search_finished_at is None else []
        if self.experiment.spec.trial_template.mode == "Pooled":
            jobs.append(self._worker())
        up = [self._keep(job) for job in jobs]
        return all(up)

    def _tune(self, supernet: Supernet, checkpoint: CheckpointStatus) -> JobRequest:
        name, spec, predictor = names.tune_job(self.experiment), self.experiment.spec, supernet.status.predictor
        document = TuneJob(
            uid=names.uid(self.experiment, name),
            experiment=self.experiment.metadata.uid,
            search_space=supernet.spec.search_space,
            classes=checkpoint.classes,
            objective=spec.objective,
            tuner=spec.tuner,
            predictor=predictor.artifact if predictor else None,
        )
        return JobRequest(name=name, workload="tune", document=document)

    def _worker(self) -> JobRequest:
        name = names.worker_job(self.experiment)
        document = TrialWorkerJob(uid=names.uid(self.experiment, name), experiment=self.experiment.metadata.uid)
        return JobRequest(name=name, workload="trial-worker", document=document)

    def _keep(self, wanted: JobRequest) -> bool:
        job = self.observed.jobs.get(wanted.name)
        if job is None:
            self.plan.create_jobs.append(wanted)
            return True
        if job.active:
            return True
        self.plan.delete_jobs.append(job.name)
        return self._tolerate(job)

    def _tolerate(self, job: JobView) -> bool:
        """Whether a Job that should have stayed up may be started again."""
        deaths = self.status.attempts.get(job.name, 0) + 1
        self._attempt(job.name, deaths)
        why = job.message or f"ended with exit code {job.exit_code}"
        self.plan.note(self.experiment.metadata.name, "JobFailed", f"{job.name}: {why}", warning=True)
        if deaths < MOST_ATTEMPTS:
            return True
        self._fail("JobFailed", f"{job.name} failed {deaths} times: {why}", list(self.observed.active))
        return False

    # -- the end -----------------------------------------------------------------------------------------------

    def _finale(self, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
        best, reference = self.summary.best, self.status.reference
        if best is None or reference is None:
            return self._finish()
        final = Final(observed=self.observed, supernet=supernet, checkpoint=checkpoint, best=best, reference=reference)
        self.status = evaluate(final, self.status, self.plan, now=self.stamp.now)
        if all(settled(evaluation) for evaluation in self.status.evaluations):
            self._finish()
        return None

    def _finish(self) -> None:
        searched = find_condition(self.status.conditions, "Searching")
        why, text = (searched.reason, searched.message) if searched else ("Searched", "")
        best = self.summary.best
        if best is not None and best.feasible:
            self._put("Succeeded", TRUE, why, text)
            self._note("Succeeded", f"best {best.trial} with score {best.score:.4f}")
        elif best is not None:
            why = "NoFeasibleArchitecture"
            text = f"no trial meets every limit; the closest is {best.trial} ({best.architecture})"
            self._put("Failed", TRUE, why, text)
            self._note(why, text, warning=True)
        else:
            self._put("Failed", TRUE, why, text or "no trial succeeded")
            self._note(why, text or "no trial succeeded", warning=True)
        self.status = self.status.model_copy(update={"finished_at": self.stamp.now})
        self._rest()

    def _fail(self, reason: str, message: str, active: list[Trial]) -> None:
        """End as failed: trials under way are withdrawn, and Jobs go."""
        for trial in active:
            if not trial.finished:
                self.summary = self.summary.add(self._withdraw(trial, f"the experiment failed: {reason}"))
        self._count([])
        self._put("Searching", FALSE, reason, message)
        self._put("Failed", TRUE, reason, message)
        self._note(reason, message, warning=True)
        self.status = self.status.model_copy(update={"finished_at": self.stamp.now})
        self._rest()

    def _rest(self) -> None:
        """Nothing more to do: what still runs or lies on the road goes."""
        plan = self.plan
        plan.create_jobs.clear()
        plan.builds.clear()
        plan.tasks.clear()
        plan.wanted_tasks.clear()
        plan.delete_jobs[:] = list(self.observed.jobs)
        plan.delete_builds[:] = [lease.entry for lease in self.observed.builds.values()]

    def _reopen(self) -> None:
        """A larger budget after the end: the search goes on, and what was best is evaluated anew."""
        ended = find_condition(self.status.conditions, "Searching")
        if self.status.search_finished_at is None or ended is None or ended.reason not in REOPENING:
            return
        spent = self.summary.tuned >= self.experiment.spec.budget.max_trials
        if spent or overdue(self.experiment, self.stamp.now):
            return
        conditions = tuple(c for c in self.status.conditions if c.type not in ("Succeeded", "Failed"))
        fresh = {"conditions": conditions, "search_finished_at": None, "finished_at": None}
        self.status = self.status.model_copy(update={**fresh, "evaluations": (), "attempts": {}})
        self._note("BudgetRaised", "the budget was raised: the search goes on")

    # -- small things ------------------------------------------------------------------------------------------

    def _count(self, active: list[Trial]) -> None:
        summary = self.summary
        running = sum(self._runs(trial.status) for trial in active)
        counts = TrialCounts(
            created=len(active) + summary.succeeded + sum(summary.failed.values()),
            pending=len(active) - running,
            running=running,
            succeeded=summary.succeeded,
            failed=sum(summary.failed.values()),
            infeasible=summary.infeasible,
        )
        self.status = self.status.model_copy(
            update={
                "trials": counts,
                "best": summary.best,
                "front": shown_front(summary.front),
                "hypervolume": self._hypervolume(),
            }
        )

    @staticmethod
    def _runs(status: TrialStatus) -> bool:
        return status.build_started_at is not None

    def _hypervolume(self) -> float | None:
        points = front_points(self.summary.front)
        if not points:
            return None
        reference = self._threshold() or max(point.latency for point in points)
        return hypervolume(points, reference_latency=reference) / reference

    def _threshold(self) -> float | None:
        """The latency limit in milliseconds, a relative one by the reference model's median over the front."""
        limit = self.experiment.spec.objective.constraint("Latency")
        if limit is None or not limit.relative:
            return limit.limit if limit else None
        latencies = [ranked.metrics.latency_milliseconds for ranked in self.summary.front]
        references = [latency.reference for latency in latencies if latency and latency.reference]
        return limit.limit * median(references) if references else None

    def _attempt(self, key: str, count: int) -> None:
        self.status = self.status.model_copy(update={"attempts": {**self.status.attempts, key: count}})

    def _put(self, kind: str, status: str, reason: str, message: str = "") -> None:
        value = TRUE if status == TRUE else FALSE
        conditions = self.stamp.put(self.status.conditions, kind, value, reason, message)
        self.status = self.status.model_copy(update={"conditions": conditions})

    def _note(self, reason: str, message: str, *, warning: bool = False) -> None:
        self.plan.note(self.experiment.metadata.name, reason, message, warning=warning)

    def sweep(self) -> None:
        """Take off the road what nothing waits for: late answers are replicates, their tasks are void."""
        plan, late = self.plan, 0
        for task_id, lease in self.observed.tasks.items():
            if task_id not in plan.wanted_tasks and lease.entry not in plan.delete_tasks:
                plan.delete_tasks.append(lease.entry)
        for task_id, answers in self.observed.results.items():
            spare = [answer for answer in answers if answer not in plan.delete_results]
            if task_id not in plan.wanted_tasks:
                plan.delete_results.extend(spare)
                late += len(spare)
        if late:
            self.status = self.status.model_copy(update={"replicates": self.status.replicates + late})
