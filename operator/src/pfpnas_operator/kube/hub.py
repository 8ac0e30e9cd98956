"""Who keeps what: keepers by name, what the watch and the bells tell handed on to them."""

import asyncio
import logging
from collections.abc import Iterator, Set
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.access.rules import owner_user
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.api import Object
from pfpnas_operator.kube.experiments import ExperimentKeeper
from pfpnas_operator.kube.joblist import JobsByOwner, ToldJobs
from pfpnas_operator.kube.keeper import Keeper
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.refusing import awaits_word
from pfpnas_operator.kube.roadside import forget_owner
from pfpnas_operator.kube.supernets import SupernetKeeper
from pfpnas_operator.reconcile import Event

logger = logging.getLogger(__name__)

UID_LENGTH: Final = 36
"""Of a Kubernetes uid: the uids of an owner's documents begin with it."""

Key = tuple[str, str]
"""Namespace and name."""


class Orphan(NamedTuple):
    """A Trial whose experiment was not told of; of the Trial itself nothing is kept: there may be ten thousand."""

    uid: str
    untold: bool
    """Whether it has yet to say so, should there be none."""


class Hub:
    """Everything that is kept. Its methods run in the event loop, but for those of the bells' reader."""

    def __init__(self, parts: Parts, *, jobs: JobsByOwner, threads: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self.parts, self._threads, self._loop = parts, threads, loop
        self._told, self._jobs = jobs, ToldJobs(jobs)
        self.supernets: dict[Key, SupernetKeeper] = {}
        self.experiments: dict[Key, ExperimentKeeper] = {}
        self._owners: dict[str, Keeper] = {}
        self.heard = 0
        """Events of Supernets and experiments so far."""
        self.orphans: dict[Key, dict[str, Orphan]] = {}
        """Trials without their experiment, by the experiment's key and their own names."""

    # -- what the watch tells ----------------------------------------------------------------------------------

    def seen_supernet(self, body: Object, *, deleted: bool) -> None:
        """A Supernet as it is, or its end."""
        key = _key(body)
        if self._seen(self.supernets, key, body, deleted=deleted, make=self._supernet_keeper):
            self._wake_searches(key)

    def seen_experiment(self, body: Object, *, deleted: bool) -> None:
        """A NASExperiment as it is, or its end."""
        key = _key(body)
        turned = self._seen(self.experiments, key, body, deleted=deleted, make=self._experiment_keeper)
        keeper = self.experiments.get(key)
        if keeper is not None:
            for name, orphan in self.orphans.pop(key, {}).items():
                keeper.trial_told(name, orphan.uid, deleted=False)
        self._wake_supernet((key[0], str(body["spec"]["supernetRef"]["name"])))
        if turned:
            self._wake_warm(key)

    def seen_trial(self, body: Object, *, deleted: bool) -> None:
        """A Trial as it is, or its end."""
        namespace, name = _key(body)
        wanted, uid = (namespace, str(body["spec"]["experimentRef"]["name"])), str(body["metadata"]["uid"])
        keeper = self.experiments.get(wanted)
        if keeper is not None:
            keeper.trial_told(name, uid, deleted=deleted)
        elif deleted:
            self.orphans.get(wanted, {}).pop(name, None)
        else:
            self.orphans.setdefault(wanted, {})[name] = Orphan(uid=uid, untold=awaits_word(body))

    def seen_job(self, owner: str | None) -> None:
        """Something about a Job of an owner has changed."""
        keeper = self._owners.get(owner or "")
        if keeper is not None:
            keeper.wake()

    def listed_jobs(self, uids: Set[str], *, namespaces: Set[str] | None = None) -> None:
        """Uids of all Jobs that there are: the end of the others was not told.

        Args:
            uids: Of the Jobs.
            namespaces: In which they were listed; those of others are there, for all that is known. None: in all.
        """
        told = (record for records in self._told.values() for record in records)
        elsewhere = {record.uid for record in told if namespaces is not None and record.namespace not in namespaces}
        for owner in self._jobs.compare(uids | elsewhere):
            metrics.WATCH_MISSES.inc()
            self.seen_job(owner)

    def _seen(self, kept: dict[Key, Any], key: Key, body: Object, *, deleted: bool, make: Any) -> bool:
        """Hand on what the watch tells; whether a keeper came or went."""
        self.heard += 1
        before = kept.get(key)
        keeper: Keeper | None = kept.get(key)
        if keeper is not None and keeper.uid != body["metadata"]["uid"]:
            if deleted:
                return False  # the end of an object of that name before this one
            self._drop(kept, key, keeper)
            keeper = None
        if deleted:
            if keeper is not None:
                self._drop(kept, key, keeper)
        elif keeper is None:
            keeper = kept[key] = make(body)
            self._owners[keeper.uid] = keeper
            keeper.start()
        else:
            keeper.put(body)
        metrics.KEPT.labels("Supernet").set(len(self.supernets))
        metrics.KEPT.labels("NASExperiment").set(len(self.experiments))
        return kept.get(key) is not before

    def _drop(self, kept: dict[Key, Any], key: Key, keeper: Keeper) -> None:
        keeper.stop()
        del kept[key]
        del self._owners[keeper.uid]
        self.parts.rights.forget(keeper.uid)
        if isinstance(keeper, ExperimentKeeper):
            metrics.forget_experiment(*key)
        self._loop.run_in_executor(self._threads, self._forget_on_the_road, keeper)

    def _forget_on_the_road(self, keeper: Keeper) -> None:
        """What Redis holds of an owner that is gone, its user first, who may write; what is missed the sweep finds."""
        parts = self.parts
        try:
            if parts.config.redis.users == "Auto" and parts.users.available:
                parts.users.remove(owner_user(keeper.uid))
            if isinstance(keeper, ExperimentKeeper):
                parts.bus.withdraw(keeper.pool, experiment=keeper.uid)
            forget_owner(parts.redis, keeper.uid)
        except RedisError as e:
            logger.info("keys of %s are left to the sweep: %s", keeper.uid, e)

    # -- who is there ------------------------------------------------------------------------------------------

    def _supernet_keeper(self, body: Object) -> SupernetKeeper:
        key, uid = _key(body), body["metadata"]["uid"]
        return SupernetKeeper(
            body,
            self.parts,
            jobs=lambda: self._jobs.of(uid, namespace=key[0]),
            users=lambda: [keeper.name for keeper in self._searches(key) if not keeper.ended],
            changed=lambda: self._wake_searches(key),
            threads=self._threads,
            loop=self._loop,
        )

    def _experiment_keeper(self, body: Object) -> ExperimentKeeper:
        key, uid = _key(body), body["metadata"]["uid"]
        return ExperimentKeeper(
            body,
            self.parts,
            jobs=lambda: self._jobs.of(uid, namespace=key[0]),
            supernet=lambda name: self._supernet((key[0], name)),
            awaited=lambda name: self._awaits((key[0], name)),
            source=lambda name: self._experiment((key[0], name)),
            changed=lambda: self._experiment_changed(key),
            threads=self._threads,
            loop=self._loop,
        )

    def _supernet(self, key: Key) -> Supernet | None:
        keeper = self.supernets.get(key)
        return keeper.supernet if keeper else None

    def _awaits(self, key: Key) -> bool:
        """Whether nobody has looked at a Supernet yet, if there is one."""
        keeper = self.supernets.get(key)
        return keeper is None or not keeper.looked

    def _experiment(self, key: Key) -> NASExperiment | None:
        keeper = self.experiments.get(key)
        return keeper.experiment if keeper else None

    def _searches(self, key: Key) -> Iterator[ExperimentKeeper]:
        """Experiments that search a Supernet."""
        for (namespace, _), keeper in list(self.experiments.items()):
            if (namespace, keeper.supernet_name) == key:
                yield keeper

    def _experiment_changed(self, key: Key) -> None:
        keeper = self.experiments.get(key)
        if keeper is not None:
            self._wake_supernet((key[0], keeper.supernet_name))
        self._wake_warm(key)

    def _wake_searches(self, key: Key) -> None:
        for keeper in self._searches(key):
            keeper.wake()

    def _wake_supernet(self, key: Key) -> None:
        keeper = self.supernets.get(key)
        if keeper is not None:
            keeper.users_changed()

    def _wake_warm(self, key: Key) -> None:
        """Whoever starts warm from an experiment."""
        for (namespace, _), keeper in self.experiments.items():
            if namespace == key[0] and key[1] in keeper.source_names:
                keeper.wake()

    # -- what the bells' reader tells, from its thread ---------------------------------------------------------

    def pools(self) -> set[str]:
        """Pools whose agents' answers matter: those of experiments that have not ended."""
        return {keeper.pool for keeper in list(self.experiments.values()) if not keeper.ended}

    def rang(self, uid: str) -> None:
        """A workload rang."""
        keeper = self._owners.get(uid[:UID_LENGTH])
        if isinstance(keeper, ExperimentKeeper):
            keeper.manifests.rang(uid)
        if keeper is not None:
            keeper.wake_from_thread()

    def answered(self, pool: str) -> None:
        """An agent answered."""
        for keeper in list(self.experiments.values()):
            if keeper.pool == pool and not keeper.ended:
                keeper.wake_from_thread()

    def redis_is(self, *, up: bool, why: str = "") -> None:
        """Redis went away, or came back: said once on everything that is under way."""
        reason, text = ("RedisBack", "Redis answers again") if up else ("RedisAway", f"Redis: {why}")
        logger.log(logging.INFO if up else logging.WARNING, "%s", text)
        if up:
            self.parts.rights.redis_is_back()
        for keeper in list(self._owners.values()):
            keeper.wake_from_thread()
            if not up and not keeper.ended:
                keeper.say(Event(type="Warning", reason=reason, message=text, subject=keeper.name))

    def uids(self, namespaces: Set[str] | None = None) -> set[str]:
        """Of everything that is kept, in some namespaces only where they are given."""
        kept = self._owners.items()
        return {uid for uid, keeper in kept if namespaces is None or keeper.namespace in namespaces}

    def generation_of(self, uid: str) -> int:
        """Of an object as it is kept; 0 when it is not."""
        keeper = self._owners.get(uid)
        return int(keeper.body["metadata"].get("generation", 1)) if keeper else 0

    def namespaces(self) -> set[str]:
        """In which something is kept."""
        return {namespace for namespace, _ in (*self.supernets, *self.experiments)}

    def end(self, uid: str) -> None:
        """An object is gone, though nothing told of it."""
        keeper = self._owners.get(uid)
        if isinstance(keeper, SupernetKeeper):
            self.seen_supernet(keeper.body, deleted=True)
        elif isinstance(keeper, ExperimentKeeper):
            self.seen_experiment(keeper.body, deleted=True)

    def stop(self) -> None:
        """Stop every keeper."""
        for keeper in self._owners.values():
            keeper.stop()


def _key(body: Object) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]
