"""What nobody rings for: the register of agents, changes that the watch lost, and what gone owners left behind."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import kopf
from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.artifacts.base import digests_in
from pfpnas_operator.access.housekeeping import OwnerSweep, tend_agents
from pfpnas_operator.access.registry import SELECTOR
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.api import CONFIG_MAPS, EXPERIMENTS, JOBS, SUPERNETS, TRIALS, ApiError, Object, Place
from pfpnas_operator.kube.experiments import ExperimentKeeper
from pfpnas_operator.kube.hub import Hub
from pfpnas_operator.kube.namespaces import Listed, leave_out, left_out, listed, may_look, named_namespaces
from pfpnas_operator.kube.owners import LABEL_MANAGED, LABEL_OWNER, MANAGER
from pfpnas_operator.kube.present import present
from pfpnas_operator.kube.refusing import tell_orphan
from pfpnas_operator.kube.roadside import RoadSweep
from pfpnas_operator.store.sweep import Living, sweep_store

logger = logging.getLogger(__name__)

ENV_NAMESPACE: Final = "PFPNAS_NAMESPACE"
"""The operator's own: there is the register of agents."""

AGENTS_SECONDS: Final = 10.0
"""An agent that was just registered waits no longer to be let in."""

ORPHANS_SECONDS: Final = 10.0
"""A Trial may come just before its experiment."""

RESYNC_SECONDS: Final = 60.0
SWEEP_SECONDS: Final = 600.0

LATE_SECONDS: Final = 5.0
"""So late the watch may tell of what a request sees already."""

MOST_DEAF_LOOKS: Final = 3
"""Looks that find what the watch did not tell, and nothing told in between: then it is dead, and the operator has to be
started anew."""


@dataclass(frozen=True)
class _Chore:
    """Something to be done every so often."""

    name: str
    every: float
    do: Callable[[], None]
    first: float = 0.0
    """Seconds before it is done for the first time."""


