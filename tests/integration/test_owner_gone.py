"""What a Supernet or a search leaves in Redis: taken away at its end, and, where that was missed, by the sweep."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import AuthenticationError

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, WorkloadBus, connect, keys
from pfpnas_api.bus.connection import Client
from pfpnas_api.messages import LogEntry, MeasureResult, MeasureTask, Progress
from pfpnas_operator.access.rules import owner_rules, owner_user
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, ApiError, Object, Place
from pfpnas_operator.kube.housekeeping import Housekeeper
from pfpnas_operator.kube.hub import Hub
from pfpnas_operator.kube.keeper import Keeper
from pfpnas_operator.store.owners import PREFIX
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors
from support.kube_parts import CONFIG

POOL = "dev"
NET, SEARCH, OTHER = (f"{number * 8}-72e2-4fc3-82fb-28379826340a" for number in "123")


class Api:
    """Lists owners by namespace; some namespaces may not be looked into."""

    def __init__(self) -> None:
        self.bodies: list[tuple[Place, Object]] = []
        self.closed: set[str | None] = set()

    def list(self, place: Place, namespace: str | None = None, *, labels: str | None = None) -> list[Object]:
        if namespace in self.closed:
            raise ApiError(403, "Forbidden", f"{place.plural} is forbidden in {namespace}")
        found = [body for kind, body in self.bodies if kind is place]
        return [body for body in found if namespace in (None, body["metadata"]["namespace"])]


class Site:
    """A Redis with users, a store, a hub, and a housekeeper of named namespaces (or, with none, of all)."""

    def __init__(self, redis: GuardedRedis, folder: Path, *namespaces: str) -> None:
        self.redis, self.client, self.store, self.api = redis, connect(redis.operator_url), FolderStore(folder), Api()
        self.bus, self.users = OperatorBus(self.client), RedisUsers(self.client, FixedKey())
        self.loop, self.threads = asyncio.new_event_loop(), ThreadPoolExecutor(1)
        rights = SimpleNamespace(forget=lambda uid: None)
        parts: Any = SimpleNamespace(
            config=CONFIG,
            api=self.api,
            redis=self.client,
            bus=self.bus,
            users=self.users,
            store=self.store,
            rights=rights,
            calls=self.threads,
        )
        self.hub = Hub(parts, jobs={}, threads=self.threads, loop=self.loop)
        self.house = Housekeeper(self.hub, threads=self.threads, loop=self.loop)
        self.house._named = frozenset(namespaces) or None
        self.bus.ensure_pool(POOL)

    def apply(self, place: Place, uid: str, *, namespace: str = "team-a", pool: str = POOL) -> Object:
        """An owner, on record in the store, and what it has in Redis."""
        spec = {"supernetRef": {"name": "net"}, "target": {"pool": pool}} if place is EXPERIMENTS else {}
        body = {"metadata": {"namespace": namespace, "name": f"n-{uid[0]}", "uid": uid}, "spec": spec}
        self.api.bodies.append((place, body))
        kind = "NASExperiment" if spec else "Supernet"
        record = {"kind": kind, "namespace": namespace, "name": f"n-{uid[0]}", "deletionPolicy": "Delete"}
        self.store.write_ref(f"{PREFIX}{uid}", record)
        self.users.ensure(owner_user(uid), owner_rules(uid, [pool] if spec else []))
        assert WorkloadBus(self.as_owner(uid)).report(f"{uid}-job", Progress(stage="Tune"))
        if spec:
            self.bus.append_log(uid, [LogEntry(event="Ask", count=1)])
            self.bus.publish_task(pool, task := task_of(uid))
            AgentBus(self.client, pool=pool, agent="a").answer(MeasureResult(task_id=task.task_id, failure="BadModel"))
        return body

    def as_owner(self, uid: str) -> Client:
        """Redis as the pods of an owner see it."""
        return self.redis.client(owner_user(uid), f"password-of-{owner_user(uid)}")

    def delete(self, uid: str) -> None:
        """So that the API server lists it no more."""
        self.api.bodies = [(place, body) for place, body in self.api.bodies if body["metadata"]["uid"] != uid]

    def left_of(self, uid: str) -> set[str]:
        """What Redis holds of an owner."""
        found = {key.decode().rsplit(":", 1)[1] for key in self.client.scan_iter(match=f"*{uid}*")}
        tasks = {task.task_id for _, task in self.bus.tasks(POOL) if task.experiment == uid}
        found |= {"task" for _ in tasks}
        answers = [one.result.task_id for one in self.bus.results(POOL) if one.result is not None]
        found |= {"answer" for answer in answers if answer == task_of(uid).task_id}
        return found | ({"user"} if owner_user(uid) in self.users.names("owner-") else set())


ALL = {"user", "task", "answer", "log"}


def task_of(uid: str) -> MeasureTask:
    return MeasureTask.identified(experiment=uid, namespace="a", dataset="d", head="Supernet", backend="onnxruntime")


@pytest.fixture(scope="module")
def redis() -> Iterator[GuardedRedis]:
    need_selectors()
    with guarded_redis() as server:
        yield server


@pytest.fixture
def make(redis: GuardedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sites, by the namespaces that they serve; their keepers keep nothing."""
    made: list[Site] = []
    monkeypatch.setattr(Keeper, "start", lambda self: None)

    def of(*namespaces: str) -> Site:
        made.append(Site(redis, tmp_path, *namespaces))
        return made[-1]

    redis.admin().flushall()
    yield of
    for site in made:
        site.threads.shutdown()
        site.loop.close()
        for name in site.users.names("owner-"):
            site.users.remove(name)
        site.client.close()


