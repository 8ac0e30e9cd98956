"""Workloads as processes: what is a Job in a cluster is a child of this one here, and dies with it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB, ENV_REDIS
from pfpnas_operator.reconcile import JobRequest, JobView

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "pretrain": ("pretrain",),
    "fit-predictor": ("fit-predictor",),
    "tune": ("tune",),
    "trial": ("trial", "--trial"),
    "trial-worker": ("trial", "--serve"),
}
"""Arguments of `pfpnas_workloads`, by workload."""

STOP_SECONDS = 30.0
"""Time for a workload to write its checkpoint before it is killed."""

PR_SET_PDEATHSIG = 1
"""Of Linux' prctl: a child gets a signal when its parent dies, so that kill -9 of the run leaves nothing behind."""

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded here, since between fork and exec nothing may be loaded."""


@dataclass(kw_only=True)
class _Process:
    popen: "subprocess.Popen[bytes]"
    uid: str
    log: Path
    since: datetime


@dataclass(kw_only=True)
class Processes:
    """The run's children.

    Attributes:
        logs: Folder for what they print.
        redis_url: Given to each.
        artifacts: Address of the store, given to each.
    """

    logs: Path
    redis_url: str
    artifacts: str
    _running: dict[str, _Process] = field(default_factory=dict)

    def create(self, request: JobRequest, *, now: datetime) -> None:
        """Start a Job's process; one of this name that is there already is left alone."""
        if request.name in self._running:
            return
        environment = {
            **os.environ,
            ENV_JOB: request.document.model_dump_json(by_alias=True, exclude_none=True),
            ENV_REDIS: self.redis_url,
            ENV_ARTIFACTS: self.artifacts,
        }
        argv = [sys.executable, "-m", "pfpnas_workloads", *COMMANDS[request.workload]]
        log = self.logs / f"{request.name}.log"
        popen = spawn(argv, log=log, environment=environment)
        self._running[request.name] = _Process(popen=popen, uid=request.document.uid, log=log, since=now)

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        """Start Jobs' processes, one after the other."""
        for request in requests:
            self.create(request, now=now)

    def delete(self, names: Iterable[str]) -> None:
        """Stop processes and forget them."""
        gone = [self._running.pop(name) for name in names if name in self._running]
        stop([process.popen for process in gone])

    def stop_all(self) -> None:
        """Stop every process: first all are asked, then those that stay are killed."""
        self.delete(list(self._running))

    def uids(self) -> dict[str, str]:
        """Uid of every Job's document, by name."""
        return {name: process.uid for name, process in self._running.items()}

    def views(self, now: datetime) -> dict[str, JobView]:
        """Every process as a Job; since when is what each knows by itself."""
        return {name: _view(name, process) for name, process in self._running.items()}


def _view(name: str, process: _Process) -> JobView:
    code = process.popen.poll()
    if code is None:
        return JobView(name=name, state="Running", since=process.since, progressed_at=process.since)
    return JobView(
        name=name,
        state="Succeeded" if code == 0 else "Failed",
        since=process.since,
        progressed_at=process.since,
        exit_code=code,
        message="" if code == 0 else _ending(name, code, process.log),
    )


def _ending(name: str, code: int, log: Path) -> str:
    """How a process ended, with the last line it printed."""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = last_line(log)
    return f"{name} {how}{f': {last}' if last else ''} (log: {log})"


def last_line(log: Path, *, most: int = 400) -> str:
    """The last line that isn't empty, cut to `most` characters."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:most] for line in reversed(lines) if line.strip()), "")


def spawn(argv: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a child in a session of its own, its output appended to a file, bound to this process's life."""
    log.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            # Ctrl-C reaches only this process, which then stops its children in order.
            start_new_session=True,
            preexec_fn=(lambda: _die_with(parent)) if _LIBC else None,  # noqa: PLW1509 - no threads run here
        )


def _die_with(parent: int) -> None:
    assert _LIBC is not None
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before it could be watched
        os._exit(1)


def stop(processes: Sequence["subprocess.Popen[bytes]"], *, seconds: float = STOP_SECONDS) -> None:
    """Ask processes to end, and kill those that don't within the time, or at a second Ctrl-C, with their groups."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    try:
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
    finally:
        for process in processes:
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def open_log(path: Path) -> IO[str]:
    """A log file to append to, line by line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", buffering=1)
