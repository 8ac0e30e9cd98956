"""What Prometheus reads at the operator's own address: figures that follow what happens, on a real Redis."""

import asyncio
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pfpnas_api.bus import AgentBus, OperatorBus, connect
from pfpnas_api.messages import Heartbeat, MeasureTask
from pfpnas_operator.driving import Records
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.bells import BellReader
from pfpnas_operator.kube.experiments import ExperimentKeeper
from pfpnas_operator.kube.housekeeping import Housekeeper
from pfpnas_operator.kube.hub import Hub
from pfpnas_operator.kube.keeper import Keeper
from pfpnas_operator.reconcile.summary import rank
from support.guarded_redis import free_port
from support.reconcile_builders import NOW, make_experiment, make_trial
from support.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def port() -> int:
    """Of the metrics, as the operator serves them."""
    found = free_port()
    metrics.serve(found)
    return found


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def read(port: int, name: str, **labels: str) -> float | None:
    """A figure as it is served now; None where there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        found = [one.value for family in families for one in family.samples if (one.name, one.labels) == (name, labels)]
    return found[0] if found else None


def until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline, f"not: {what}"
        time.sleep(0.05)


class Listener:
    """Has a pool, and hears nothing; `broken` so often what it is woken for goes wrong."""

    broken = 0

    def pools(self) -> set[str]:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("the loop is closed")
        return {"bench"}

    def rang(self, uid: str) -> None: ...

    def answered(self, pool: str) -> None: ...

    def redis_is(self, *, up: bool, why: str = "") -> None: ...


def test_redis_is_up_while_it_answers_and_no_longer(port: int, server: RedisServer) -> None:
    bells = BellReader(connect(server.url), Listener())
    bells.start()
    try:
        until(lambda: read(port, "pfpnas_redis_up") == 1, "Redis is seen")
        server.kill()
        until(lambda: read(port, "pfpnas_redis_up") == 0, "Redis is missed")
        server.start()
        until(lambda: read(port, "pfpnas_redis_up") == 1, "Redis is seen again")
    finally:
        bells.stop()


def test_bells_go_on_after_what_nobody_thought_of_and_count_it(port: int, server: RedisServer) -> None:
    error = {"kind": "Bells", "error": "RuntimeError"}
    before = read(port, "pfpnas_reconcile_errors_total", **error) or 0
    listener = Listener()
    listener.broken = 1
    bells = BellReader(connect(server.url), listener)
    bells.start()
    try:
        until(lambda: read(port, "pfpnas_reconcile_errors_total", **error) == before + 1, "the error is counted")
        until(lambda: listener.broken == 0 and bells._pools == {}, "it goes on")
        AgentBus(connect(server.url), pool="bench", agent="a").beat(Heartbeat(state="Idle"))
        assert bells._thread.is_alive()
    finally:
        bells.stop()


def test_agents_and_tasks_are_those_in_redis(port: int, server: RedisServer) -> None:
    client = connect(server.url)
    bus = OperatorBus(client)
    hub: Any = SimpleNamespace(parts=SimpleNamespace(redis=client, bus=bus))
    loop, threads = asyncio.new_event_loop(), ThreadPoolExecutor(1)
    house = Housekeeper(hub, threads=threads, loop=loop)
    house._measure_pools({"bench"})
    assert [read(port, name, pool="bench") for name in ("pfpnas_agents", "pfpnas_tasks")] == [0, 0]
    for name in ("a", "b"):
        AgentBus(client, pool="bench", agent=name).beat(Heartbeat(state="Idle"))
    AgentBus(client, pool="other", agent="c").beat(Heartbeat(state="Idle"))
    task = {"experiment": "e", "namespace": "a", "dataset": "d", "head": "Supernet", "backend": "onnxruntime"}
    bus.publish_task("bench", MeasureTask.identified(**task))
    house._measure_pools({"bench"})
    assert [read(port, name, pool="bench") for name in ("pfpnas_agents", "pfpnas_tasks")] == [2, 1]
    client.flushall()
    house._measure_pools({"bench"})
    assert [read(port, name, pool="bench") for name in ("pfpnas_agents", "pfpnas_tasks")] == [0, 0]
    house._measure_pools(set())
    assert read(port, "pfpnas_agents", pool="bench") is None
    threads.shutdown()
    loop.close()


class Site:
    """A hub on parts that do nothing; its loop stands still, so no keeper has a cycle."""

    def __init__(self, client: Any) -> None:
        self.loop, self.threads = asyncio.new_event_loop(), ThreadPoolExecutor(1)
        rights = SimpleNamespace(forget=lambda uid: None)
        parts: Any = SimpleNamespace(rights=rights, bus=OperatorBus(client), store=None, calls=None)
        self.hub = Hub(parts, jobs={}, threads=self.threads, loop=self.loop)

    def end(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.threads.shutdown()
        self.loop.close()


@pytest.fixture
def site(server: RedisServer) -> Iterator[Site]:
    made = Site(connect(server.url))
    yield made
    made.hub.stop()
    made.end()


def body(name: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team-a", "name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {"supernetRef": {"name": "net"}, "target": {"pool": "bench"}},
    }


def test_resources_are_those_that_are_kept(port: int, site: Site) -> None:
    for name in ("one", "two"):
        site.hub.seen_experiment(body(name), deleted=False)
    assert read(port, "pfpnas_resources", kind="NASExperiment") == 2
    site.hub.seen_experiment(body("one"), deleted=True)
    assert read(port, "pfpnas_resources", kind="NASExperiment") == 1
    assert read(port, "pfpnas_resources", kind="Supernet") == 0


def test_trials_and_best_are_the_statuss_and_go_with_their_search(port: int, site: Site) -> None:
    of: dict[str, str] = {"namespace": "team-a", "experiment": "one"}
    site.hub.seen_experiment(body("one"), deleted=False)
    keeper: ExperimentKeeper = site.hub.experiments["team-a", "one"]
    best = rank(make_trial(0, "Succeeded"))
    experiment = make_experiment(trials={"succeeded": 3, "failed": 1, "running": 2}, best=best)
    keeper._measure(Records(supernet=None, experiment=experiment))
    assert read(port, "pfpnas_trials", state="succeeded", **of) == 3
    assert read(port, "pfpnas_trials", state="running", **of) == 2
    assert read(port, "pfpnas_trials", state="pending", **of) == 0
    assert read(port, "pfpnas_best_score", **of) == best.score
    site.hub.seen_experiment(body("one"), deleted=True)
    assert read(port, "pfpnas_trials", state="succeeded", **of) is None
    assert read(port, "pfpnas_best_score", **of) is None


class Cycles(Keeper):
    """A keeper whose cycles do what they are told."""

    kind = "Supernet"
    do: Callable[[], None] = staticmethod(lambda: None)

    def cycle(self, now: datetime) -> float:
        assert now >= NOW or now.tzinfo is UTC
        self.do()
        return 1.0

    def forget(self) -> None: ...


def test_cycles_are_timed_and_those_that_fail_are_counted(port: int) -> None:
    error = {"kind": "Supernet", "error": "ZeroDivisionError"}
    cycles = read(port, "pfpnas_reconcile_seconds_count", kind="Supernet") or 0
    errors = read(port, "pfpnas_reconcile_errors_total", **error) or 0
    parts: Any = SimpleNamespace(announcer=SimpleNamespace(tell=lambda event, subject: None))
    unused: Any = None
    keeper = Cycles(body("net"), parts, threads=unused, loop=unused)
    keeper._guarded()
    keeper.do = lambda: 1 / 0  # type: ignore[assignment]
    keeper._guarded()
    assert read(port, "pfpnas_reconcile_seconds_count", kind="Supernet") == cycles + 2
    assert read(port, "pfpnas_reconcile_errors_total", **error) == errors + 1
