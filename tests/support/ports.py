"""Ports for servers of tests that have to be told which one to take."""

import contextlib
import random
import socket

PORTS = range(15_000, 30_000)
"""Below those that the system gives to outgoing connections: one of another test may take such a one at any time."""


def free_port() -> int:
    """A port that nobody listens on just now, at no address of this machine."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
