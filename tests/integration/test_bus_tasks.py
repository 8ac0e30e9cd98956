"""Tasks, leases and results between operator and agents, on a real server.

Pools have names with dots and dashes throughout, since keys and scans have to take them literally.
"""

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import redis

from pfpnas_api.bus import AgentBus, AgentKeys, BlobMissing, GroupMissing, OperatorBus, connect, keys
from pfpnas_api.bus.agent import HEARTBEAT_EXPIRY_SECONDS
from pfpnas_api.bus.connection import FIELD
from pfpnas_api.kinds import Latency
from pfpnas_api.messages import Heartbeat, MeasureResult, MeasureTask, ModelRef

POOL = "bench-cpu.a"
NUMBERS = count()


def make_task(number: int | None = None) -> MeasureTask:
    model = ModelRef(sha256=f"{next(NUMBERS) if number is None else number:064x}", size=10, chunks=1)
    return MeasureTask.identified(
        experiment="e1", namespace="default", model=model, dataset="digits", head="Fitted", backend="onnxruntime"
    )


def make_result(task: MeasureTask) -> MeasureResult:
    return MeasureResult(task_id=task.task_id, latency=Latency(p50=1.5, p90=2.0, mad=0.1, runs=64, reference=1.0))


@pytest.fixture
def operator(redis_client: redis.Redis) -> OperatorBus:
    bus = OperatorBus(redis_client)
    bus.ensure_pool(POOL)
    return bus


@pytest.fixture
def agent(redis_client: redis.Redis) -> AgentBus:
    return AgentBus(redis_client, pool=POOL, agent="agent-1")


@pytest.fixture
def other(redis_url: str) -> Iterator[AgentBus]:
    client = connect(redis_url)
    yield AgentBus(client, pool=POOL, agent="agent-2")
    client.close()


def states(operator: OperatorBus) -> list[tuple[str, str | None]]:
    return [(queued.state, queued.consumer) for queued, _ in operator.tasks(POOL)]


def test_a_task_waits_is_claimed_and_is_answered(operator: OperatorBus, agent: AgentBus) -> None:
    task = make_task()
    operator.publish_task(POOL, task)
    assert states(operator) == [("Waiting", None)]
    claim = agent.next(block_milliseconds=100)
    assert claim is not None
    assert claim.task == task
    assert states(operator) == [("Claimed", "agent-1")]
    agent.answer(make_result(task))
    agent.acknowledge(claim)
    assert states(operator) == [("Answered", None)]
    operator.delete_task(POOL, claim.entry)
    assert states(operator) == []


def test_making_the_pool_twice_keeps_its_tasks(operator: OperatorBus, agent: AgentBus) -> None:
    operator.publish_task(POOL, make_task())
    operator.ensure_pool(POOL)
    assert agent.next(block_milliseconds=100) is not None
    operator.ensure_pool(POOL)
    assert states(operator) == [("Claimed", "agent-1")]


def test_tasks_published_before_the_group_are_delivered(redis_client: redis.Redis, agent: AgentBus) -> None:
    operator = OperatorBus(redis_client)
    operator.publish_task(POOL, make_task())
    assert states(operator) == [("Waiting", None)]
    operator.ensure_pool(POOL)
    assert agent.next(block_milliseconds=100) is not None


