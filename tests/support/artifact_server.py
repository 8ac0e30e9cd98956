"""The artifact store's server as a real process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfpnas_api.artifacts import ArtifactStore, open_store
from pfpnas_operator.store.tokens import OPERATOR, Key

DEADLINE_SECONDS = 60.0
SECRET = b"a secret of the tests, 32 bytes or more"


class ArtifactServer:
    """A server over a folder; it may be killed and started again at the same address.

    Args:
        root: The folder.
        options: Of the command line.
    """

    def __init__(self, root: Path, *options: str) -> None:
        self.root, self.key, self._options = root, Key(SECRET), options
        self._key_file, self._log = root.with_name("key"), root.with_name("server.log")
        self._port, self._process = 0, None
        self._key_file.write_bytes(SECRET)
        self.start()

    _process: "subprocess.Popen[bytes] | None"

    @property
    def address(self) -> str:
        """For `open_store`."""
        return f"http://127.0.0.1:{self._port}"

    def store(self, scope: str = OPERATOR, *, patience_seconds: float = 20.0) -> ArtifactStore:
        """The store as the holder of a token sees it."""
        return open_store(self.address, self.key.token(scope), patience_seconds=patience_seconds)

    def empty(self) -> None:
        """Take all that it keeps away."""
        for name in ("sha256", "refs"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def start(self) -> None:
        """Start it; it listens when this returns."""
        listened = len(self.lines("listening"))
        given = ["--root", str(self.root), "--key-file", str(self._key_file), "--host", "127.0.0.1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pfpnas_operator.store", *given, "--port", str(self._port), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONWARNINGS": "error"},
            )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(self.lines("listening")) == listened:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(self._log.read_text())
            time.sleep(0.02)
        self._port = self.lines("listening")[-1]["addresses"][0][1]

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The lines of its log with this message."""
        text = self._log.read_text() if self._log.exists() else ""
        parsed = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in parsed if line["message"] == message]

    def requests(self, method: str) -> list[dict[str, Any]]:
        """What it has logged of the requests with a method."""
        return [line for line in self.lines("request") if line["method"] == method]

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask it to stop; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(DEADLINE_SECONDS)


@contextmanager
def artifact_server(folder: Path, *options: str, root: Path | None = None) -> Iterator[ArtifactServer]:
    """A server for the length of the block; its key and log lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ArtifactServer(root or folder / "store", *options)
    try:
        yield server
    finally:
        server.kill()
