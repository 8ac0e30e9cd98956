"""The command backend: real programs, honest and lying, and what becomes of their processes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import command_device
from support.agent_process import AgentProcess, World, alive, eventually
from support.redis_server import redis_server

LIARS = {
    "few": "5 runs where 34 were asked",
    "impossible": "but the command took",
    "nan": "latency_ms.0: ",
    "extra": "hostname: Extra inputs",
    "narrow": "needs finite float32",
    "infinite": "needs finite float32",
    "link": "outputs.npy can't be read",
    "no_outputs": "names no outputs",
}
"""What a liar does, and how the owner's log names it; the data centre only hears `BackendFailed`."""
EXITS = {
    65: "BadModel",
    69: "DeviceUnavailable",
    75: "DeviceUnavailable",
    78: "UnsupportedOperator",
    1: "BackendFailed",
    0: "BackendFailed",
}


def command(*arguments: str, deadline: int = 60) -> dict[str, Any]:
    argv = [sys.executable, str(Path(command_device.__file__)), *arguments]
    return {"type": "command", "argv": argv, "deadlineSeconds": deadline}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("commands")
    backends = {name.replace("_", "-"): command(name) for name in ("honest", *LIARS)}
    backends |= {f"exit{status}": command("exits", str(status)) for status in EXITS}
    backends |= {
        "hang": command("hang", deadline=1),
        "hang-long": command("hang"),
        "brood": command("brood", str(folder / "brood")),
        "told": command("told", str(folder / "told")),
    }
    with redis_server() as server:
        yield World(folder / "device", server.url, {"backends": backends})


@pytest.fixture(scope="module", autouse=True)
def agent(world: World) -> Iterator[AgentProcess]:
    with world.agent() as process:
        yield process


def test_an_honest_command_gives_what_the_built_in_backend_gives(world: World) -> None:
    result = world.measured(world.task(backend="honest"))
    inside = world.measured(world.task())
    assert result.failure is None
    assert result.accuracy == inside.accuracy
    assert result.latency is not None
    assert result.latency.runs == 64
    assert result.latency.reference is not None
    assert (result.peak_memory_bytes, result.energy_millijoules) == (4096, 1.5)


@pytest.mark.parametrize("behaviour", LIARS)
def test_a_liar_is_not_believed(world: World, agent: AgentProcess, behaviour: str) -> None:
    task = world.task(backend=behaviour.replace("_", "-"))
    assert world.measured(task).failure == "BackendFailed"
    logged = [line["detail"] for line in agent.events("not measured") if line["task"] == task.task_id]
    assert len(logged) == 1
    assert LIARS[behaviour] in logged[0]


@pytest.mark.parametrize("status", EXITS)
def test_exit_statuses_are_reasons(world: World, status: int) -> None:
    assert world.measured(world.task(backend=f"exit{status}")).failure == EXITS[status]


def test_a_command_that_hangs_ends_at_its_own_deadline(world: World) -> None:
    assert world.measured(world.task(backend="hang")).failure == "MeasurementTimeout"


def test_a_command_that_hangs_ends_at_the_tasks_deadline(world: World) -> None:
    measurement = {"deadline_seconds": 5}
    assert world.measured(world.task(backend="hang-long", measurement=measurement)).failure == "MeasurementTimeout"


def test_what_a_command_leaves_running_is_killed(world: World) -> None:
    assert world.measured(world.task(backend="brood")).failure is None
    left = [int(line) for line in (world.folder.parent / "brood").read_text().split()]
    assert len(left) == 5  # candidate and reference, twice; outputs
    eventually(lambda: all(not alive(pid) for pid in left) or None, "the command's children to be gone")


def test_a_command_is_told_the_request_and_nothing_else(world: World) -> None:
    task = world.task(backend="told", measurement={"throughput": True, "max_seconds": 10, "runs": 101})
    assert task.model is not None
    assert task.reference is not None
    result = world.measured(task)
    seen = [json.loads(line) for line in (world.folder.parent / "told").read_text().splitlines()]
    assert [one["files"] for one in seen] == [["model.onnx", "request.json"]] * 5 + [
        ["inputs.npy", "model.onnx", "request.json"]
    ]
    # Python itself sets LC_CTYPE when it finds no locale.
    assert all(set(one["environment"]) <= {"LC_CTYPE"} for one in seen)
    timed = {"version", "model", "sha256", "batch_size", "threads", "warmup_seconds", "runs", "max_seconds"}
    asked = [one["request"] for one in seen]
    candidate, reference = task.model.sha256, task.reference.sha256
    assert [one["sha256"] for one in asked] == [candidate, reference] * 2 + [candidate] * 2
    assert [one["runs"] for one in asked] == [53] * 4 + [34, 1]
    assert [one["batch_size"] for one in asked] == [1] * 4 + [32, 1]
    assert [one["max_seconds"] for one in asked] == [2.5] * 4 + [10, 10]
    assert set(asked[0]) == timed
    assert set(asked[-1]) == timed | {"inputs", "output"}
    assert result.throughput is not None
    assert result.latency is not None
    assert result.latency.runs == 102  # of 53, 2 are dropped