def test_two_agents_never_get_the_same_task(operator: OperatorBus, agent: AgentBus, other: AgentBus) -> None:
    tasks = [make_task() for _ in range(60)]
    for task in tasks:
        operator.publish_task(POOL, task)
    taken: list[str] = []

    def drain(bus: AgentBus) -> None:
        while (claim := bus.next(block_milliseconds=50)) is not None:
            assert claim.task is not None
            taken.append(claim.task.task_id)

    threads = [threading.Thread(target=drain, args=(bus,)) for bus in (agent, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(task.task_id for task in tasks)


def test_a_restarted_agent_finds_what_it_held(operator: OperatorBus, agent: AgentBus, other: AgentBus) -> None:
    first, second = make_task(), make_task()
    operator.publish_task(POOL, first)
    operator.publish_task(POOL, second)
    agent.next(block_milliseconds=100)
    again = AgentBus(agent._client, pool=POOL, agent="agent-1")
    assert [claim.task for claim in again.held()] == [first]
    assert other.held() == []
    again.acknowledge(again.held()[0])
    assert again.held() == []


def test_a_task_issued_again_goes_to_the_next_agent(operator: OperatorBus, agent: AgentBus, other: AgentBus) -> None:
    task = make_task()
    operator.publish_task(POOL, task)
    lost = agent.next(block_milliseconds=100)
    assert lost is not None
    operator.delete_task(POOL, lost.entry)
    operator.publish_task(POOL, task)
    moved = other.next(block_milliseconds=100)
    assert moved is not None
    assert moved.task == task
    assert agent.held() == []
    agent.acknowledge(lost)  # the slow agent comes back: its late acknowledgement hurts nobody
    assert states(operator) == [("Claimed", "agent-2")]


def test_results_come_from_each_agents_own_stream(operator: OperatorBus, agent: AgentBus, other: AgentBus) -> None:
    one, two = make_task(), make_task()
    other.answer(make_result(two))
    agent.answer(make_result(one))
    received = operator.results(POOL)
    assert [(r.agent, r.result.task_id if r.result else None) for r in received] == [
        ("agent-1", one.task_id),
        ("agent-2", two.task_id),
    ]
    operator.delete_result(POOL, received[0])
    assert [r.agent for r in operator.results(POOL)] == ["agent-2"]


def test_a_result_that_is_none_is_shown_as_such(operator: OperatorBus, redis_client: redis.Redis) -> None:
    redis_client.xadd(keys.results(POOL, "rogue"), {FIELD: b"{}"})
    redis_client.xadd(keys.results(POOL, "rogue"), {b"other": b"field"})
    received = operator.results(POOL)
    assert [(r.agent, r.result) for r in received] == [("rogue", None), ("rogue", None)]
    for one in received:
        operator.delete_result(POOL, one)
    assert operator.results(POOL) == []


def test_pools_with_similar_names_stay_apart(operator: OperatorBus, redis_client: redis.Redis) -> None:
    neighbour = AgentBus(redis_client, pool="bench-cpu-a", agent="x")  # '.' must not match '-'
    longer = AgentBus(redis_client, pool="bench-cpu.ab", agent="y")
    for bus in (neighbour, longer):
        bus.beat(Heartbeat(state="Idle"))
        bus.answer(make_result(make_task()))
    assert operator.agents(POOL) == {}
    assert operator.results(POOL) == []


def test_agents_are_found_by_their_heartbeats(operator: OperatorBus, agent: AgentBus, other: AgentBus) -> None:
    task = make_task()
    agent.beat(Heartbeat(state="Busy", task_id=task.task_id))
    other.beat(Heartbeat(state="Idle"))
    assert operator.agents(POOL) == {
        "agent-1": Heartbeat(state="Busy", task_id=task.task_id),
        "agent-2": Heartbeat(state="Idle"),
    }


def test_a_heartbeat_expires(operator: OperatorBus, agent: AgentBus, redis_client: redis.Redis) -> None:
    agent.beat(Heartbeat(state="Idle"))
    key = keys.heartbeat(POOL, "agent-1")
    assert 0 < redis_client.ttl(key) <= HEARTBEAT_EXPIRY_SECONDS
    redis_client.pexpire(key, 1)
    while redis_client.exists(key):
        pass
    assert operator.agents(POOL) == {}


def test_an_unreadable_heartbeat_is_a_sign_of_life(operator: OperatorBus, redis_client: redis.Redis) -> None:
    redis_client.set(keys.heartbeat(POOL, "odd"), b"\xff not JSON")
    assert operator.agents(POOL) == {"odd": Heartbeat(state="Idle")}


def test_keys_of_another_type_are_passed_over(operator: OperatorBus, redis_client: redis.Redis) -> None:
    redis_client.set(keys.results(POOL, "rogue"), b"no stream")
    redis_client.lpush(keys.heartbeat(POOL, "rogue"), b"no string")
    assert operator.results(POOL) == []
    assert operator.agents(POOL) == {}


def test_garbage_among_tasks_is_deleted_by_the_operator(
    operator: OperatorBus, agent: AgentBus, redis_client: redis.Redis
) -> None:
    redis_client.xadd(keys.tasks(POOL), {FIELD: b"garbage"})
    redis_client.xadd(keys.tasks(POOL), {b"other": b"field"})
    task = make_task()
    operator.publish_task(POOL, task)
    assert [found for _, found in operator.tasks(POOL)] == [task]
    assert redis_client.xlen(keys.tasks(POOL)) == 1


def test_garbage_that_an_agent_meets_first_is_acknowledged(
    operator: OperatorBus, agent: AgentBus, redis_client: redis.Redis
) -> None:
    redis_client.xadd(keys.tasks(POOL), {FIELD: b"garbage"})
    claim = agent.next(block_milliseconds=100)
    assert claim is not None
    assert claim.task is None
    agent.acknowledge(claim)
    assert agent.held() == []


def test_a_claimed_entry_that_was_deleted_is_read_as_none(
    operator: OperatorBus, agent: AgentBus, redis_client: redis.Redis
) -> None:
    operator.publish_task(POOL, make_task())
    claim = agent.next(block_milliseconds=100)
    assert claim is not None
    redis_client.xdel(keys.tasks(POOL), claim.entry)  # without the acknowledgement that delete_task makes
    assert [held.task for held in agent.held()] == [None]


def test_a_pool_without_a_group_makes_the_agent_wait(agent: AgentBus) -> None:
    with pytest.raises(GroupMissing):
        agent.next(block_milliseconds=100)
    with pytest.raises(GroupMissing):
        agent.held()


def test_a_flush_is_recovered_from(operator: OperatorBus, agent: AgentBus, redis_client: redis.Redis) -> None:
    task = make_task()
    operator.publish_task(POOL, task)
    agent.next(block_milliseconds=100)
    redis_client.flushall()
    assert operator.tasks(POOL) == []
    with pytest.raises(GroupMissing):
        agent.next(block_milliseconds=100)
    operator.ensure_pool(POOL)
    operator.publish_task(POOL, task)
    claim = agent.next(block_milliseconds=100)
    assert claim is not None
    assert claim.task == task


def test_a_flush_wakes_an_agent_that_is_waiting(operator: OperatorBus, other: AgentBus, redis_url: str) -> None:
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            other.next()
        except BaseException as e:
            raised.append(e)

    thread = threading.Thread(target=wait)
    thread.start()
    with redis.Redis.from_url(redis_url) as client:
        while client.info("clients")["blocked_clients"] == 0:
            assert thread.is_alive()
        client.delete(keys.tasks(POOL))
        client.xadd(keys.tasks(POOL), {FIELD: b"of a new life"})  # 6.2 wakes its readers only now
    thread.join()
    assert [type(e) for e in raised] == [GroupMissing]


def test_more_pending_tasks_than_one_page_are_all_claimed(operator: OperatorBus, redis_client: redis.Redis) -> None:
    number = 2300
    pipeline = redis_client.pipeline()
    for index in range(number):
        pipeline.xadd(keys.tasks(POOL), {FIELD: make_task(index).encode()})
    pipeline.execute()
    redis_client.xreadgroup("agents", "agent-1", {keys.tasks(POOL): ">"}, count=number - 100)
    found = [queued.state for queued, _ in operator.tasks(POOL)]
    assert found == ["Claimed"] * (number - 100) + ["Waiting"] * 100


class Counted:
    """A client that counts the looks at all keys."""

    def __init__(self, client: redis.Redis) -> None:
        self._client, self.looks = client, 0

    def scan_iter(self, **wanted: Any) -> Any:
        self.looks += 1
        return self._client.scan_iter(**wanted)


def test_one_look_for_agents_serves_all_pools_for_a_while(redis_client: redis.Redis) -> None:
    clock, client = [0.0], Counted(redis_client)
    agents = AgentKeys(client, good_for_seconds=1.0, clock=lambda: clock[0])
    bus = OperatorBus(redis_client, agents=agents)
    for pool in ("a", "b"):
        AgentBus(redis_client, pool=pool, agent="one").beat(Heartbeat(state="Idle"))
        AgentBus(redis_client, pool=pool, agent="one").answer(make_result(make_task()))
    for _ in range(5):
        assert [list(bus.agents(pool)) for pool in ("a", "b", "c")] == [["one"], ["one"], []]
        assert [len(bus.results(pool)) for pool in ("a", "b", "c")] == [1, 1, 0]
    assert client.looks == 2
    AgentBus(redis_client, pool="c", agent="new").beat(Heartbeat(state="Idle"))
    redis_client.delete(keys.heartbeat("a", "one"), keys.results("b", "one"))
    assert (bus.agents("a"), bus.results("b"), bus.agents("c")) == ({}, [], {})
    clock[0] = 1.0
    assert list(bus.agents("c")) == ["new"]
    assert client.looks == 3


def test_who_asks_during_anothers_look_gets_what_the_last_one_found(redis_client: redis.Redis) -> None:
    clock, hanging, go_on = [0.0], threading.Event(), threading.Event()
    AgentBus(redis_client, pool=POOL, agent="one").beat(Heartbeat(state="Idle"))

    class Slow(Counted):
        def scan_iter(self, **wanted: Any) -> Any:
            if self.looks:
                hanging.set()
                assert go_on.wait(30)
            return super().scan_iter(**wanted)

    agents = AgentKeys(Slow(redis_client), good_for_seconds=1.0, clock=lambda: clock[0])
    assert agents.heartbeats(POOL) == [keys.heartbeat(POOL, "one")]
    clock[0] = 1.0
    looking = threading.Thread(target=agents.heartbeats, args=(POOL,))
    looking.start()
    assert hanging.wait(30)
    assert agents.heartbeats(POOL) == [keys.heartbeat(POOL, "one")]
    go_on.set()
    looking.join()


def test_an_agent_that_calls_itself_by_no_text_stops_nobody(operator: OperatorBus, redis_client: redis.Redis) -> None:
    operator.publish_task(POOL, make_task())
    redis_client.xreadgroup("agents", b"\xff", {keys.tasks(POOL): ">"})
    redis_client.xadd(keys.results(POOL, "agent").encode() + b".\xff", {FIELD: b"garbage"})
    redis_client.set(keys.heartbeat(POOL, "agent").encode() + b".\xff", b"garbage")
    assert [queued.state for queued, _ in operator.tasks(POOL)] == ["Claimed"]
    assert operator.results(POOL) == []
    assert operator.agents(POOL) == {}


def test_chunks_are_put_together(agent: AgentBus, redis_client: redis.Redis) -> None:
    model = ModelRef(sha256="a" * 64, size=5, chunks=2)
    redis_client.set(keys.blob(POOL, model.sha256, 0), b"abc")
    with pytest.raises(BlobMissing):
        agent.fetch(model)
    redis_client.set(keys.blob(POOL, model.sha256, 1), b"de")
    assert agent.fetch(model) == b"abcde"


def test_a_pools_keys_share_one_slot_of_a_cluster(redis_client: redis.Redis) -> None:
    names = [keys.tasks(POOL), keys.results(POOL, "a"), keys.heartbeat(POOL, "b"), keys.blob(POOL, "c" * 64, 3)]
    assert len({redis.crc.key_slot(name.encode()) for name in names}) == 1
    owned = [keys.builds("uid-1"), keys.log("uid-1"), keys.suggestions("uid-1")]
    assert len({redis.crc.key_slot(name.encode()) for name in owned}) == 1
