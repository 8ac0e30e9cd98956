"""Seeing: the folder, the processes and Redis, put together into what a decision wants to see."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.bus import OperatorBus, Queued, Received
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, PredictorStatus, Supernet, Trial
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_operator.local.processes import Processes
from pfpnas_operator.reconcile import ExperimentObserved, JobView, Lease, LogView, ResultView, SupernetObserved, names
from pfpnas_operator.reconcile.experiment import build_uids
from pfpnas_operator.reconcile.issued import IssuedTasks
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
    sources: Mapping[str, NASExperiment] = field(default_factory=dict)
    """Other experiments that this one starts warm from, by name."""

    @classmethod
    def of(cls, supernet: Supernet, experiment: NASExperiment, trials: Iterable[Trial]) -> "Records":
        """The records of a run that is begun or resumed."""
        records = cls(supernet=supernet, experiment=experiment, summary=Summary.of(experiment))
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

    started: set[str] = field(default_factory=set)
    """Names of the trials that the tuner's log tells of."""
    finished: set[str] = field(default_factory=set)
    """Of those it tells how they ended."""
    told: int = 0
    """So many of the finished trials, from the first on, were told: only the rest is looked through in every cycle."""
    asked: int = 0
    asked_at: datetime | None = None
    appended: int = 0
    """Entries written to the tuner's log; fewer there means that Redis lost it."""
    suggestions: dict[int, Suggestion] = field(default_factory=dict)
    predictor: PredictorStatus | None = None
    """The one by the most labels that came with a suggestion."""
    last_suggestion: str = "0"
    since: dict[tuple[str, str, str, str | None], datetime] = field(default_factory=dict)
    """When each lease was first seen in its state; of those seen at the last look."""

    def note_log(self, entries: Iterable[LogEntry], told: Mapping[str, str], *, now: datetime) -> None:
        """Keep what was appended to the tuner's log."""
        for entry in entries:
            self.appended += 1
            if entry.event == "Ask" and (entry.count or 0) > self.asked:
                self.asked, self.asked_at = entry.count or 0, now
        self.started.update(told)
        self.finished.update(name for name, state in told.items() if state == "Finished")

    def note_suggestion(self, entry: str, suggestion: Suggestion) -> None:
        """Keep what the tuner suggested, the first time of an index, and what it says of its predictors."""
        self.suggestions.setdefault(suggestion.index, suggestion)
        self.last_suggestion = entry
        said, known = suggestion.predictor, self.predictor
        if said is not None and (known is None or said.labels >= known.labels):
            self.predictor = said

    def untold(self, finished: Sequence[Trial]) -> tuple[Trial, ...]:
        """Finished trials whose end the tuner's log lacks; what was told once is not looked at again."""
        while self.told < len(finished) and finished[self.told].metadata.name in self.finished:
            self.told += 1
        return tuple(trial for trial in finished[self.told :] if trial.metadata.name not in self.finished)

    def leases(self, stream: str, queued: Iterable[Queued], now: datetime) -> list[Lease]:
        """The entries of a stream, each with the time at which its state was first seen."""
        keyed = [((stream, one.entry, one.state, one.consumer), one) for one in queued]
        seen = {key: self.since.get(key, now) for key, _ in keyed}
        self.since = {key: moment for key, moment in self.since.items() if key[0] != stream} | seen
        return [Lease(entry=one.entry, state=one.state, since=seen[key], consumer=one.consumer) for key, one in keyed]

    def reanchor(self, now: datetime) -> None:
        """After an outage: nobody could answer while Redis was away, so every deadline begins anew."""
        self.since.clear()
        if self.asked_at is not None:
            self.asked_at = now

    def view(self) -> LogView:
        """The log as a decision sees it; its sets are not copied, since they grow with the trials."""
        return LogView(asked=self.asked, asked_at=self.asked_at, started=self.started, finished=self.finished)


