"""Doing: a plan carried out in its order, the record before the road."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pfpnas_api.bus import OperatorBus, Received, WorkloadBus
from pfpnas_api.kinds import NASExperimentStatus, SupernetStatus
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.observer import Observer, Records
from pfpnas_operator.local.processes import Processes
from pfpnas_operator.reconcile import Event, Plan


@dataclass(kw_only=True)
class Executor:
    """Carries plans out. Every step is safe to repeat: a crash between two of them costs the rest of one cycle."""

    folder: RunFolder
    records: Records
    processes: Processes
    bus: OperatorBus
    blobs: WorkloadBus
    observer: Observer
    announce: Callable[[Event], None]

    def carry_out(self, plan: Plan, *, now: datetime) -> None:
        """Everything the plan asks for."""
        self._record(plan)
        for event in plan.events:
            self.announce(event)
        # Before the road, which may be away: a dead Job that stays would be counted as another death.
        self.processes.delete(plan.delete_jobs)
        for request in plan.create_jobs:
            self.processes.create(request, now=now)
        self._road(plan, now)

    def _record(self, plan: Plan) -> None:
        for trial in plan.create_trials:
            self.folder.write_trial(trial)
            self.records.put(trial)
        for name, trial_status in plan.trial_status.items():
            trial = self.records.active[name].model_copy(update={"status": trial_status})
            self.folder.write_trial(trial)
            self.records.put(trial)
        if isinstance(plan.status, SupernetStatus):
            self.records.supernet = self.records.supernet.model_copy(update={"status": plan.status})
            self.folder.write_supernet(self.records.supernet)
        elif isinstance(plan.status, NASExperimentStatus):
            self.records.experiment = self.records.experiment.model_copy(update={"status": plan.status})
            self.folder.write_experiment(self.records.experiment)

    def _road(self, plan: Plan, now: datetime) -> None:
        experiment = self.records.experiment
        uid, pool = experiment.metadata.uid, experiment.spec.target.pool
        for answer in plan.delete_results:
            self.bus.delete_result(pool, Received(agent=answer.agent, entry=answer.entry, result=answer.result))
        for entry in plan.delete_tasks:
            self.bus.delete_task(pool, entry)
        for entry in plan.delete_builds:
            self.bus.delete_build(uid, entry)
        if plan.log:
            self.bus.append_log(uid, plan.log)
            self.observer.road.note_log(plan.log, plan.told, now=now)
        for request in plan.builds:
            self.bus.publish_build(uid, request)
        for artifact in plan.push:
            self.blobs.push(pool, artifact, self.folder.store)
        for task in plan.tasks:
            self.bus.publish_task(pool, task)
