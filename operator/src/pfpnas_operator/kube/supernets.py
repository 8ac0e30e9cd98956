"""The keeper of a Supernet: its Jobs, its status, and the finalizer that holds it while it is searched."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.kinds import Supernet, SupernetStatus, is_true
from pfpnas_operator.driving import Hearing, StoredManifests, supernet_observed
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, Object
from pfpnas_operator.kube.children import ApiJobs
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord
from pfpnas_operator.kube.keeper import ACTIVE_SECONDS, IDLE_SECONDS, Keeper
from pfpnas_operator.kube.outages import Away, lack_of
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.refusing import refused
from pfpnas_operator.kube.writer import Written
from pfpnas_operator.reconcile import Event, SupernetObserved, reconcile_supernet
from pfpnas_operator.reconcile.waits import Wait

FINALIZER: Final = "pfpnas.io/in-use"
"""The only one there is: a Supernet that is searched is kept until the searches have ended."""


class SupernetKeeper(Keeper):
    """Keeps one Supernet.

    Args:
        body: As the watch first told of it.
        parts: What keepers work with.
        jobs: Its Jobs as the watch tells of them; called in the event loop.
        users: Names of the experiments that search it and have not ended; called in the event loop.
        changed: Called in the event loop when the status changed: its experiments look again.
    """

    kind = "Supernet"

    def __init__(
        self,
        body: Object,
        parts: Parts,
        *,
        jobs: Callable[[], dict[str, JobRecord]],
        users: Callable[[], Iterable[str]],
        changed: Callable[[], None],
        threads: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(body, parts, threads=threads, loop=loop)
        self._list_jobs, self._list_users, self._changed = jobs, users, changed
        self.supernet: Supernet | None = None
        self.looked = False
        """Whether there was a first look: before it, that there is no Supernet says nothing."""
        self._status: SupernetStatus | None = None
        self._written, self._hearing = Written(), Hearing()
        self._jobs: ApiJobs | None = None
        self._indexed: dict[str, JobRecord] = {}
        self._users: tuple[str, ...] = ()
        self._held = False

    def before(self) -> None:
        """Take over Jobs and users."""
        self._indexed, self._users = self._list_jobs(), tuple(sorted(self._list_users()))

    @property
    def ended(self) -> bool:
        """Whether it is ready or has failed: nothing of it is under way."""
        told = self.body.get("status", {}).get("conditions", ())
        return any(one["type"] in ("Ready", "Failed") and one["status"] == "True" for one in told)

    def users_changed(self) -> None:
        """An experiment that searches it changed; that matters only if another set of them is under way now."""
        if tuple(sorted(self._list_users())) != self._users:
            self.wake()

    def forget(self) -> None:
        """Read the object anew."""
        self._status = None

    def outage(self, now: datetime) -> None:
        """Silences begin anew."""
        self._hearing.reanchor(now)

    def cycle(self, now: datetime) -> float:
        """Look, decide, do."""
        pause = self._cycle(now)
        self._have_looked()
        return pause

    def _have_looked(self) -> None:
        if not self.looked:
            self.looked = True
            self._loop.call_soon_threadsafe(self._changed)

    def _cycle(self, now: datetime) -> float:
        if self._status is None and not self._read():
            return IDLE_SECONDS
        assert self._status is not None
        body = self.body
        self._hold(body)
        if body["metadata"].get("deletionTimestamp") and not self._users:
            return IDLE_SECONDS
        try:
            supernet = Supernet.model_validate({**body, "status": self._status})
        except ValidationError as e:
            return self._refuse(body, e, now)
        return self._reconcile(supernet, now)

    def _read(self) -> bool:
        """The object as it is now, with the status to start from; whether it is there."""
        found = self.parts.api.get(SUPERNETS, self.namespace, self.name)
        if found is None or found["metadata"]["uid"] != self.uid:
            return False
        self.body = found
        self._written.statuses[self.name] = found.get("status") or {}
        self._status = SupernetStatus.model_validate(found.get("status") or {})
        return True

    def _reconcile(self, supernet: Supernet, now: datetime) -> float:
        jobs = self._children(Owner.of(supernet))
        observed, error = self._look(supernet, jobs, now)
        if error is None:
            return self._step(observed, jobs, now)
        # A connection that was lost is back at the next look, mostly: that is not worth two writes of a status.
        if self._failing or supernet.spec.suspend:
            self._step(observed, jobs, now, lack=lack_of(error))
            self._have_looked()
        raise error

    def _look(self, supernet: Supernet, jobs: ApiJobs, now: datetime) -> tuple[SupernetObserved, Away | None]:
        """What is seen of it, and of what is away the first error; the rest is seen all the same."""
        lack: Away | None = None
        try:
            self.parts.rights.grant(supernet, pools=())
            heard = self._hearing.listen(jobs, self.parts.bus, now)
        except (RedisError, ArtifactError) as e:
            lack, heard = e, self._hearing.told(jobs.views(now))
        manifests = None if isinstance(lack, ArtifactError) else StoredManifests(self.parts.store)
        try:
            return supernet_observed(supernet, heard, manifests), lack
        except ArtifactError as e:
            return supernet_observed(supernet, heard, None), lack or e

    def _step(self, observed: SupernetObserved, jobs: ApiJobs, now: datetime, *, lack: Wait | None = None) -> float:
        with metrics.DECIDE_SECONDS.labels(self.kind).time():
            plan = reconcile_supernet(observed, now, lack=lack)
        supernet = observed.supernet
        if isinstance(plan.status, SupernetStatus):
            supernet = supernet.model_copy(update={"status": plan.status})
            self._written.write(self.parts.api, SUPERNETS, supernet)
            self._status = plan.status
        self.supernet = supernet
        self._say(plan.events)
        for uid in plan.forget:
            self.parts.store.delete_ref(uid)
        jobs.delete(plan.delete_jobs)
        jobs.create_all(plan.jobs_to_make(), now=now)
        return self._pause(supernet, moved=plan.status is not None)

    def _pause(self, supernet: Supernet, *, moved: bool) -> float:
        conditions = supernet.status.conditions
        if moved:
            self._loop.call_soon_threadsafe(self._changed)
            return 0
        rests = is_true(conditions, "Ready") or is_true(conditions, "Failed")
        return IDLE_SECONDS if rests else ACTIVE_SECONDS

    def _children(self, owner: Owner) -> ApiJobs:
        builder = JobBuilder(self.parts.config, owner)
        if self._jobs is None:
            self._jobs = ApiJobs(api=self.parts.api, pool=self.parts.calls, builder=builder)
        self._jobs.builder, self._jobs.indexed = builder, self._indexed
        return self._jobs

    def _say(self, events: Iterable[Event]) -> None:
        for event in events:
            self.say(event)

    def _refuse(self, body: Object, error: ValidationError, now: datetime) -> float:
        """A document that the API let pass, and that makes no Supernet: a condition says why."""
        assert self._status is not None
        shell = refused(Supernet, body, self._status, error, now=now)
        self._written.write(self.parts.api, SUPERNETS, shell)
        self._status, self.supernet = shell.status, None
        return IDLE_SECONDS

    def _hold(self, body: Object) -> None:
        """The finalizer, while experiments search it."""
        there = list(body["metadata"].get("finalizers", ()))
        deleting = bool(body["metadata"].get("deletionTimestamp"))
        wanted = bool(self._users)
        if deleting and wanted and not self._held:
            text = f"deleted when the experiments that search it have ended: {', '.join(self._users)}"
            self._say([Event(type="Warning", reason="InUse", message=text, subject=self.name)])
        self._held = deleting and wanted
        if (FINALIZER in there) == wanted or (deleting and wanted):
            return
        if not wanted and self._is_searched():
            return  # the watch has not told of that search yet: at a start it may lag behind that of Supernets
        finalizers = [one for one in there if one != FINALIZER] + ([FINALIZER] if wanted else [])
        version = body["metadata"]["resourceVersion"]
        patch = {"metadata": {"uid": self.uid, "resourceVersion": version, "finalizers": finalizers}}
        found = self.parts.api.merge(SUPERNETS, self.namespace, self.name, patch)
        if found is not None:
            self.body = found

    def _is_searched(self) -> bool:
        """Whether the API server knows an experiment that searches it and has not ended."""
        return any(_searches(body, self.name) for body in self.parts.api.list(EXPERIMENTS, self.namespace))


def _searches(body: Object, supernet: str) -> bool:
    conditions = (body.get("status") or {}).get("conditions", ())
    ended = any(one["type"] in ("Succeeded", "Failed") and one["status"] == "True" for one in conditions)
    leaving = "deletionTimestamp" in body["metadata"]
    return body["spec"]["supernetRef"]["name"] == supernet and not ended and not leaving
