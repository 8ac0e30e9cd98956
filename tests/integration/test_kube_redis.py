"""The one reader of Redis, and the sweep of what gone owners left there, on a real server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, WorkloadBus, connect, keys
from pfpnas_api.kinds import ArtifactRef
from pfpnas_api.messages import CHUNK_BYTES, LogEntry, MeasureResult, MeasureTask, ModelRef, Progress
from pfpnas_operator.kube.bells import BellReader
from pfpnas_operator.kube.roadside import RoadSweep, owner_of_key, pool_of_key
from support.redis_server import RedisServer, redis_server

HERE = "81b87d35-72e2-4fc3-82fb-28379826340a"
GONE = "11111111-72e2-4fc3-82fb-28379826340a"


class Ears:
    """Notes what it is told."""

    def __init__(self, *pools: str) -> None:
        self.heard: list[str] = []
        self._pools = set(pools)

    def pools(self) -> set[str]:
        return self._pools

    def rang(self, uid: str) -> None:
        self.heard.append(f"bell {uid}")

    def answered(self, pool: str) -> None:
        self.heard.append(f"answer {pool}")

    def redis_is(self, *, up: bool, why: str = "") -> None:
        self.heard.append("up" if up else "away")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def listened(reader: BellReader, ears: Ears) -> list[str]:
    """What one look hears."""
    ears.heard.clear()
    reader.listen_once(block_milliseconds=1)
    return list(ears.heard)


def test_each_bell_is_heard_once(server: RedisServer) -> None:
    ears, client = Ears(), connect(server.url)
    reader = BellReader(client, ears, clock=Clock())
    assert listened(reader, ears) == ["up"]
    WorkloadBus(client).ring(f"{HERE}-abc")
    WorkloadBus(client).ring(f"{HERE}-abc")
    assert listened(reader, ears) == [f"bell {HERE}-abc"]
    assert listened(reader, ears) == []


def test_an_answer_wakes_once_though_it_lies_there(server: RedisServer) -> None:
    ears, client = Ears("dev"), connect(server.url)
    reader = BellReader(client, ears, clock=Clock())
    for pool in ("dev", "other"):
        AgentBus(client, pool=pool, agent="a").answer(MeasureResult(task_id="a" * 32, failure="OutOfMemory"))
    assert listened(reader, ears) == ["up", "answer dev"]
    assert listened(reader, ears) == []
    AgentBus(client, pool="dev", agent="b").answer(MeasureResult(task_id="b" * 32, failure="OutOfMemory"))
    assert listened(reader, ears) == ["answer dev"]


def test_bells_are_heard_after_redis_lost_everything(server: RedisServer) -> None:
    ears, client = Ears(), connect(server.url)
    reader = BellReader(client, ears, clock=Clock())
    WorkloadBus(client).ring("before")
    listened(reader, ears)
    client.flushall()
    assert listened(reader, ears) == []
    WorkloadBus(client).ring("after")
    assert listened(reader, ears) == ["bell after"]


def test_a_server_that_is_gone_is_an_error_of_the_look(server: RedisServer) -> None:
    ears = Ears()
    reader = BellReader(connect(server.url), ears, clock=Clock())
    server.kill()
    with pytest.raises(ConnectionError):
        reader.listen_once(block_milliseconds=1)


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (keys.log(GONE), GONE),
        (keys.progress(f"{GONE}-tune"), GONE),
        (keys.tasks("dev"), None),
        (keys.EVENTS, None),
        (keys.results("dev", "agent"), None),
    ],
)
def test_whose_a_key_is(name: str, owner: str | None) -> None:
    assert owner_of_key(name) == owner


def test_which_pool_a_key_is_of() -> None:
    assert pool_of_key(keys.tasks("dev")) == "dev"
    assert pool_of_key(keys.results("dev", "agent")) is None


def test_what_has_no_owner_goes_at_the_second_look(server: RedisServer) -> None:
    client = connect(server.url)
    bus = OperatorBus(client)
    bus.ensure_pool("dev")
    for uid in (HERE, GONE):
        bus.append_log(uid, [LogEntry(event="Ask", count=1)])
        WorkloadBus(client).report(f"{uid}-tune", Progress(stage="Tune"))
        task = {"experiment": uid, "namespace": "a", "dataset": "d", "head": "Supernet", "backend": "onnxruntime"}
        bus.publish_task("dev", MeasureTask.identified(**task))
    sweep = RoadSweep(client, bus)
    assert sweep.sweep({HERE}) == 0
    assert sweep.sweep({HERE}) == 3
    assert [task.experiment for _, task in bus.tasks("dev")] == [HERE]
    assert bus.log(HERE)
    assert not bus.log(GONE)


def test_who_came_between_two_looks_keeps_everything(server: RedisServer) -> None:
    client = connect(server.url)
    bus = OperatorBus(client)
    bus.append_log(HERE, [LogEntry(event="Ask", count=1)])
    sweep = RoadSweep(client, bus)
    sweep.sweep(set())
    assert sweep.sweep({HERE}) == 0
    assert bus.log(HERE)


def measuring(model: ArtifactRef, reference: ArtifactRef) -> MeasureTask:
    task = {"experiment": HERE, "namespace": "a", "dataset": "d", "head": "Supernet", "backend": "onnxruntime"}
    return MeasureTask.identified(**task, model=ModelRef.of(model), reference=ModelRef.of(reference))


def test_candidates_that_nobody_measures_go_at_the_second_look(server: RedisServer, tmp_path: Path) -> None:
    client, store = connect(server.url), FolderStore(tmp_path)
    bus, left, model, reference = OperatorBus(client), *(store.put(content) for content in (b"left", b"model", b"ref"))
    late = store.put(os.urandom(CHUNK_BYTES + 1))
    bus.ensure_pool("dev")
    bus.publish_task("dev", measuring(model, reference))
    for artifact in (left, model, reference, late):
        WorkloadBus(client).push("dev", artifact, store)
    WorkloadBus(client).push("other", model, store)
    sweep = RoadSweep(client, bus)
    assert sweep.sweep({HERE}) == 0
    bus.publish_task("dev", measuring(late, reference))
    assert sweep.sweep({HERE}) == 2
    there = [client.exists(keys.blob("dev", artifact.sha256, 0)) for artifact in (left, model, reference, late)]
    assert there == [0, 1, 1, 1]
    assert not client.exists(keys.blob("other", model.sha256, 0))
    agent = AgentBus(client, pool="dev", agent="a")
    assert agent.fetch(ModelRef.of(late)) == store.get(late.sha256)
