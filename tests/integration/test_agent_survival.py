"""What the agent promises when it, its Redis or its measuring process is killed; with real processes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfpnas_agent.journal import Journal
from pfpnas_api.bus import keys
from pfpnas_api.kinds.metrics import Accuracy
from pfpnas_api.messages import MeasureResult
from support import command_device
from support.agent_models import tiny_model
from support.agent_process import POOL, AgentProcess, World, alive, children, eventually
from support.redis_server import RedisServer, redis_server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, server: RedisServer) -> World:
    return World(tmp_path / "device", server.url)


def measuring_process(agent: AgentProcess) -> int:
    return int(eventually(lambda: next(iter(children(agent.pid)), None), "a measuring process", lambda: agent.output))


def long_model(world: World) -> dict[str, object]:
    """A candidate whose warm-up and runs take seconds, so that there is time to interfere."""
    model = world.push(tiny_model(size=96, features=128, layers=6, seed=5))
    return {"model": model, "measurement": {"runs": 2000, "warmup_seconds": 1, "max_seconds": 4}}


def quick(world: World) -> dict[str, object]:
    return {"measurement": {"warmup_seconds": 0.01, "max_seconds": 1}}


def test_killed_in_mid_measurement_it_measures_once_after_its_restart(world: World) -> None:
    task = world.task(**long_model(world))
    world.publish(task)
    with world.agent() as first:
        child = measuring_process(first)
        first.kill()
        eventually(lambda: not alive(child) or None, "the measuring process to follow its agent")
    assert world.results() == []
    assert world.pending() == 1
    with world.agent() as second:
        assert world.result_of(task).failure is None
        world.await_nothing_pending()
        assert len(second.events("measured")) == 1
    assert [result.task_id for result in world.results()] == [task.task_id]


def test_killed_between_journal_and_answer_it_sends_without_measuring(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with redis_server(persist=tmp_path / "redis") as server:
        world = World(tmp_path / "device", server.url)
        task = world.task(**long_model(world))
        world.publish(task)
        with world.agent() as first:
            measuring_process(first)
            server.kill()
            first.wait_for("measured")
            first.wait_for("Redis is away")
            away = first.events("Redis is away")[-1]
            assert away["redis"] == server.url
            assert away["detail"]
            first.kill()
        server.start()
        assert (world.results(), world.pending()) == ([], 1)
        with world.agent() as second:
            assert world.result_of(task).failure is None
            world.await_nothing_pending()
            assert second.events("measured") == []
            assert second.events("task claimed") == []


def test_a_result_in_the_journal_is_sent_even_when_its_task_is_gone(world: World) -> None:
    world.operator.ensure_pool(POOL)
    kept = MeasureResult(task_id="a" * 32, accuracy=Accuracy(value=0.5, samples=10))
    world.state.mkdir()
    Journal(world.state / "journal").record(kept)
    with world.agent():
        eventually(lambda: world.results() == [kept] or None, "the journal's result")


def test_the_same_task_issued_again_after_a_kill_is_answered_from_the_journal(world: World) -> None:
    task = world.task()
    with world.agent() as first:
        measured = world.measured(task)
        world.await_nothing_pending()
        first.kill()
    for received in world.operator.results(POOL):
        world.operator.delete_result(POOL, received)
    with world.agent() as second:
        assert world.measured(task) == measured
        assert second.events("measured") == []


def test_redis_may_go_and_come_back_while_it_measures(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with redis_server(persist=tmp_path / "redis") as server:
        world = World(tmp_path / "device", server.url)
        task = world.task(**long_model(world))
        world.publish(task)
        with world.agent() as agent:
            measuring_process(agent)
            server.kill()
            agent.wait_for("measured")
            agent.wait_for("Redis is away")
            server.start()
            assert world.result_of(task).failure is None
            assert len(agent.events("measured")) == 1


def test_a_redis_that_lost_everything_is_waited_for_until_its_groups_are_back(
    world: World, server: RedisServer
) -> None:
    with world.agent() as agent:
        world.measured(world.task(repetition=1, **quick(world)))
        server.restart()
        assert world.measured(world.task(repetition=2, **quick(world))).failure is None
        assert len(agent.events("measured")) == 2


def test_it_waits_for_a_redis_that_is_not_there_yet(tmp_path: Path) -> None:
    with redis_server() as server:
        world = World(tmp_path / "device", server.url)
        server.kill()
        with world.agent() as agent:
            agent.wait_for("Redis is away", times=2)
            server.start()
            assert world.measured(world.task(**quick(world))).failure is None


def test_it_waits_for_the_group(world: World) -> None:
    with world.agent() as agent:
        eventually(lambda: world.operator.agents(POOL) or None, "a heartbeat")
        assert not world.client.exists(keys.tasks(POOL))
        assert world.measured(world.task(**quick(world))).failure is None
        assert len(agent.events("measured")) == 1


def test_heartbeats_say_what_is_held(world: World) -> None:
    task = world.task(**long_model(world))
    with world.agent():
        beats = world.operator.agents
        eventually(lambda: [b.state for b in beats(POOL).values()] == ["Idle"] or None, "an idle heartbeat")
        world.publish(task)
        busy = eventually(lambda: [b for b in beats(POOL).values() if b.state == "Busy"] or None, "a busy heartbeat")
        assert [beat.task_id for beat in busy] == [task.task_id]
        world.result_of(task)
        eventually(lambda: [b.state for b in beats(POOL).values()] == ["Idle"] or None, "an idle heartbeat")


def test_a_measurement_that_passes_its_deadline_is_killed(world: World) -> None:
    model = world.push(tiny_model(size=128, features=256, layers=10))
    measurement = {"runs": 10_000, "warmup_seconds": 60, "max_seconds": 600, "deadline_seconds": 5}
    with world.agent() as agent:
        world.publish(task := world.task(model=model, measurement=measurement, reference=None))
        child = measuring_process(agent)
        assert world.result_of(task).failure == "MeasurementTimeout"
        assert not alive(child)


def test_a_measuring_process_that_the_system_kills_ran_out_of_memory(world: World) -> None:
    with world.agent() as agent:
        world.publish(task := world.task(**long_model(world)))
        os.kill(measuring_process(agent), signal.SIGKILL)
        assert world.result_of(task).failure == "OutOfMemory"


def test_the_owners_memory_limit_holds(world: World) -> None:
    world.config["limits"] = {"memory": "2G"}
    model = world.push(tiny_model(size=512, features=1024, layers=2))
    measurement = {"batch_size": 64, "warmup_seconds": 0, "max_seconds": 1}
    with world.agent():
        assert world.measured(world.task(model=model, measurement=measurement)).failure == "OutOfMemory"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_dies_with_its_agent(world: World, number: signal.Signals) -> None:
    argv = [sys.executable, str(Path(command_device.__file__)), "hang"]
    world.config["backends"] = {"npu": {"type": "command", "argv": argv}}
    world.publish(world.task(backend="npu"))
    with world.agent() as agent:
        child = measuring_process(agent)
        command = eventually(lambda: next(iter(children(child)), None), "the command", lambda: agent.output)
        os.kill(agent.pid, number)
        eventually(lambda: not alive(command) or None, "the command to follow its agent")
        eventually(lambda: not alive(child) or None, "the measuring process, which ends its command first")
    assert world.pending() == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_stops_when_told_and_says_how(world: World, number: signal.Signals, status: int) -> None:
    world.operator.ensure_pool(POOL)
    with world.agent() as agent:
        agent.wait_for("agent starts")
        os.kill(agent.pid, number)
        assert agent.wait() == status
        assert "Traceback" not in agent.output


def test_a_disk_that_fails_in_service_is_told_in_one_line(world: World) -> None:
    with world.agent() as agent:
        agent.wait_for("agent starts")
        sent = eventually(lambda: next(world.state.glob("journal/sent"), None), "the journal")
        sent.rmdir()
        sent.touch()
        world.publish(world.task(**quick(world)))
        assert agent.wait() == 1
        assert "Traceback" not in agent.output
        assert "pfpnas-agent: stateDir: " in agent.output.splitlines()[-1]