class Housekeeper:
    """A task a chore: none waits for another, whose server may be away or have much to tell."""

    def __init__(self, hub: Hub, *, threads: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self._hub, self._threads, self._loop = hub, threads, loop
        self._missed: set[tuple[str, str]] = set()
        self._deaf_looks, self._heard = 0, 0
        named, self._left_out = named_namespaces(sys.argv), left_out()
        self._named = None if named is None else named | self._left_out
        self._unseen: frozenset[str] = frozenset()
        self._road = RoadSweep(hub.parts.redis, hub.parts.bus)
        self._owner_users = OwnerSweep()
        self._measured_pools: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._chores = [
            _Chore("agents", AGENTS_SECONDS, self._tend_agents),
            _Chore("orphans", ORPHANS_SECONDS, self._tell_orphans, first=ORPHANS_SECONDS),
            _Chore("resync", RESYNC_SECONDS, self._resync, first=RESYNC_SECONDS),
            _Chore("trials", SWEEP_SECONDS, self._compare_trials, first=SWEEP_SECONDS),
            _Chore("sweep", SWEEP_SECONDS, self._sweep, first=RESYNC_SECONDS),
            _Chore("namespaces", RESYNC_SECONDS, self._take_in, first=RESYNC_SECONDS),
        ]

    def start(self) -> None:
        """Begin."""
        self._tasks = [self._loop.create_task(self._keep(chore), name=f"chore {chore.name}") for chore in self._chores]

    def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()

    def watch_state(self) -> str:
        """How the watch does, in a word.

        Raises:
            kopf.PermanentError: it is dead.
        """
        if self._deaf_looks >= MOST_DEAF_LOOKS:
            raise kopf.PermanentError(f"the watch told nothing of what {self._deaf_looks} looks found")
        return "ok"

    async def _keep(self, chore: _Chore) -> None:
        await asyncio.sleep(chore.first)
        while True:
            await self._loop.run_in_executor(self._threads, self._guarded, chore)
            await asyncio.sleep(chore.every)

    @staticmethod
    def _guarded(chore: _Chore) -> None:
        try:
            chore.do()
        except (RedisError, ApiError, ArtifactError) as e:
            metrics.ERRORS.labels("Housekeeping", type(e).__name__).inc()
            logger.warning("%s: tried again: %s", chore.name, e)
        except Exception as e:  # nothing that goes wrong here may end the operator
            metrics.ERRORS.labels("Housekeeping", type(e).__name__).inc()
            logger.exception("%s: tried again", chore.name)

    # -- agents ------------------------------------------------------------------------------------------------

    def _tend_agents(self) -> None:
        parts, namespace = self._hub.parts, os.environ.get(ENV_NAMESPACE)
        self._measure_pools(self._hub.pools())
        if namespace is None:
            return
        users = parts.users if parts.config.redis.users == "Auto" else None
        register = list(parts.api.list(CONFIG_MAPS, namespace, labels=SELECTOR))
        for note in tend_agents(users, parts.bus, register, release=namespace, now=datetime.now(UTC)):
            parts.api.merge(CONFIG_MAPS, namespace, note.config_map, {"metadata": {"annotations": note.annotations}})

    def _measure_pools(self, pools: set[str]) -> None:
        """Agents and tasks of the pools in use; a pool that no search uses any more has no figures."""
        for pool in self._measured_pools - pools:
            metrics.forget_pool(pool)
        self._measured_pools = set(pools)
        for pool in sorted(pools):
            metrics.AGENTS.labels(pool).set(len(self._hub.parts.bus.agents(pool)))
            metrics.TASKS.labels(pool).set(len(self._hub.parts.bus.tasks(pool)))

    # -- what the watch did not tell ---------------------------------------------------------------------------

    def _resync(self) -> None:
        owners, jobs = self._list(SUPERNETS, EXPERIMENTS), self._list(JOBS, labels=f"{LABEL_MANAGED}={MANAGER}")
        asyncio.run_coroutine_threadsafe(self._compare(owners), self._loop).result(RESYNC_SECONDS)
        uids = frozenset(body["metadata"]["uid"] for _, body in jobs.found)
        self._loop.call_soon_threadsafe(partial(self._hub.listed_jobs, uids, namespaces=jobs.namespaces))

    async def _compare(self, owners: Listed) -> None:
        """In the event loop: what has been missing for two looks is told to the hub; once may be the watch's delay."""
        new = ((place, body) for place, body in owners.found if self._is_new(body))
        missed = {(body["metadata"]["uid"], place.plural): (place, body) for place, body in new}
        there = {body["metadata"]["uid"] for _, body in owners.found}
        gone = {(uid, ""): None for uid in self._hub.uids(owners.namespaces) - there}
        twice = self._missed & (missed.keys() | gone.keys())
        for key in twice:
            metrics.WATCH_MISSES.inc()
            told = missed.get(key)
            if told is None:
                self._hub.end(key[0])
            elif told[0] is SUPERNETS:
                self._hub.seen_supernet(told[1], deleted=False)
            else:
                self._hub.seen_experiment(told[1], deleted=False)
        if twice:
            self._deaf_looks += 1
        elif self._hub.heard != self._heard:
            self._deaf_looks = 0
        self._heard = self._hub.heard
        self._missed = (missed.keys() | gone.keys()) - twice

    def _is_new(self, body: Object) -> bool:
        metadata = body["metadata"]
        return self._hub.generation_of(metadata["uid"]) < int(metadata.get("generation", 1))

    def _compare_trials(self) -> None:
        """Trials that were deleted while the watch was broken stay counted: of their ends it never tells."""
        # Those that go on first: with an ended one it matters less.
        for keeper in sorted(self._hub.experiments.values(), key=lambda keeper: keeper.ended):
            before = keeper.book.known.copy()
            if before:
                self._compare_those_of(keeper, before)

    def _compare_those_of(self, keeper: ExperimentKeeper, before: Mapping[str, str]) -> None:
        labels = f"{LABEL_OWNER}={keeper.uid}"
        try:
            found = list(self._hub.parts.api.list(TRIALS, keeper.namespace, labels=labels, only_metadata=True))
        except ApiError as e:
            if e.status != 403:  # else we may look there no longer, which was said
                logger.warning("trials of %s/%s can't be listed: %s", keeper.namespace, keeper.name, e)
            return
        there = {str(body["metadata"]["uid"]) for body in found}
        # What the watch tells of in a moment, it did not miss.
        late = partial(self._loop.call_later, LATE_SECONDS, self._count_gone, keeper, before, there)
        self._loop.call_soon_threadsafe(late)

    @staticmethod
    def _count_gone(keeper: ExperimentKeeper, before: Mapping[str, str], there: Set[str]) -> None:
        metrics.WATCH_MISSES.inc(keeper.trials_listed(before, there))

    def _tell_orphans(self) -> None:
        """A condition on Trials whose experiment isn't there: not only not told of, which may be the watch's delay."""
        api = self._hub.parts.api
        for (namespace, experiment), orphans in list(self._hub.orphans.items()):
            untold = [name for name, orphan in list(orphans.items()) if orphan.untold]
            if untold and self._is_missing(namespace, experiment):
                for name in untold:
                    tell_orphan(api, namespace, name, now=datetime.now(UTC))

    def _is_missing(self, namespace: str, experiment: str) -> bool:
        """Whether there is no experiment of that name; where nobody may look there may be."""
        try:
            return self._hub.parts.api.get(EXPERIMENTS, namespace, experiment) is None
        except ApiError as e:
            if e.status == 403:
                return False
            raise

    def _list(self, *places: Place, labels: str | None = None) -> Listed:
        """Everything of some kinds (with a label), where we may look."""
        hub = self._hub
        found = listed(hub.parts.api, *places, named=self._named, kept=hub.namespaces(), labels=labels)
        if found.unseen - self._unseen:
            where = ", ".join(sorted(found.unseen))
            logger.warning("can't look into %s: nothing goes on there, and no artifact is swept meanwhile", where)
        self._unseen = found.unseen
        return found

    def _take_in(self) -> None:
        """Begin again once a namespace that was left out at the start can be looked into."""
        api = self._hub.parts.api
        if any(may_look(api, namespace) for namespace in self._left_out):
            leave_out(api)

    # -- what gone owners left ---------------------------------------------------------------------------------

    def _sweep(self) -> None:
        parts = self._hub.parts
        swept = sweep_store(parts.store, self._living, now=datetime.now(UTC))
        metrics.SWEPT.labels("artifact").inc(len(swept.artifacts))
        metrics.SWEPT.labels("reference").inc(len(swept.refs))
        there = present(self._list(SUPERNETS, EXPERIMENTS), parts.store)
        if parts.config.redis.users == "Auto" and parts.users.available:
            metrics.SWEPT.labels("user").inc(len(self._owner_users.sweep(parts.users, there.lacks)))
        metrics.SWEPT.labels("key").inc(self._road.sweep(there))

    def _living(self) -> Living:
        owners = self._list(SUPERNETS, EXPERIMENTS)
        digests = set(_digests(body for _, body in owners.found))
        if not owners.whole:
            # Whatever lies there may be named where nobody can look now.
            digests.update(digest for digest, _ in self._hub.parts.store.digests())
        return Living(
            uids=frozenset(body["metadata"]["uid"] for _, body in owners.found),
            namespaces=owners.namespaces,
            digests=frozenset(digests),
        )


def _digests(bodies: Iterable[Object]) -> Iterable[str]:
    for body in bodies:
        yield from digests_in({"spec": body["spec"], "status": body.get("status", {})})
