"""Seeing: the folder, the processes and Redis, put together into what a decision wants to see."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.bus import OperatorBus, Queued
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_operator.local.processes import Processes
from pfpnas_operator.reconcile import ExperimentObserved, JobView, Lease, LogView, ResultView, SupernetObserved, names
from pfpnas_operator.reconcile.experiment import build_uids
from pfpnas_operator.reconcile.summary import Summary


@dataclass(kw_only=True)
class Records:
    """The documents as they stand: what the folder holds, in memory."""

    supernet: Supernet
    experiment: NASExperiment
    active: dict[str, Trial] = field(default_factory=dict)
    finished: list[Trial] = field(default_factory=list)
    """In the order in which they finished."""
    summary: Summary = field(default_factory=Summary)

    @classmethod
    def of(cls, supernet: Supernet, experiment: NASExperiment, trials: Iterable[Trial]) -> "Records":
        """The records of a run that is begun or resumed."""
        records = cls(supernet=supernet, experiment=experiment)
        for trial in sorted(trials, key=_finished_at):
            records.put(trial)
        return records

    def put(self, trial: Trial) -> None:
        """A new trial, or a new state of one; a finished one is counted once."""
        if trial.finished:
            self.active.pop(trial.metadata.name, None)
            self.finished.append(trial)
            self.summary = self.summary.add(trial)
        else:
            self.active[trial.metadata.name] = trial


def _finished_at(trial: Trial) -> tuple[float, str]:
    moment = trial.status.finished_at
    return (moment.timestamp() if moment else float("inf"), trial.metadata.name)


@dataclass(kw_only=True)
class Road:
    """What is known of Redis' content between two looks, and forgotten with it."""

    told: dict[str, str] = field(default_factory=dict)
    """Trials that the tuner's log tells of: name → Started or Finished."""
    asked: int = 0
    appended: int = 0
    """Entries written to the tuner's log; fewer there means that Redis lost it."""
    suggestions: dict[int, Suggestion] = field(default_factory=dict)
    last_suggestion: str = "0"
    since: dict[tuple[str, str, str | None], datetime] = field(default_factory=dict)
    """When each lease was first seen in its state."""

    def note_log(self, entries: Iterable[LogEntry], told: Mapping[str, str]) -> None:
        """Keep what was appended to the tuner's log."""
        for entry in entries:
            self.appended += 1
            self.asked = max(self.asked, entry.count or 0)
        self.told.update(told)

    def view(self) -> LogView:
        """The log as a decision sees it."""
        return LogView(
            asked=self.asked,
            started=frozenset(self.told),
            finished=frozenset(name for name, state in self.told.items() if state == "Finished"),
        )


@dataclass(kw_only=True)
class Observer:
    """Looks at everything, changes nothing but its own memory of the road."""

    records: Records
    store: ArtifactStore
    processes: Processes
    bus: OperatorBus
    road: Road = field(default_factory=Road)

    def supernet(self, now: datetime) -> SupernetObserved:
        """What `reconcile_supernet` sees."""
        supernet = self.records.supernet
        jobs = self._jobs(now)
        mine = (names.pretrain_job(supernet), names.fit_predictor_job(supernet))
        return SupernetObserved(
            supernet=supernet,
            jobs={name: jobs[name] for name in mine if name in jobs},
            manifests=self._manifests(names.supernet_manifests(supernet)),
        )

    def experiment(self, now: datetime) -> ExperimentObserved:
        """What `reconcile_experiment` sees."""
        records, jobs = self.records, self._jobs(now)
        uid, pool = records.experiment.metadata.uid, records.experiment.spec.target.pool
        self.bus.ensure_pool(pool)
        self.bus.ensure_experiment(uid)
        self._read_suggestions(uid)
        supernets = (names.pretrain_job(records.supernet), names.fit_predictor_job(records.supernet))
        active = tuple(records.active.values())
        return ExperimentObserved(
            experiment=records.experiment,
            supernet=records.supernet,
            active=active,
            summary=records.summary,
            untold=self._untold(),
            jobs={name: job for name, job in jobs.items() if name not in supernets},
            manifests=self._manifests(build_uids(records.experiment, records.supernet, active)),
            builds={request.uid: self._lease(queued, now) for queued, request in self.bus.builds(uid)},
            tasks={
                task.task_id: self._lease(queued, now)
                for queued, task in self.bus.tasks(pool)
                if task.experiment == uid
            },
            results=self._results(pool),
            agents=self.bus.agents(pool),
            suggestions=self.road.suggestions,
            log=self.road.view(),
        )

    def _jobs(self, now: datetime) -> dict[str, JobView]:
        for name, uid in self.processes.uids().items():
            self.processes.note_progress(name, self.bus.progress(uid), now=now)
        return self.processes.views()

    def _manifests(self, uids: Iterable[str]) -> dict[str, Manifest]:
        found = {uid: self.store.read_manifest(uid) for uid in uids}
        return {uid: manifest for uid, manifest in found.items() if manifest is not None}

    def _lease(self, queued: Queued, now: datetime) -> Lease:
        since = self.road.since.setdefault((queued.entry, queued.state, queued.consumer), now)
        return Lease(entry=queued.entry, state=queued.state, since=since, consumer=queued.consumer)

    def _results(self, pool: str) -> dict[str, tuple[ResultView, ...]]:
        """Readable results by task; what can't be read is deleted, and counted."""
        found: dict[str, list[ResultView]] = {}
        for received in self.bus.results(pool):
            if received.result is None:
                self.bus.delete_result(pool, received)
                self._count_refused()
                continue
            view = ResultView(agent=received.agent, entry=received.entry, result=received.result)
            found.setdefault(received.result.task_id, []).append(view)
        return {task_id: tuple(views) for task_id, views in found.items()}

    def _count_refused(self) -> None:
        experiment = self.records.experiment
        status = experiment.status.model_copy(update={"refused_results": experiment.status.refused_results + 1})
        self.records.experiment = experiment.model_copy(update={"status": status})

    def _read_suggestions(self, uid: str) -> None:
        """New suggestions; a log shorter than what was written to it means that Redis lost everything."""
        if self.bus.log_length(uid) < self.road.appended:
            self.road = Road()
        for entry, suggestion in self.bus.suggestions(uid, after=self.road.last_suggestion):
            self.road.suggestions.setdefault(suggestion.index, suggestion)
            self.road.last_suggestion = entry

    def _untold(self) -> tuple[Trial, ...]:
        told = self.road.told
        return tuple(trial for trial in self.records.finished if told.get(trial.metadata.name) != "Finished")
