"""Sweeping Redis: keys and tasks of owners that are gone. None is taken at first sight, and none is a loss."""

import re
from collections.abc import Collection
from typing import Final

from pfpnas_api.bus import OperatorBus, keys
from pfpnas_api.bus.connection import Client, text

_UID: Final = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_OF_OWNER: Final = re.compile(rf"{keys.PREFIX}:(?:\{{{_UID}\}}:.*|progress:{_UID}-.*)")
_OF_POOL: Final = re.compile(rf"{keys.PREFIX}:\{{(.+)\}}:tasks")


class RoadSweep:
    """Remembers what it missed the owner of at its last look: who has just come is not listed yet."""

    def __init__(self, client: Client, bus: OperatorBus) -> None:
        self._client, self._bus = client, bus
        self._suspects: set[str] = set()

    def sweep(self, present: Collection[str]) -> int:
        """Remove what has had no owner at this look and the last one; how much.

        Args:
            present: Uids of all Supernets and NASExperiments that are there.

        Raises:
            RedisError: Redis is away; the next sweep goes on.
        """
        names = [text(key) for key in self._client.scan_iter(match=f"{keys.PREFIX}:*", count=1000)]
        ownerless = {name for name in names if (uid := owner_of_key(name)) is not None and uid not in present}
        void = {
            f"{pool}\n{queued.entry}"
            for pool in filter(None, map(pool_of_key, names))
            for queued, task in self._bus.tasks(pool)
            if task.experiment not in present
        }
        gone = self._suspects & (ownerless | void)
        self._suspects = (ownerless | void) - gone
        for name in gone:
            pool, separator, entry = name.partition("\n")
            if separator:
                self._bus.delete_task(pool, entry)
            else:
                self._client.delete(name)
        return len(gone)


def owner_of_key(name: str) -> str | None:
    """Uid of the Supernet or NASExperiment that a key belongs to; None for those of pools."""
    found = _OF_OWNER.fullmatch(name)
    return (found.group(1) or found.group(2)) if found else None


def pool_of_key(name: str) -> str | None:
    """The pool whose tasks a key holds; None for every other key."""
    found = _OF_POOL.fullmatch(name)
    return found.group(1) if found else None
