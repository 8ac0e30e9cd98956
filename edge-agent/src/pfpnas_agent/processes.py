"""Run a program in a process group of its own, with a deadline; whatever is left of the group is killed at the end."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MOST_OUTPUT_BYTES = 16 * 1024
"""Of what a program prints, the last so many bytes are kept for the local log."""

POLL_SECONDS = 0.02
"""How often a program's end is looked for: late enough to disturb no measurement."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    status: int | None
    """Exit status, negative for a signal; None when the deadline ended it."""
    output: str
    """The end of what it printed."""


def run_group(
    argv: Sequence[str],
    directory: Path,
    *,
    deadline_seconds: float,
    environment: Mapping[str, str],
    lifeline: bool = False,
    on_start: Callable[[int], None] = lambda group: None,
) -> Ended:
    """Run `argv` in `directory`, without a shell, and kill its whole process group at its end or at the deadline.

    With a lifeline, the program's standard input is a pipe that closes when this process dies, however it dies.

    Raises:
        OSError: the program can't be started.
    """
    process = subprocess.Popen(
        argv,
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    tail = bytearray()
    reader = threading.Thread(target=_drain, args=(process.stdout, tail), daemon=True)
    reader.start()
    try:
        on_start(process.pid)
        in_time = _ends_within(process.pid, deadline_seconds)
    finally:
        # Before the leader is reaped, so that its number can't belong to somebody else yet.
        kill_group(process.pid)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
    reader.join(timeout=1.0)
    return Ended(process.returncode if in_time else None, tail.decode(errors="replace"))


def kill_group(group: int) -> None:
    """Kill a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ends_within(pid: int, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > limit:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _drain(pipe: IO[bytes] | None, tail: bytearray) -> None:
    if pipe is None:
        return
    with pipe:
        while block := os.read(pipe.fileno(), 65536):
            tail.extend(block)
            del tail[:-MOST_OUTPUT_BYTES]
