"""An agent that ends when it is told to, also when the first word was lost on the way."""

import atexit
import os
import signal
from types import FrameType
from typing import Final, NoReturn

ORDERLY_SECONDS: Final = 3.0
"""Left for an end in order: killing the measuring process and emptying its directory takes moments."""


def stop_when_told() -> None:
    """From now on SIGTERM and SIGINT end this process: exit code 0 and, as shells say it of Ctrl-C, 130.

    The main thread, which has to call this, gets a `SystemExit`. C code that asks whether an object has an attribute
    drops whatever its Python part raises, this one included, and libraries do so while they are imported; so an alarm
    ends the process if it is still there in a few seconds, unless its modules are being taken down by then. That is
    safe at any step, as `kill -9` is.
    """
    for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 128 + signal.SIGINT)):
        signal.signal(number, _stop(status))
    atexit.register(_end_undisturbed)


def _end_undisturbed() -> None:
    """While the interpreter is taken down an alarm, or being told again, would kill it with a status of its own."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(status: int) -> "signal._HANDLER":
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGALRM, lambda number, frame: os._exit(status))
        signal.setitimer(signal.ITIMER_REAL, ORDERLY_SECONDS)
        raise SystemExit(status)

    return stop
