"""Seeing: documents, Jobs and Redis, put together into what a decision wants to see."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pfpnas_api.artifacts import ArtifactStore, ManifestUnreadable
from pfpnas_api.bus import OperatorBus, Received
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, Supernet, is_true
from pfpnas_api.messages import Suggestion
from pfpnas_operator.driving.hearing import Hearing
from pfpnas_operator.driving.protocols import Jobs, Manifests
from pfpnas_operator.driving.records import Records
from pfpnas_operator.driving.road import Road
from pfpnas_operator.reconcile import (
    BadManifest,
    ExperimentObserved,
    JobView,
    Lease,
    ResultView,
    SupernetObserved,
    names,
)
from pfpnas_operator.reconcile.experiment import build_uids
from pfpnas_operator.reconcile.issued import IssuedTasks
from pfpnas_operator.reconcile.supernet import manifest_uids


@dataclass(frozen=True)
class StoredManifests:
    """Manifests as a store holds them, read anew at every look."""

    store: ArtifactStore

    def read(self, uids: Iterable[str], *, over: Set[str]) -> dict[str, Manifest | BadManifest]:
        """Those that are there, by uid."""
        found = {uid: left_behind(self.store, uid) for uid in uids}
        return {uid: manifest for uid, manifest in found.items() if manifest is not None}


def left_behind(store: ArtifactStore, uid: str) -> Manifest | BadManifest | None:
    """What a Job left behind, if it did; what can't be used is a value, since it says nothing against the store.

    Raises:
        ArtifactError: the store can't be read.
    """
    try:
        manifest = store.read_manifest(uid)
    except ManifestUnreadable as e:
        return BadManifest(why=str(e))
    model = None if manifest is None else manifest.artifacts.get("model")
    if model is not None and not store.has(model.sha256):
        return BadManifest(why=f"its manifest names the model {model.sha256}, which is not in the store")
    return manifest


def supernet_observed(supernet: Supernet, jobs: Mapping[str, JobView], manifests: Manifests | None) -> SupernetObserved:
    """What `reconcile_supernet` sees; without `manifests`, whose store may be away, nothing of what Jobs left."""
    mine = (names.pretrain_job(supernet), names.fit_predictor_job(supernet))
    wanted = manifest_uids(supernet)
    return SupernetObserved(
        supernet=supernet,
        jobs={name: jobs[name] for name in mine if name in jobs},
        manifests=manifests.read(wanted, over=set(wanted)) if manifests else {},
    )


@dataclass(kw_only=True)
class Observer:
    """Looks at everything, changes nothing but its own memory of the road."""

    records: Records
    manifests: Manifests
    jobs: Jobs
    bus: OperatorBus
    road: Road = field(default_factory=Road)
    hearing: Hearing = field(default_factory=Hearing)
    others_answers: bool = False
    """Whether answers to another experiment of the same pool lay there at the last look."""
    issued: IssuedTasks = field(default_factory=IssuedTasks)
    refused: int = 0
    """Unreadable answers that were removed, and that no decision knows of yet: Redis may go away in between."""

    def supernet(self, now: datetime) -> SupernetObserved:
        """What `reconcile_supernet` sees; there has to be a Supernet."""
        assert self.records.supernet is not None
        return supernet_observed(self.records.supernet, self.hearing.listen(self.jobs, self.bus, now), self.manifests)

    def reanchor(self, now: datetime) -> None:
        """After an outage of Redis: every deadline begins anew."""
        self.road.reanchor(now)
        self.hearing.reanchor(now)

    def experiment(self, now: datetime, **more: Any) -> ExperimentObserved:
        """What `reconcile_experiment` sees.

        Args:
            now: The time.
            more: Fields that only the driver can know.
        """
        records, jobs = self.records, self._own_jobs(now)
        over = {uid for name, uid in self.jobs.uids().items() if name not in jobs or not jobs[name].active}
        self._open(records.experiment)
        active = tuple(records.active.values())
        tasks, results = self._measurements(records.experiment, now)
        strange = self.issued.strange(
            results.keys() - tasks.keys(), records.experiment, active=active, finished=records.finished
        )
        agents = self.bus.agents(records.experiment.spec.target.pool)
        self.road.note_agents(agents, now=now)
        refusers, refused_ago = self.road.refusing(agents), self.road.refused_ago(now)
        own = {task_id: answers for task_id, answers in results.items() if task_id not in strange}
        self.road.note_answers(own, now=now)
        observed = ExperimentObserved(
            experiment=records.experiment,
            supernet=records.supernet,
            active=active,
            summary=records.summary,
            untold=() if _has_ended(records.experiment) else self.road.untold(records.finished),
            jobs=jobs,
            manifests=self.manifests.read(build_uids(records.experiment, records.supernet, active), over=over),
            builds=self._builds(records.experiment.metadata.uid, now),
            tasks=tasks,
            results=results,
            strange=strange,
            refused=self.refused,
            agents=agents,
            said_for=self.road.said_for(now),
            refusers=refusers,
            refused_ago=refused_ago,
            refusals={task_id: len(answers) for task_id, answers in self.road.refusals.items()},
            suggestions=self.road.suggestions,
            predictor=self.road.predictor,
            sources=records.sources,
            log=self.road.view(),
            **more,
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
        others = (names.pretrain_job(supernet), names.fit_predictor_job(supernet)) if supernet else ()
        return {name: job for name, job in self.hearing.listen(self.jobs, self.bus, now).items() if name not in others}

    def _measurements(
        self, experiment: NASExperiment, now: datetime
    ) -> tuple[dict[str, Lease], dict[str, tuple[ResultView, ...]]]:
        """Leases of the experiment's tasks and answers to them, both by task; the answers are read first."""
        pool = experiment.spec.target.pool
        answers = self.bus.results(pool)
        tasks, foreign = self._tasks(pool, experiment.metadata.uid, now)
        answers = self._still_there(pool, answers, tasks.keys() | foreign)
        return tasks, self._results(pool, answers, foreign)

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
            self._recall_predicted(suggestion)

    def _recall_predicted(self, suggestion: Suggestion) -> None:
        """What was predicted of a trial, for one whose operator was killed before it could write that down."""
        for name, trial in self.records.active.items():
            its_own = (trial.spec.index, trial.spec.architecture) == (suggestion.index, suggestion.architecture)
            if its_own and trial.status.predicted is None and suggestion.predicted is not None:
                status = trial.status.model_copy(update={"predicted": suggestion.predicted})
                self.records.active[name] = trial.model_copy(update={"status": status})


def _has_ended(experiment: NASExperiment) -> bool:
    """Its tuner is gone then: to find in each look what that was not told takes as long as there are trials."""
    conditions = experiment.status.conditions
    return is_true(conditions, "Succeeded") or is_true(conditions, "Failed")
