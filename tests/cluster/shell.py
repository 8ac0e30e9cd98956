"""Running other programs: the one way, with their own words in the error."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class CommandError(RuntimeError):
    """A program ended with another status than 0; the message holds its command line and the end of its output."""


def run(
    *command: str | Path,
    input: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 600,
) -> str:
    """Run a program to its end and return its standard output.

    Raises:
        CommandError: it failed, or took longer than `timeout_seconds`.
    """
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(words)}: not done after {timeout_seconds:.0f} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise CommandError(f"{' '.join(words)}: exit status {done.returncode}: {said[-4000:]}")
    return done.stdout


def wait_for(what: str, ready: Callable[[], object], *, seconds: float = 60, every: float = 0.2) -> None:
    """Poll until `ready()` is true; an error of `ready` counts as "not yet" and is quoted in the end.

    Raises:
        TimeoutError: it was not ready in time.
    """
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except (CommandError, OSError) as error:
            last = error
        time.sleep(every)
    raise TimeoutError(f"{what}: not after {seconds:.0f} s{f': {last}' if last else ''}")
