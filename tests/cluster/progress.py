"""Lines with the seconds since the start, and what each phase cost."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_START = time.monotonic()


def say(line: str) -> None:
    """One line on standard error, after the seconds since this process began."""
    print(f"[{time.monotonic() - _START:6.1f} s] {line}", file=sys.stderr, flush=True)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Say that something begins, and what it cost when it is over."""
    say(f"{name} …")
    start = time.monotonic()
    yield
    say(f"{name}: {(time.monotonic() - start) / 60:.2f} minutes")
