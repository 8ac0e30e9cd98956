"""The keeper of a NASExperiment: its trials, its share of Redis, its Jobs, its status."""

import asyncio
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from itertools import chain
from typing import Any, Final

from pydantic import ValidationError
from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.kinds import NASExperiment, NASExperimentStatus, Supernet
from pfpnas_operator.driving import Executor, Observer, Records, Road
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.announcing import Subject
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, Object
from pfpnas_operator.kube.children import ApiJobs
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord
from pfpnas_operator.kube.keeper import ACTIVE_SECONDS, IDLE_SECONDS, Keeper
from pfpnas_operator.kube.loading import TrialBook
from pfpnas_operator.kube.manifests import HeardManifests
from pfpnas_operator.kube.outages import lack_of
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.kube.packed import PackedTrials
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.refusing import refused
from pfpnas_operator.kube.writer import ApiRecord, Written
from pfpnas_operator.reconcile import (
    Event,
    ExperimentObserved,
    Plan,
    Summary,
    reconcile_experiment,
    reconcile_without,
)
from pfpnas_operator.reconcile.issued import IssuedTasks
from pfpnas_operator.reconcile.search import next_index
from pfpnas_operator.reconcile.waits import Wait

AWAITED_SECONDS: Final = 1.0
"""At a start the watch tells of a Supernet later than of its experiments: it is there all the same."""


