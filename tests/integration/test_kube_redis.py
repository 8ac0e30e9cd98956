"""The one reader of Redis, and the sweep of what gone owners left there, on a real server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError, OutOfMemoryError

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, WorkloadBus, connect, keys
from pfpnas_api.bus.connection import READ_COUNT, Client
from pfpnas_api.kinds import ArtifactRef
from pfpnas_api.messages import CHUNK_BYTES, Heartbeat, LogEntry, MeasureResult, MeasureTask, ModelRef, Progress
from pfpnas_operator.kube.bells import BellReader
from pfpnas_operator.kube.present import Present
from pfpnas_operator.kube.roadside import RoadSweep, forget_owner, owner_of_key, pool_of_key
from support.redis_server import RedisServer, redis_server

HERE = "81b87d35-72e2-4fc3-82fb-28379826340a"
GONE = "11111111-72e2-4fc3-82fb-28379826340a"
ELSEWHERE = "22222222-72e2-4fc3-82fb-28379826340a"

ONE = Present(pools={HERE: "dev"})
NOBODY = Present(pools={})


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
        bus.publish_task("dev", task_of(uid))
    sweep = RoadSweep(client, bus)
    assert sweep.sweep(ONE) == 0
    assert sweep.sweep(ONE) == 3
    assert [task.experiment for _, task in bus.tasks("dev")] == [HERE]
    assert bus.log(HERE)
    assert not bus.log(GONE)


def test_who_came_between_two_looks_keeps_everything(server: RedisServer) -> None:
    client = connect(server.url)
    bus = OperatorBus(client)
    bus.append_log(HERE, [LogEntry(event="Ask", count=1)])
    sweep = RoadSweep(client, bus)
    sweep.sweep(NOBODY)
    assert sweep.sweep(ONE) == 0
    assert bus.log(HERE)


def task_of(uid: str, **fields: Any) -> MeasureTask:
    task = {"experiment": uid, "namespace": "a", "dataset": "d", "head": "Supernet", "backend": "onnxruntime"}
    return MeasureTask.identified(**task, **fields)


def measuring(model: ArtifactRef, reference: ArtifactRef) -> MeasureTask:
    return task_of(HERE, model=ModelRef.of(model), reference=ModelRef.of(reference))


def answer(client: Client, task_id: str, *, agent: str = "a", pool: str = "dev") -> None:
    AgentBus(client, pool=pool, agent=agent).answer(MeasureResult(task_id=task_id, failure="OutOfMemory"))


def answered(bus: OperatorBus) -> list[tuple[str, str]]:
    """Agent and task of every answer that can be read."""
    return [(one.agent, one.result.task_id) for one in bus.results("dev") if one.result is not None]


@pytest.fixture
def road(server: RedisServer) -> Iterator[OperatorBus]:
    """With a pool on which two searches measure, one of them gone, and an agent each has a task with."""
    client = connect(server.url)
    bus = OperatorBus(client)
    bus.ensure_pool("dev")
    for uid in (GONE, HERE):
        bus.publish_task("dev", task_of(uid))
    yield bus
    client.close()


def test_where_others_have_owners_too_only_those_go_that_are_known_to_be_gone(road: OperatorBus) -> None:
    client = road._client
    for uid in (GONE, HERE, ELSEWHERE):
        road.append_log(uid, [LogEntry(event="Ask", count=1)])
    road.publish_task("dev", task_of(ELSEWHERE))
    sweep, present = RoadSweep(client, road), Present(pools={HERE: "dev"}, gone=frozenset({GONE}))
    assert [sweep.sweep(present), sweep.sweep(present)] == [0, 2]
    assert {task.experiment for _, task in road.tasks("dev")} == {HERE, ELSEWHERE}
    assert [bool(road.log(uid)) for uid in (GONE, HERE, ELSEWHERE)] == [False, True, True]


def test_answers_go_with_their_task_wherever_in_a_stream_they_lie(road: OperatorBus) -> None:
    client, void, wanted = road._client, task_of(GONE).task_id, task_of(HERE).task_id
    for _ in range(READ_COUNT):
        answer(client, wanted)
    sweep = RoadSweep(client, road)
    assert sweep.sweep(ONE) == 0
    answer(client, void)  # after the first look, and behind a thousand others
    assert sweep.sweep(ONE) == 1
    assert client.xlen(keys.results("dev", "a")) == READ_COUNT
    assert set(answered(road)) == {("a", wanted)}


def test_what_an_agent_says_takes_nobody_elses_answers_away(road: OperatorBus) -> None:
    """Neither by naming the task of another search, nor by naming none that there is."""
    client, void, wanted = road._client, task_of(GONE).task_id, task_of(HERE).task_id
    for agent, task_id in (("honest", wanted), ("liar", void), ("liar", "f" * 32), ("liar", wanted)):
        answer(client, task_id, agent=agent)
    client.xadd(keys.results("dev", "liar"), {"m": "no answer at all"})
    sweep = RoadSweep(client, road)
    assert [sweep.sweep(ONE), sweep.sweep(ONE)] == [0, 3]
    assert answered(road) == [("honest", wanted), ("liar", wanted)]
    assert client.xlen(keys.results("dev", "liar")) == 1


def test_a_task_in_another_pool_than_its_search_measures_on_is_void(road: OperatorBus) -> None:
    sweep, moved = RoadSweep(road._client, road), Present(pools={HERE: "other", GONE: "dev"})
    assert [sweep.sweep(moved), sweep.sweep(moved)] == [0, 1]
    assert [task.experiment for _, task in road.tasks("dev")] == [GONE]


def test_a_void_task_that_an_agent_is_at_waits_for_its_answer(road: OperatorBus) -> None:
    client, void = road._client, task_of(GONE).task_id
    agent = AgentBus(client, pool="dev", agent="a")
    agent.beat(Heartbeat(state="Busy", task_id=void))
    sweep = RoadSweep(client, road)
    assert [sweep.sweep(ONE) for _ in range(3)] == [0, 0, 0]
    answer(client, void)
    agent.beat(Heartbeat(state="Idle"))
    assert [sweep.sweep(ONE), sweep.sweep(ONE)] == [0, 1]
    assert answered(road) == []


def test_a_sweep_that_redis_refused_in_the_middle_goes_on_at_the_next_look(
    road: OperatorBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'")

    client = road._client
    road.append_log(GONE, [LogEntry(event="Ask", count=1)])
    sweep = RoadSweep(client, road)
    sweep.sweep(ONE)
    with monkeypatch.context() as patched:
        patched.setattr(road, "delete_task", full)
        with pytest.raises(OutOfMemoryError):
            sweep.sweep(ONE)
    assert sweep.sweep(ONE) == 2
    assert not road.log(GONE)


def test_keys_that_only_have_an_owners_uid_in_them_are_not_its_own(server: RedisServer) -> None:
    client = connect(server.url)
    AgentBus(client, pool="dev", agent=f"lab.{GONE}").beat(Heartbeat(state="Idle"))
    OperatorBus(client).append_log(GONE, [LogEntry(event="Ask", count=1)])
    WorkloadBus(client).report(f"{GONE}-tune", Progress(stage="Tune"))
    forget_owner(client, GONE)
    assert [key.decode() for key in client.scan_iter()] == [keys.heartbeat("dev", f"lab.{GONE}")]


def test_an_experiment_that_is_gone_is_withdrawn_at_once(road: OperatorBus) -> None:
    client, void, wanted = road._client, task_of(GONE).task_id, task_of(HERE).task_id
    for task_id in (void, wanted):
        answer(client, task_id)
    road.withdraw("dev", experiment=GONE)
    assert [task.experiment for _, task in road.tasks("dev")] == [HERE]
    assert answered(road) == [("a", wanted)]


def test_a_task_that_an_agent_holds_is_not_withdrawn_under_it(road: OperatorBus) -> None:
    client, void = road._client, task_of(GONE).task_id
    road.publish_task("dev", task_of(GONE, repetition=1))
    agent = AgentBus(client, pool="dev", agent="a")
    claim = agent.next(block_milliseconds=1)
    assert claim is not None
    assert claim.task == task_of(GONE)
    road.withdraw("dev", experiment=GONE)
    assert {task.task_id for _, task in road.tasks("dev")} == {void, task_of(HERE).task_id}
    answer(client, void)
    agent.acknowledge(claim)
    road.withdraw("dev", experiment=GONE)
    assert ([task.experiment for _, task in road.tasks("dev")], answered(road)) == ([HERE], [])


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
    assert sweep.sweep(ONE) == 0
    bus.publish_task("dev", measuring(late, reference))
    assert sweep.sweep(ONE) == 2
    there = [client.exists(keys.blob("dev", artifact.sha256, 0)) for artifact in (left, model, reference, late)]
    assert there == [0, 1, 1, 1]
    assert not client.exists(keys.blob("other", model.sha256, 0))
    agent = AgentBus(client, pool="dev", agent="a")
    assert agent.fetch(ModelRef.of(late)) == store.get(late.sha256)