@dataclass(kw_only=True)
class Observer:
    """Looks at everything, changes nothing but its own memory of the road."""

    records: Records
    store: ArtifactStore
    processes: Processes
    bus: OperatorBus
    road: Road = field(default_factory=Road)
    others_answers: bool = False
    """Whether answers to another experiment of the same pool lay there at the last look."""
    issued: IssuedTasks = field(default_factory=IssuedTasks)
    refused: int = 0
    """Unreadable answers that were removed, and that no decision knows of yet: Redis may go away in between."""

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
        records, jobs = self.records, self._own_jobs(now)
        self._open(records.experiment)
        active = tuple(records.active.values())
        tasks, results = self._measurements(records.experiment, now)
        observed = ExperimentObserved(
            experiment=records.experiment,
            supernet=records.supernet,
            active=active,
            summary=records.summary,
            untold=self.road.untold(records.finished),
            jobs=jobs,
            manifests=self._manifests(build_uids(records.experiment, records.supernet, active)),
            builds=self._builds(records.experiment.metadata.uid, now),
            tasks=tasks,
            results=results,
            strange=self.issued.strange(
                results.keys() - tasks.keys(), records.experiment, active=active, finished=records.finished
            ),
            refused=self.refused,
            agents=self.bus.agents(records.experiment.spec.target.pool),
            suggestions=self.road.suggestions,
            predictor=self.road.predictor,
            sources=records.sources,
            log=self.road.view(),
        )
        self.refused = 0
        return observed

    def _open(self, experiment: NASExperiment) -> None:
        """The experiment's streams are there, and what the tuner said is read."""
        self.bus.ensure_pool(experiment.spec.target.pool)
        self.bus.ensure_experiment(experiment.metadata.uid)
        self._read_suggestions(experiment.metadata.uid)

    def _own_jobs(self, now: datetime) -> dict[str, JobView]:
        """Jobs of the experiment, without those of its Supernet."""
        supernet = self.records.supernet
        others = (names.pretrain_job(supernet), names.fit_predictor_job(supernet))
        return {name: job for name, job in self._jobs(now).items() if name not in others}

    def _measurements(
        self, experiment: NASExperiment, now: datetime
    ) -> tuple[dict[str, Lease], dict[str, tuple[ResultView, ...]]]:
        """Leases of the experiment's tasks and answers to them, both by task; the answers are read first."""
        pool = experiment.spec.target.pool
        answers = self.bus.results(pool)
        tasks, foreign = self._tasks(pool, experiment.metadata.uid, now)
        answers = self._still_there(pool, answers, tasks.keys() | foreign)
        return tasks, self._results(pool, answers, foreign)

    def _jobs(self, now: datetime) -> dict[str, JobView]:
        for name, uid in self.processes.uids().items():
            self.processes.note_progress(name, self.bus.progress(uid), now=now)
        return self.processes.views()

    def _manifests(self, uids: Iterable[str]) -> dict[str, Manifest]:
        found = {uid: self.store.read_manifest(uid) for uid in uids}
        return {uid: manifest for uid, manifest in found.items() if manifest is not None}

    def _builds(self, uid: str, now: datetime) -> dict[str, Lease]:
        """Leases of the builds, by uid."""
        found = self.bus.builds(uid)
        leases = self.road.leases("builds", [queued for queued, _ in found], now)
        return {request.uid: lease for (_, request), lease in zip(found, leases, strict=True)}

    def _tasks(self, pool: str, uid: str, now: datetime) -> tuple[dict[str, Lease], set[str]]:
        """Leases of this experiment's tasks by id, and the ids of other experiments' in the pool."""
        found = self.bus.tasks(pool)
        leases = self.road.leases("tasks", [queued for queued, _ in found], now)
        mine = {task.task_id: lease for (_, task), lease in zip(found, leases, strict=True) if task.experiment == uid}
        return mine, {task.task_id for _, task in found if task.experiment != uid}

    def _still_there(self, pool: str, answers: list[Received], known: Set[str]) -> list[Received]:
        """The answers without those that another search dealt with between the two looks.

        It takes an answer away before its task: so one whose task is gone is another's only if it is gone too.
        """
        if all(received.result is None or received.result.task_id in known for received in answers):
            return answers
        there = {(received.agent, received.entry) for received in self.bus.results(pool)}
        return [received for received in answers if (received.agent, received.entry) in there]

    def _results(self, pool: str, answers: Iterable[Received], foreign: Set[str]) -> dict[str, tuple[ResultView, ...]]:
        """Readable results by task, without those of `foreign` tasks; what can't be read is deleted, and counted.

        The answers were read before the tasks: so a task whose answer lies there was on the road when it was looked at.
        """
        found: dict[str, list[ResultView]] = {}
        self.others_answers = False
        for received in answers:
            if received.result is None:
                self.bus.delete_result(pool, received)
                self.refused += 1
                continue
            if received.result.task_id in foreign:
                self.others_answers = True
                continue
            view = ResultView(agent=received.agent, entry=received.entry, result=received.result)
            found.setdefault(received.result.task_id, []).append(view)
        return {task_id: tuple(views) for task_id, views in found.items()}

    def _read_suggestions(self, uid: str) -> None:
        """New suggestions; a log shorter than what was written to it means that Redis lost everything."""
        if self.bus.log_length(uid) < self.road.appended:
            self.road = Road()
        for entry, suggestion in self.bus.suggestions(uid, after=self.road.last_suggestion):
            self.road.note_suggestion(entry, suggestion)
