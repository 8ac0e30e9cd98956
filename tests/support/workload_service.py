"""Long-lived workloads as real processes, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_ARTIFACTS_TOKEN, ENV_JOB, ENV_REDIS
from pfpnas_api.kinds.common import Model

DEADLINE_SECONDS = 90.0
"""Longest wait for a process: importing torch alone takes many seconds on a busy machine."""

Returned = TypeVar("Returned")


class WorkloadProcess:
    """A workload that runs."""

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pfpnas_workloads", *arguments],
                env=os.environ | {"OMP_NUM_THREADS": "1"} | environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Ask it to stop; its exit code."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(DEADLINE_SECONDS)

    def until(self, look: Callable[[], Returned | None]) -> Returned:
        """What `look` finds, once it finds something.

        Raises:
            AssertionError: the process ended, or the deadline passed; with the process' last words.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            found = look()
            if found:
                return found
            words = self.log.read_text()[-2000:]
            assert self._process.poll() is None, f"it ended with {self._process.returncode}: {words}"
            assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s: {words}"
            time.sleep(0.02)


@contextmanager
def workload(
    *arguments: str,
    job: Model | None = None,
    store: Path | str,
    redis_url: str | None = None,
    token: str | None = None,
    index: int | None = None,
    folder: Path | None = None,
) -> Iterator[WorkloadProcess]:
    """A workload's process for the length of the block; its log lies in the folder, or beside a store that is one.

    With an index it is one pod of an Indexed Job.
    """
    environ = {ENV_ARTIFACTS: str(store)}
    environ |= {} if token is None else {ENV_ARTIFACTS_TOKEN: token}
    environ |= {} if redis_url is None else {ENV_REDIS: redis_url}
    environ |= {} if index is None else {"JOB_COMPLETION_INDEX": str(index)}
    environ |= {} if job is None else {ENV_JOB: job.model_dump_json(by_alias=True)}
    process = WorkloadProcess(list(arguments), environ, (folder or Path(store).parent) / "workload.log")
    try:
        yield process
    finally:
        process.kill()
