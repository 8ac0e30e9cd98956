"""Every byte that an agent writes to Redis: the closed commands of the contract, with numbers in them, nothing else.

The device is given things to give away: label names, a path of its own, pixels. Once it serves a whole search; once it
measures, fails in several ways, and is restarted.
"""

import base64
import getpass
import json
import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pfpnas_agent.hardware import hardware
from pfpnas_api.messages import Heartbeat, MeasureResult, Message
from support import command_device
from support.agent_data import blobs
from support.agent_models import tiny_model
from support.agent_process import POOL, World, agent_process, eventually
from support.redis_server import redis_server
from support.run_process import Place
from support.tcp_recorder import recorder

LABELS = ("malignant-tissue", "benign-tissue")
FOLDER = "patients-of-ward-seven"
COMMANDS = {b"XREADGROUP", b"GET", b"SET", b"XADD", b"XACK", b"PING", b"SELECT"}


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=["a_search", "failures"])
def written(request: pytest.FixtureRequest) -> bytes:
    """What an agent wrote to Redis in its life."""
    found: bytes = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def a_search(tmp_path_factory: pytest.TempPathFactory, whole_run: tuple[Place, str]) -> bytes:
    """A real `pfpnas run` whose agent speaks to its Redis through the recorder, from its start to its end."""
    place = Place(tmp_path_factory.mktemp(FOLDER) / "search", experiment={"spec": {"budget": {"maxTrials": 2}}})
    place.adopt_supernet(whole_run[0].out)
    write_pictures(place.folder)
    place.agent["datasets"] = {"private": {"format": "Folder", "path": FOLDER}}
    place.write()
    with redis_server() as server, recorder(server.port) as tap, place.run("--no-agent", "--redis", server.url) as run:
        environment = {"PFPNAS_REDIS_URL": f"redis://127.0.0.1:{tap.port}/0", "OMP_NUM_THREADS": "1"}
        with agent_process(place.folder, Path(place.paths[1]), environment=environment) as agent:
            assert run.wait() == 0, run.stdout + run.stderr
            assert len(agent.events("measured")) >= 3  # two trials, and raw pixels
            assert agent.end() == 0
        return tap.written


def write_pictures(folder: Path) -> None:
    images, labels = blobs(200, classes=2)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / FOLDER / LABELS[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Tasks of every kind, good and bad, and a restart."""
    with redis_server() as server, recorder(server.port) as tap:
        world = World(tmp_path_factory.mktemp(FOLDER) / "device", server.url)
        write_pictures(world.folder)
        world.config |= {
            "datasets": {
                "tissue": {"format": "Folder", "path": FOLDER},
                "broken": {"format": "NPZ", "path": f"{FOLDER}/lost.npz"},
            },
            "backends": {"npu": _command("honest"), "liar": _command("extra"), "absent": _command("exits", "69")},
        }
        redis = f"redis://127.0.0.1:{tap.port}/0"
        tasks = [
            {},
            {"split": "Test"},
            {"head": "Supernet", "model": world.push(tiny_model(classes=2))},
            {"head": "Supernet"},
            {"model": None, "reference": None},
            {"measurement": {"throughput": True, "max_seconds": 1.0, "warmup_seconds": 0.05}},
            {"dataset": "broken"},
            {"dataset": "unheard-of"},
            {"namespace": "strangers", "repetition": 1},
            {"model": world.push(b"no model")},
            {"backend": "npu"},
            {"backend": "liar"},
            {"backend": "absent"},
        ]
        for share in (tasks[:6], tasks[6:]):
            with world.agent("--redis", redis):
                for changes in share:
                    world.measured(world.task(**{"dataset": "tissue", **changes}))
        eventually(lambda: len(world.results()) >= len(tasks) or None, "all results")
        reasons = {result.failure for result in world.results()}
        assert reasons >= {None, "DatasetUnreadable", "BackendFailed", "BadModel", "ClassMismatch", "DeviceUnavailable"}
        return tap.written


def _command(*arguments: str) -> dict[str, object]:
    return {"type": "command", "argv": [sys.executable, str(Path(command_device.__file__)), *arguments]}


def test_no_byte_of_it_tells_of_the_device_or_its_data(written: bytes) -> None:
    image = blobs(1, classes=2)[0][0]
    found = hardware()
    secrets = {
        socket.gethostname(),
        getpass.getuser(),
        str(Path.home()),
        sys.executable,
        "/tmp",
        FOLDER,
        *LABELS,
        found.cpu,
        *[word for word in found.cpu.split() if len(word) > 4],
        "linux",
        "python",
        "onnxruntime",
        "redis-py",
        "device: done",
    }
    assert len(written) > 5000
    told = [secret for secret in secrets if secret.lower().encode() in written.lower()]
    assert told == []
    for pixels in (image, image.astype(np.float32) / np.float32(255)):
        raw = pixels[2:4].tobytes()
        assert raw not in written
        assert base64.b64encode(raw)[:8] not in written


def test_it_is_the_closed_commands_of_the_contract_and_nothing_else(written: bytes) -> None:
    commands = _commands(written)
    assert {command[0].upper() for command in commands} <= COMMANDS
    agents = {command[1].rsplit(b":", 1)[1] for command in commands if command[0] in (b"SET", b"XADD")}
    assert len(agents) == 1
    (agent,) = agents
    assert re.fullmatch(rb"[0-9a-f]{16}", agent)
    prefix = b"pfp:v1:{%b}:" % POOL.encode()
    sent = {b"SET": (prefix + b"heartbeat:" + agent, Heartbeat), b"XADD": (prefix + b"results:" + agent, MeasureResult)}
    for name, *arguments in commands:
        if name in sent:
            key, message = sent[name]
            assert arguments[0] == key
            payload = next(part for part in arguments if part.startswith(b'{"'))
            _only_the_schema(message, payload)


def _only_the_schema(message: type[Message], payload: bytes) -> None:
    """The bytes are what the contract's own model writes, and all of its text is an id or a word of a closed list."""
    decoded = message.decode(payload)
    assert decoded.encode() == payload
    words = [value for value in json.loads(payload).values() if isinstance(value, str)]
    assert all(re.fullmatch(r"[0-9a-f]{32}|[A-Z][A-Za-z]+", word) for word in words)


def _commands(written: bytes) -> list[list[bytes]]:
    """Parse what a client writes: arrays of bulk strings."""
    commands, at = [], 0
    while at < len(written):
        head = re.compile(rb"\*(\d+)\r\n").match(written, at)
        assert head, written[at : at + 80]
        at, parts = head.end(), []
        for _ in range(int(head.group(1))):
            size = re.compile(rb"\$(\d+)\r\n").match(written, at)
            assert size, written[at : at + 80]
            parts.append(written[size.end() : size.end() + int(size.group(1))])
            at = size.end() + int(size.group(1)) + 2
        commands.append(parts)
    return commands
