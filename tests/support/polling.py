"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import Any

from cluster.kube import Cluster
from cluster.shell import CommandError

Document = dict[str, Any]

PAUSE_SECONDS = 0.5
"""Between two looks; a look is a process of kubectl's."""

NOT_YET = ("NotFound", "not found", "is waiting to start", "ContainerCreating", "PodInitializing", "no running pod")
"""What kubectl says of what isn't there yet."""

PASSING = (
    "etcdserver: ",
    "i/o timeout",
    "TLS handshake timeout",
    "connection refused",
    "error trying to reach service",
)
"""What kubectl says on a machine that has too much to do, or while something restarts."""


def until(what: str, ready: Callable[[], Any], *, seconds: float, told: Callable[[], str] = lambda: "") -> Any:
    """Poll until something is true, and return it.

    Raises:
        AssertionError: it was not in time; with the last error of kubectl, and what `told` says.
        CommandError: kubectl failed for a reason that does not pass by itself.
    """
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if found := ready():
                return found
        except CommandError as e:
            last = str(e)
            if not any(passing in last for passing in (*NOT_YET, *PASSING)):
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:.0f} s\n{last}\n{told()}")


def told_or_why(cluster: Cluster, *words: str) -> str:
    """The end of what kubectl says, or why it doesn't."""
    try:
        return cluster.kubectl(*words)[-6000:]
    except CommandError as e:
        return str(e)