def test_an_owner_that_is_deleted_leaves_nothing(make: Any) -> None:
    site: Site = make("team-a")
    net, search = site.apply(SUPERNETS, NET), site.apply(EXPERIMENTS, SEARCH)
    site.apply(EXPERIMENTS, OTHER)
    assert site.left_of(NET) == {"user", f"{NET}-job"}
    assert site.left_of(SEARCH) == {*ALL, f"{SEARCH}-job"}
    site.hub.seen_supernet(net, deleted=False)
    site.hub.seen_experiment(search, deleted=False)
    assert site.as_owner(SEARCH).xlen(keys.log(SEARCH)) == 1
    site.hub.seen_experiment(search, deleted=True)
    site.hub.seen_supernet(net, deleted=True)
    site.threads.shutdown()
    assert (site.left_of(NET), site.left_of(SEARCH)) == (set(), set())
    assert site.left_of(OTHER) == {*ALL, f"{OTHER}-job"}
    with pytest.raises(AuthenticationError):
        site.as_owner(SEARCH).ping()


def test_where_namespaces_are_named_the_sweep_takes_what_their_owners_left(make: Any) -> None:
    site: Site = make("team-a")
    site.apply(SUPERNETS, NET)
    site.apply(EXPERIMENTS, SEARCH)
    site.apply(EXPERIMENTS, OTHER, namespace="team-b")  # served by another operator
    site.delete(SEARCH)
    site.house._sweep()
    assert site.left_of(SEARCH) == {*ALL, f"{SEARCH}-job"}, "one that has just come is not listed yet"
    site.house._sweep()
    assert site.left_of(SEARCH) == set()
    assert site.left_of(NET) == {"user", f"{NET}-job"}
    assert site.left_of(OTHER) == {*ALL, f"{OTHER}-job"}


def test_nothing_of_a_namespace_goes_while_nobody_may_look_there(make: Any) -> None:
    site: Site = make("team-a", "team-b")
    site.apply(EXPERIMENTS, SEARCH)
    site.apply(EXPERIMENTS, OTHER, namespace="team-b")
    site.delete(SEARCH)
    site.api.closed = {"team-b"}
    for _ in range(2):
        site.house._sweep()
    assert site.left_of(SEARCH) == set()
    assert site.left_of(OTHER) == {*ALL, f"{OTHER}-job"}


def test_no_artifact_goes_that_may_be_named_where_nobody_may_look(make: Any) -> None:
    site: Site = make("team-a", "team-b")
    best = site.store.put(b"the best model, whose references went with its trials")
    os.utime(site.store.path(best.sha256), (0, 0))
    body = site.apply(EXPERIMENTS, OTHER, namespace="team-b")
    body["status"] = {"best": {"artifact": best.sha256}}
    site.api.closed = {"team-b"}
    site.house._sweep()
    assert site.store.has(best.sha256)
    site.api.closed = set()
    site.house._sweep()
    assert site.store.has(best.sha256)
    del body["status"]
    site.house._sweep()
    assert not site.store.has(best.sha256)


def test_a_refusal_that_passes_narrows_one_sweep_only(make: Any) -> None:
    """An API server that is being upgraded may answer 403 for a moment."""
    site: Site = make()
    site.apply(SUPERNETS, NET)
    site.api.closed = {None}
    for _ in range(2):
        site.house._sweep()
    assert site.left_of(NET) == {"user", f"{NET}-job"}
    site.api.closed = set()
    site.delete(NET)
    for _ in range(2):
        site.house._sweep()
    assert site.left_of(NET) == set()


def test_a_search_that_changed_its_pool_leaves_nothing_on_the_old_one(make: Any) -> None:
    site: Site = make("team-a")
    body = site.apply(EXPERIMENTS, SEARCH)
    body["spec"]["target"]["pool"] = "other"
    for _ in range(2):
        site.house._sweep()
    assert site.left_of(SEARCH) == {"user", "log", f"{SEARCH}-job"}