class ExperimentKeeper(Keeper):
    """Keeps one experiment.

    Args:
        body: As the watch first told of it.
        parts: What keepers work with.
        jobs: Its Jobs as the watch tells of them; called in the event loop.
        supernet: The Supernet of a name in its namespace, as its keeper last saw it; called in the event loop.
        awaited: Whether that Supernet was not looked at yet; called in the event loop.
        source: An experiment of its namespace; called in the event loop.
        changed: Called in the event loop when the status changed: its Supernet and who starts warm from it look again.
    """

    kind = "NASExperiment"

    def __init__(
        self,
        body: Object,
        parts: Parts,
        *,
        jobs: Callable[[], dict[str, JobRecord]],
        supernet: Callable[[str], Supernet | None],
        awaited: Callable[[str], bool],
        source: Callable[[str], NASExperiment | None],
        changed: Callable[[], None],
        threads: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(body, parts, threads=threads, loop=loop)
        self._list_jobs, self._supernet_of, self._source_of = jobs, supernet, source
        self._is_awaited, self._awaited = awaited, False
        self._changed = changed
        self.manifests = HeardManifests(store=parts.store, pool=parts.calls)
        self.book = TrialBook()
        self._status: NASExperimentStatus | None = None
        self._own = Written()
        self._records: Records | None = None
        self._indexed: dict[str, JobRecord] = {}
        self._supernet: Supernet | None = None
        self._sources: Mapping[str, NASExperiment] = {}
        self._source_supernets: Mapping[str, Supernet] = {}
        self._wired: tuple[Observer, Executor, ApiRecord, ApiJobs] | None = None

    @property
    def experiment(self) -> NASExperiment | None:
        """As it was last seen; None before that, and while it can't be read."""
        return self._records.experiment if self._records else None

    def trial_told(self, name: str, uid: str, *, deleted: bool) -> None:
        """The watch tells of a trial; what is known already wakes nobody.

        Its labels say nothing: they come along when one trial is copied from another.
        """
        known = self.book.known.get(name) == uid
        if known == deleted or (deleted and self.book.reading):
            self.book.told(name, uid, deleted=deleted)
            self.wake()

    def trials_listed(self, before: Mapping[str, str], there: Set[str]) -> int:
        """Uids of all of its trials that there are, and what was known before that was looked at; as `compare`."""
        gone = self.book.compare(before, there)
        if gone:
            self.wake()
        return gone

    @property
    def supernet_name(self) -> str:
        """Of the Supernet that it searches."""
        return str(self.body["spec"]["supernetRef"]["name"])

    @property
    def source_names(self) -> list[str]:
        """Of the experiments that it starts warm from."""
        return [str(source["name"]) for source in self.body["spec"].get("warmStartFrom", ())]

    @property
    def pool(self) -> str:
        """On which it measures."""
        return str(self.body["spec"]["target"]["pool"])

    @property
    def leaving(self) -> bool:
        """Whether it is being deleted."""
        return bool(self.body["metadata"].get("deletionTimestamp"))

    @property
    def ended(self) -> bool:
        """Whether it needs its Supernet no longer."""
        status = self._status  # read once: a cycle in another thread may forget it meanwhile
        if status is None:
            told = self.body.get("status", {}).get("conditions", ())
            held = {one["type"] for one in told if one["status"] == "True"}
        else:
            held = {one.type for one in status.conditions if one.status == "True"}
        return self.leaving or not held.isdisjoint(("Succeeded", "Failed"))

    def before(self) -> None:
        """Take over Jobs, the Supernet, and whom it starts warm from."""
        self._indexed = self._list_jobs()
        self._supernet = self._supernet_of(self.supernet_name)
        self._awaited = self._is_awaited(self.supernet_name)
        found = {name: self._source_of(name) for name in self.source_names}
        self._sources = {name: source for name, source in found.items() if source is not None}
        theirs = {name: self._supernet_of(one.spec.supernet_ref.name) for name, one in self._sources.items()}
        self._source_supernets = {name: supernet for name, supernet in theirs.items() if supernet is not None}

    def forget(self) -> None:
        """Read everything anew."""
        self._records = self._wired = self._status = None

    def outage(self, now: datetime) -> None:
        """Every deadline begins anew."""
        if self._wired is not None:
            self._wired[0].reanchor(now)

    # -- a cycle -----------------------------------------------------------------------------------------------

    def cycle(self, now: datetime) -> float:
        """Look, decide, do."""
        if self.leaving:
            return IDLE_SECONDS
        if self._status is None and not self._read():
            return IDLE_SECONDS
        if self._awaited and self.parts.api.get(SUPERNETS, self.namespace, self.supernet_name) is not None:
            return AWAITED_SECONDS
        body = self.body
        try:
            experiment = NASExperiment.model_validate({**body, "status": self._status})
        except ValidationError as e:
            return self._refuse(body, e, now)
        try:
            observer, _, record, jobs = self._wire(experiment, now)
            self._refresh(observer, experiment, record)
            jobs.indexed = self._indexed
            plan = self._decide(observer, record, now)
        except (RedisError, ArtifactError) as e:
            # A connection that was lost is back at the next look, mostly: that is not worth two writes of a status.
            if self._failing or experiment.spec.suspend:
                self._do_without(experiment, now, lack=lack_of(e))
            raise
        return self._carry_out(plan, now)

    def _do_without(self, experiment: NASExperiment, now: datetime, *, lack: Wait) -> None:
        """What needs neither Redis nor the store: a wish to suspend is obeyed, and the status says what is lacking."""
        jobs = self._wired[3] if self._wired else self._jobs(Owner.of(experiment))
        jobs.indexed = self._indexed
        observed = ExperimentObserved(experiment=experiment, supernet=self._supernet, jobs=jobs.views(now))
        plan = reconcile_without(observed, now, lack=lack)
        if isinstance(plan.status, NASExperimentStatus):
            self._own.write(self.parts.api, EXPERIMENTS, experiment.model_copy(update={"status": plan.status}))
            self._status = plan.status
        for event in plan.events:
            self.say(event)
        jobs.delete(plan.delete_jobs)

    def _carry_out(self, plan: Plan, now: datetime) -> float:
        assert self._wired is not None
        observer, executor, record, _ = self._wired
        records = observer.records
        try:
            executor.carry_out(plan, now=now)
        finally:
            # Written before what comes after it failed: Redis or the store may be away.
            self._status = records.experiment.status
        if record.gone:
            self.book.stale = True
            record.gone.clear()
        self._measure(records)
        return self._pause(plan)

    def _read(self) -> bool:
        """The object as it is now, with the status to start from; whether it is there."""
        found = self.parts.api.get(EXPERIMENTS, self.namespace, self.name)
        if found is None or found["metadata"]["uid"] != self.uid:
            return False
        self.body, self._own = found, Written(statuses={self.name: found.get("status") or {}})
        self._status = NASExperimentStatus.model_validate(found.get("status") or {})
        return True

    def _wire(self, experiment: NASExperiment, now: datetime) -> tuple[Observer, Executor, ApiRecord, ApiJobs]:
        """The parts of this experiment, made at its first cycle and when something had to be forgotten."""
        owner, parts = Owner.of(experiment), self.parts
        if self._wired is not None:
            observer, executor, record, jobs = self._wired
            record.owner, jobs.builder = owner, JobBuilder(parts.config, owner)
            return self._wired
        records = Records(
            supernet=self._supernet,
            experiment=experiment,
            finished=PackedTrials(),
            summary=Summary.of(experiment),
        )
        # First of all: while Redis is away, ten thousand trials are not to be read at every try.
        log = [entry for _, entry in parts.bus.log(self.uid)]
        record = ApiRecord(api=parts.api, pool=parts.calls, owner=owner, own=self._own)
        jobs = self._jobs(owner)
        self.book.load(parts.api, records, record)
        observer = Observer(records=records, manifests=self.manifests, jobs=jobs, bus=parts.bus)
        observer.road = Road.recalled(log, chain(records.finished, records.active.values()), now=now)
        executor = Executor(
            record=record,
            records=records,
            jobs=jobs,
            store=parts.store,
            bus=parts.bus,
            blobs=parts.blobs,
            observer=observer,
            announce=self._say,
        )
        self._records, self._wired = records, (observer, executor, record, jobs)
        return self._wired

    def _jobs(self, owner: Owner) -> ApiJobs:
        return ApiJobs(api=self.parts.api, pool=self.parts.calls, builder=JobBuilder(self.parts.config, owner))

    def _refresh(self, observer: Observer, experiment: NASExperiment, record: ApiRecord) -> None:
        """Take in what was changed from outside: the spec, the Supernet, trials made by hand or deleted."""
        records = observer.records
        before = records.experiment.spec
        records.supernet, records.sources = self._supernet, self._sources
        records.experiment = experiment
        if self.book.stale:
            self.book.load(self.parts.api, records, record)
            # Both know finished trials by their places.
            observer.road.told, observer.issued = 0, IssuedTasks()
            # What was suggested for an index that is free again was forgotten.
            observer.road.last_suggestion = "0"
        elif (before.objective, before.budget) != (experiment.spec.objective, experiment.spec.budget):
            self.book.count_again(records)
        self.book.take_in(self.parts.api, records, record)
        _forget_used(observer)

    def _decide(self, observer: Observer, record: ApiRecord, now: datetime) -> Plan:
        observed = self._observed(observer, record, now)
        with metrics.DECIDE_SECONDS.labels(self.kind).time():
            return reconcile_experiment(observed, now)

    def _observed(self, observer: Observer, record: ApiRecord, now: datetime) -> ExperimentObserved:
        records = observer.records
        pool = records.experiment.spec.target.pool
        allowed = self.parts.config.may_use(pool, self.namespace)
        self.parts.rights.grant(records.experiment, pools=(pool,) if allowed else ())
        if self.ended:
            record.forget_refusal()
        more: dict[str, Any] = {
            "source_supernets": self._source_supernets,
            "reserved": frozenset(self.book.reserved | record.taken),
            "trials_refused": record.refused(now),
        }
        if not allowed:
            more["pool_refused"] = (
                f"namespace {self.namespace} may not use pool {pool}: who runs the operator lists it under pools"
            )
        if not allowed or records.supernet is None:
            # Nothing is looked at on a road that isn't this experiment's, or not yet; nor waited for in the store.
            self.manifests.read((), over=frozenset())
            return ExperimentObserved(
                experiment=records.experiment,
                supernet=records.supernet,
                active=tuple(records.active.values()),
                summary=records.summary,
                jobs=observer.jobs.views(now),
                sources=records.sources,
                **more,
            )
        return observer.experiment(now, **more)

    def _pause(self, plan: Plan) -> float:
        if plan.status is not None:
            self._loop.call_soon_threadsafe(self._changed)
        if plan.create_trials or plan.trial_status or plan.status:
            return 0
        return IDLE_SECONDS if self.ended else min(ACTIVE_SECONDS, self.manifests.pause())

    def _say(self, event: Event) -> None:
        assert self._wired is not None
        trial = self._wired[2].uids.get(event.subject)
        if trial is None:
            return self.say(event)
        subject = Subject(kind="Trial", namespace=self.namespace, name=event.subject, uid=trial)
        return self.parts.announcer.tell(event, subject)

    def _refuse(self, body: Object, error: ValidationError, now: datetime) -> float:
        assert self._status is not None
        shell = refused(NASExperiment, body, self._status, error, now=now)
        self._own.write(self.parts.api, EXPERIMENTS, shell)
        self._status = self._records = self._wired = None
        return IDLE_SECONDS

    def _measure(self, records: Records) -> None:
        status = records.experiment.status
        for state in metrics.STATES:
            metrics.TRIALS.labels(self.namespace, self.name, state).set(getattr(status.trials, state))
        if status.best is not None and status.best.score is not None:
            metrics.BEST.labels(self.namespace, self.name).set(status.best.score)


def _forget_used(observer: Observer) -> None:
    """Suggestions that became trials: ten thousand of them would be most of what is remembered."""
    first = next_index(observer.records.summary, observer.records.active.values())
    kept = observer.road.suggestions
    for index in [index for index in kept if index < first]:
        del kept[index]
