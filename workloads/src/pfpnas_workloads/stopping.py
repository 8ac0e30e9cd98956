"""A process that ends when it is told to, whatever it is doing.

Python runs a signal's handler between two steps of its main thread, so never while that waits inside a library in C++,
which may be for hours. What C itself does at a signal, a byte in a pipe, is seen by a thread.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final, NoReturn

TELLING: Final = frozenset({signal.SIGTERM, signal.SIGINT})

OWN_WAY_SECONDS: Final = 3.0
"""Left to the main thread once nothing runs below it: what has to be put in order takes moments."""

POLL_SECONDS: Final = 0.1


def leave_when_told(code: int) -> None:
    """From now on SIGTERM and SIGINT end this process with this code, at once: for a process that holds nothing yet.

    Its main thread has to call this. The first process of a container ignores every signal that it has no handler for;
    and an exception may get lost in the C code of a library that is being imported.
    """
    for number in TELLING:
        signal.signal(number, lambda number, frame: os._exit(code))


def end_when_told(code: int, *, within_seconds: float) -> None:
    """From now on SIGTERM and SIGINT end this process; call it in the main thread, before anything that takes long.

    The main thread gets a `SystemExit`, or whatever a handler that is set later raises. If it doesn't end by that, the
    process is ended: soon if it has no children, otherwise once they have ended, or with them after `within_seconds`.

    Args:
        code: The exit code.
        within_seconds: For children that were told as well.
    """

    def leave(number: int, frame: object) -> NoReturn:
        raise SystemExit(code)

    for number in TELLING:
        signal.signal(number, leave)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    arguments = (reading, code, within_seconds)
    threading.Thread(target=_end_when_told, args=arguments, name="end when told", daemon=True).start()


def _end_when_told(reading: int, code: int, within_seconds: float) -> None:
    while os.read(reading, 1)[0] not in TELLING:
        pass
    limit = time.monotonic() + within_seconds
    alone_since = time.monotonic()
    while time.monotonic() < limit and time.monotonic() - alone_since < OWN_WAY_SECONDS:
        time.sleep(POLL_SECONDS)
        if _children():
            alone_since = time.monotonic()
    for child in _children():
        os.kill(child, signal.SIGKILL)
    sys.stderr.flush()
    os._exit(code)


def _children() -> list[int]:
    """Process ids of the children that run, whichever thread started them."""
    found = [int(child) for task in Path("/proc/self/task").iterdir() for child in _listed(task / "children")]
    return [child for child in found if _runs(child)]


def _listed(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # a thread that has just ended
        return []


def _runs(pid: int) -> bool:
    """Whether it does; one that has ended, and wasn't asked for its exit code, doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
