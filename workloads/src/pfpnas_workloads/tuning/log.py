"""The tuner's log as it is read: in order, from its start, and anew when Redis lost it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from pfpnas_api.bus import TunerBus
from pfpnas_api.bus.connection import BLOCK_MILLISECONDS
from pfpnas_api.messages import LogEntry

Returned = TypeVar("Returned")


class Patience(Protocol):
    """Calls until Redis answers."""

    def __call__(self, call: Callable[[], Returned]) -> Returned:
        """What the call returns in the end."""


class LogRestarted(Exception):  # noqa: N818 - reads as the state it names
    """The log isn't the one that was read so far: begin at its start."""


class LogReader:
    """Reads one log from its start.

    Args:
        bus: Where the log is.
        patiently: Around each single read, so that an outage between two of them loses no entry.
    """

    def __init__(self, bus: TunerBus, *, patiently: Patience) -> None:
        self._bus, self._patiently = bus, patiently
        self._after, self._read = "0", 0

    def next(self) -> list[LogEntry]:
        """All entries that are new; waits for some up to `BLOCK_MILLISECONDS`.

        Raises:
            LogRestarted: the log was lost and perhaps written again.
        """
        found = batch = self._take(block_milliseconds=BLOCK_MILLISECONDS)
        while batch:
            batch = self._take(block_milliseconds=None)
            found = found + batch
        self._check(quiet=not found)
        return found

    def _take(self, *, block_milliseconds: int | None) -> list[LogEntry]:
        entries = self._patiently(lambda: self._bus.read(after=self._after, block_milliseconds=block_milliseconds))
        if entries:
            self._after = entries[-1][0]
        self._read += len(entries)
        return [entry for _, entry in entries]

    def _check(self, *, quiet: bool) -> None:
        """A log only grows, and what is behind the last entry read would have been read.

        An entry that came in between looks the same for once; then the log is read again, which changes nothing.
        """
        length = self._patiently(self._bus.log_length)
        if length < self._read or (quiet and length > self._read):
            raise LogRestarted
