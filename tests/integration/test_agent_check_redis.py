"""`pfpnas-agent check` tries Redis as the agent would, and refuses a file with which no agent could work."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from pfpnas_api.bus import OperatorBus, connect, keys
from pfpnas_api.bus.connection import Client
from support.agent_data import write_idx
from support.ports import free_port
from support.redis_server import RedisServer, redis_server

PASSWORD = "not-to-be-shown"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server with a password of its own."""
    with redis_server() as running:
        with closing(connect(running.url)) as client:
            client.config_set("requirepass", PASSWORD)
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Client]:
    with closing(connect(f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0")) as opened:
        yield opened


def written(folder: Path, **changes: Any) -> Path:
    (folder / "private").mkdir()
    data = {"quadrants": {"format": "IDX", **write_idx(folder / "private")}}
    said = {"pool": "bench", "namespaces": ["default", "team-a"], "datasets": data, **changes}
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "agent.yaml").write_text(yaml.safe_dump(said))
    return folder / "agent.yaml"


def checked(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pfpnas_agent", "check", "--config", str(config), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PFPNAS_REDIS_URL"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def refused(config: Path, *arguments: str) -> str:
    """Its one message."""
    done = checked(config, *arguments)
    assert done.returncode == 2, done.stdout
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.stdout + done.stderr
    return done.stderr


def test_who_is_let_in_is_told_what_is_served(server: RedisServer, client: Client, tmp_path: Path) -> None:
    url = f"redis://default@127.0.0.1:{server.port}/0"
    config = written(tmp_path, redis={"url": url, "passwordFile": "password"})
    first = checked(config)
    assert (first.returncode, first.stderr) == (0, "")
    assert "pool      bench\nserves    namespaces default, team-a\n" in first.stdout
    assert f"connected to redis://127.0.0.1:{server.port}/0 as default; pool bench: no experiment has" in first.stdout
    assert PASSWORD not in first.stdout

    OperatorBus(client).ensure_pool("bench")
    assert "pool bench: in use, its tasks can be taken" in checked(config).stdout
    assert client.xpending(keys.tasks("bench"), keys.AGENTS_GROUP)["pending"] == 0


def test_a_wrong_password_is_told_with_its_remedy(server: RedisServer, tmp_path: Path) -> None:
    config = written(tmp_path, redis={"url": f"redis://default:wrong@127.0.0.1:{server.port}/0"})
    said = refused(config)
    assert "Redis doesn't know this user and password: check the user in redis.url and the password in" in said


def test_a_user_without_rights_on_the_pool_is_told(server: RedisServer, client: Client, tmp_path: Path) -> None:
    client.execute_command("ACL", "SETUSER", "lab", "on", f">{PASSWORD}", "+ping")
    config = written(tmp_path, redis={"url": f"redis://lab@127.0.0.1:{server.port}/0", "passwordFile": "password"})
    assert "lab may not take tasks of pool bench" in refused(config)


def test_a_server_without_tls_is_told(server: RedisServer, tmp_path: Path) -> None:
    said = refused(written(tmp_path, redis={"url": f"rediss://127.0.0.1:{server.port}/0"}))
    assert f"rediss://127.0.0.1:{server.port}/0" in said


def test_nobody_there(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    assert f"redis: Redis at {url} can't be used (Error 111" in refused(written(tmp_path, redis={"url": url}))


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({}, (), "redis.url is missing: `pfpnas-agent join`"),
        ({"redis": {"url": "http://h:6379"}}, (), "redis: 'http://h:6379' is no Redis URL"),
        ({"redis": {"url": "http://h:6379"}}, ("--offline",), "redis: 'http://h:6379' is no Redis URL"),
        ({"redis": {"url": "redis://h", "passwordFile": "absent"}}, (), "redis.passwordFile: "),
        ({"redis": {"url": "redis://h", "passwordFile": "absent"}}, ("--offline",), "absent can't be read (No such"),
        ({"datasets": {}}, ("--offline",), "datasets: the config has none, so no experiment finds its data here"),
    ],
)
def test_what_no_agent_could_work_with(
    tmp_path: Path, changes: dict[str, Any], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(written(tmp_path, **changes), *arguments)


def test_the_line_of_a_redis_that_cannot_be_used_points_to_its_message(tmp_path: Path) -> None:
    done = checked(written(tmp_path))
    assert "redis     none  (can't be used, see below)\n" in done.stdout


@pytest.mark.parametrize(("redis", "shown"), [({}, "none in the config"), ({"url": "redis://u@h"}, "redis://h as u")])
def test_offline_leaves_redis_out(tmp_path: Path, redis: dict[str, str], shown: str) -> None:
    done = checked(written(tmp_path, redis=redis), "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"redis     {shown}: not tried\n" in done.stdout
