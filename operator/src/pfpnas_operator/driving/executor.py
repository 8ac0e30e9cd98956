"""Doing: a plan carried out in its order, the record before the road."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.bus import OperatorBus, Received, WorkloadBus
from pfpnas_api.kinds import NASExperimentStatus, Supernet, SupernetStatus, Trial
from pfpnas_operator.driving.chunks import drop_finished, push_wanted
from pfpnas_operator.driving.observer import Observer
from pfpnas_operator.driving.protocols import Jobs, Record
from pfpnas_operator.driving.records import Records
from pfpnas_operator.reconcile import Event, Plan


@dataclass(kw_only=True)
class Executor:
    """Carries plans out. Every step is safe to repeat: a crash between two of them costs the rest of one cycle."""

    record: Record
    records: Records
    jobs: Jobs
    store: ArtifactStore
    bus: OperatorBus
    blobs: WorkloadBus
    observer: Observer
    announce: Callable[[Event], None]
    write_supernet: Callable[[Supernet], None] | None = None
    """Where the plans of a Supernet are carried out too: in a cluster its own keeper does that."""

    def carry_out(self, plan: Plan, *, now: datetime) -> None:
        """Everything the plan asks for."""
        finished = self._record(plan, now)
        for uid in plan.forget:
            self.store.delete_ref(uid)
        for event in plan.events:
            self.announce(event)
        # Before the road, which may be away: a dead Job that stays would be counted as another death.
        try:
            self.jobs.delete(plan.delete_jobs)
            self.jobs.create_all(plan.jobs_to_make(), now=now)
        finally:
            # What is built already is measured, whatever becomes of the Jobs.
            self._clear(plan, finished)
            self._road(plan, now)

    def _record(self, plan: Plan, now: datetime) -> list[Trial]:
        """Write the documents; the trials that have just finished."""
        lacking = {trial.metadata.name: trial for trial in plan.create_trials}
        for trial in self.record.create_trials(plan.create_trials, now=now):
            self.records.put(trial)
            del lacking[trial.metadata.name]
        plan.leave_out(lacking.values())
        changed = [
            self.records.active[name].model_copy(update={"status": status})
            for name, status in plan.trial_status.items()
        ]
        finished = []
        for trial in self.record.write_trials(changed):
            self.records.put(trial)
            if trial.finished:
                finished.append(trial)
        if isinstance(plan.status, SupernetStatus):
            assert self.records.supernet is not None
            assert self.write_supernet is not None
            supernet = self.records.supernet.model_copy(update={"status": plan.status})
            self.write_supernet(supernet)
            self.records.supernet = supernet
        elif isinstance(plan.status, NASExperimentStatus):
            experiment = self.records.experiment.model_copy(update={"status": plan.status})
            self.record.write_experiment(experiment)
            self.records.experiment = experiment
        return finished

    def _clear(self, plan: Plan, finished: Sequence[Trial]) -> None:
        """Take off the road what nobody waits for; before anything is put on it, which a Redis that is full refuses."""
        experiment = self.records.experiment
        uid, pool = experiment.metadata.uid, experiment.spec.target.pool
        for answer in plan.delete_results:
            self.bus.delete_result(pool, Received(agent=answer.agent, entry=answer.entry, result=answer.result))
        for entry in plan.delete_tasks:
            self.bus.delete_task(pool, entry)
        for entry in plan.delete_builds:
            self.bus.delete_build(uid, entry)
        drop_finished(plan, finished, self.records, self.bus)

    def _road(self, plan: Plan, now: datetime) -> None:
        experiment = self.records.experiment
        uid, pool = experiment.metadata.uid, experiment.spec.target.pool
        if plan.log:
            self.bus.append_log(uid, plan.log)
            self.observer.road.note_log(plan.log, plan.told, now=now)
        for request in plan.builds:
            self.bus.publish_build(uid, request)
        push_wanted(plan, self.blobs, self.store, pool=pool)
        for task in plan.tasks:
            self.bus.publish_task(pool, task)
