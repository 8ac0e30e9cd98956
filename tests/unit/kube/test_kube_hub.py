"""Who keeps what: objects that come, change, go, and come again under the same name."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pfpnas_operator.kube.api import Object
from pfpnas_operator.kube.hub import Hub
from pfpnas_operator.kube.jobviews import JobRecord
from pfpnas_operator.reconcile import Event
from support.reconcile_builders import NOW


class Keeper:
    """Notes what it is told."""

    kind = "NASExperiment"

    def __init__(self, body: Object) -> None:
        self.body, self.uid, self.name = body, body["metadata"]["uid"], body["metadata"]["name"]
        self.namespace = body["metadata"]["namespace"]
        self.heard: list[str] = []
        self.supernet_name, self.source_names, self.ended, self.pool = "net", ["older"], False, "dev"

    def start(self) -> None:
        self.heard.append("start")

    def stop(self) -> None:
        self.heard.append("stop")

    def put(self, body: Object) -> None:
        self.heard.append("put")

    def wake(self) -> None:
        self.heard.append("wake")

    def wake_from_thread(self) -> None:
        self.heard.append("wake")

    def users_changed(self) -> None:
        self.heard.append("users")

    def say(self, event: Event) -> None:
        self.heard.append(event.reason)

    def trial_told(self, name: str, uid: str, *, deleted: bool) -> None:
        assert uid == f"uid-of-{name}"
        self.heard.append(f"trial {name}{' gone' if deleted else ''}")


class Rights:
    def forget(self, uid: str) -> None:
        pass


class Parts:
    rights = Rights()


class Stubbed(Hub):
    def _supernet_keeper(self, body: Object) -> Any:
        return Keeper(body)

    def _experiment_keeper(self, body: Object) -> Any:
        return Keeper(body)


@pytest.fixture
def hub() -> Any:
    loop, threads = asyncio.new_event_loop(), ThreadPoolExecutor(1)
    parts: Any = Parts()
    yield Stubbed(parts, jobs={}, threads=threads, loop=loop)
    threads.shutdown()
    loop.close()


def body(name: str = "search", uid: str = "u-1", **spec: Any) -> Object:
    wanted = {"supernetRef": {"name": "net"}, **spec}
    return {"metadata": {"namespace": "a", "name": name, "uid": uid}, "spec": wanted}


def trial(name: str = "by-hand") -> Object:
    return body(name, f"uid-of-{name}", experimentRef={"name": "search"})


def keeper(hub: Hub, name: str = "search") -> Any:
    return hub.experiments["a", name]


def test_an_object_is_kept_from_its_first_event_on(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    hub.seen_experiment(body(), deleted=False)
    assert keeper(hub).heard == ["start", "put"]


def test_one_that_is_gone_is_no_longer_kept(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    kept = keeper(hub)
    hub.seen_experiment(body(), deleted=True)
    assert kept.heard[-1] == "stop"
    assert not hub.experiments
    assert not hub.uids()


def test_another_of_the_same_name_is_another(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    first = keeper(hub)
    hub.seen_experiment(body(uid="u-2"), deleted=False)
    assert first.heard[-1] == "stop"
    assert keeper(hub).uid == "u-2"


def test_the_late_end_of_the_one_before_does_not_end_it(hub: Hub) -> None:
    hub.seen_experiment(body(uid="u-2"), deleted=False)
    hub.seen_experiment(body(uid="u-1"), deleted=True)
    assert keeper(hub).heard == ["start"]


def test_trials_that_came_before_their_experiment_are_handed_to_it(hub: Hub) -> None:
    hub.seen_trial(trial(), deleted=False)
    assert hub.orphans
    hub.seen_experiment(body(), deleted=False)
    assert keeper(hub).heard == ["start", "trial by-hand"]
    assert not hub.orphans


def test_a_trial_goes_to_the_experiment_that_it_names(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    hub.seen_experiment(body("other", "u-2"), deleted=False)
    hub.seen_trial(trial(), deleted=True)
    assert keeper(hub).heard[-1] == "trial by-hand gone"
    assert "trial by-hand gone" not in keeper(hub, "other").heard


def test_a_bell_and_a_job_wake_their_owner_only(hub: Hub) -> None:
    uid = "81b87d35-72e2-4fc3-82fb-28379826340a"
    hub.seen_experiment(body(uid=uid), deleted=False)
    hub.seen_experiment(body("other", "u-2"), deleted=False)
    hub.rang(f"{uid}-abc")
    hub.seen_job(uid)
    hub.seen_job("nobody")
    assert keeper(hub).heard == ["start", "wake", "wake"]
    assert keeper(hub, "other").heard == ["start"]


def record(uid: str, namespace: str) -> JobRecord:
    fields: dict[str, Any] = {"component": "tune", "document": "d", "state": "Running", "since": NOW}
    return JobRecord(name="search-tune", uid=uid, namespace=namespace, **fields)


def test_a_job_that_was_not_listed_has_ended_but_where_nobody_could_look(hub: Hub) -> None:
    hub._told.update({"u-1": [record("j-1", "a")], "u-2": [record("j-2", "b")]})  # type: ignore[attr-defined]
    for uid in ("u-1", "u-2"):
        hub.seen_experiment(body(uid, uid), deleted=False)
    for _ in range(2):
        hub.listed_jobs(set(), namespaces={"a"})
    assert (keeper(hub, "u-1").heard, keeper(hub, "u-2").heard) == (["start", "wake"], ["start"])
    for _ in range(2):
        hub.listed_jobs(set())
    assert keeper(hub, "u-2").heard == ["start", "wake"]


def test_what_is_kept_is_told_apart_by_namespace(hub: Hub) -> None:
    other = body("other", "u-2")
    other["metadata"]["namespace"] = "b"
    hub.seen_experiment(body(), deleted=False)
    hub.seen_experiment(other, deleted=False)
    assert (hub.uids(), hub.uids({"b"}), hub.uids(set())) == ({"u-1", "u-2"}, {"u-2"}, set())


def test_an_answer_wakes_whoever_measures_on_its_pool(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    hub.seen_experiment(body("other", "u-2"), deleted=False)
    keeper(hub, "other").ended = True
    hub.answered("dev")
    hub.answered("elsewhere")
    assert keeper(hub).heard == ["start", "wake"]
    assert keeper(hub, "other").heard == ["start"]
    assert hub.pools() == {"dev"}


def test_who_starts_warm_is_woken_when_its_source_comes(hub: Hub) -> None:
    hub.seen_experiment(body(), deleted=False)
    hub.seen_experiment(body("older", "u-2"), deleted=False)
    assert keeper(hub).heard == ["start", "wake"]


def test_that_redis_is_away_is_told_on_everything_that_is_under_way(hub: Hub) -> None:
    hub.seen_supernet(body("net", "u-1"), deleted=False)
    hub.seen_supernet(body("ready", "u-2"), deleted=False)
    hub.seen_experiment(body(uid="u-3"), deleted=False)
    hub.seen_experiment(body("over", "u-4"), deleted=False)
    supernets: Any = hub.supernets
    for one in (supernets["a", "ready"], keeper(hub, "over")):
        one.ended = True
    for one in hub._owners.values():
        one.heard.clear()  # type: ignore[attr-defined]
    hub.redis_is(up=False, why="Connection refused")
    told = {one.name: one.heard for one in hub._owners.values()}  # type: ignore[attr-defined]
    assert told == {"net": ["wake", "RedisAway"], "ready": ["wake"], "search": ["wake", "RedisAway"], "over": ["wake"]}
