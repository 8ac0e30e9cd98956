"""Sweeping Redis: keys and tasks of owners that are gone, and candidates that no task names.

Nothing is taken at first sight, and nothing is a loss: candidates are put there again before they are measured.
"""

import re
from collections.abc import Collection
from typing import Final

from pfpnas_api.bus import OperatorBus, keys
from pfpnas_api.bus.connection import Client, text

_UID: Final = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_OF_OWNER: Final = re.compile(rf"{keys.PREFIX}:(?:\{{{_UID}\}}:.*|progress:{_UID}-.*)")
_OF_CANDIDATE: Final = re.compile(rf"{keys.PREFIX}:\{{(.+)\}}:blob:([0-9a-f]{{64}}):[0-9]+")
_OF_POOL: Final = re.compile(rf"{keys.PREFIX}:\{{(.+)\}}:tasks")


class RoadSweep:
    """Remembers what nobody needed at its last look: who, or whose task, has just come is not listed yet."""

    def __init__(self, client: Client, bus: OperatorBus) -> None:
        self._client, self._bus = client, bus
        self._suspects: set[str] = set()

    def sweep(self, present: Collection[str]) -> int:
        """Remove what nobody has needed at this look and the last one; how much.

        Args:
            present: Uids of all Supernets and NASExperiments that are there.

        Raises:
            RedisError: Redis is away; the next sweep goes on.
        """
        names = [text(key) for key in self._client.scan_iter(match=f"{keys.PREFIX}:*", count=1000)]
        ownerless = {name for name in names if (uid := owner_of_key(name)) is not None and uid not in present}
        tasks = [
            (pool, queued.entry, task)
            for pool in filter(None, map(pool_of_key, names))
            for queued, task in self._bus.tasks(pool)
        ]
        void = {f"{pool}\n{entry}" for pool, entry, task in tasks if task.experiment not in present}
        measured = {(pool, model.sha256) for pool, _, task in tasks for model in (task.model, task.reference) if model}
        unmeasured = {name for name in names if (one := candidate_of_key(name)) is not None and one not in measured}
        needless = ownerless | void | unmeasured
        gone = self._suspects & needless
        self._suspects = needless - gone
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


def candidate_of_key(name: str) -> tuple[str, str] | None:
    """Pool and digest of the candidate that a key holds a chunk of; None for every other key."""
    found = _OF_CANDIDATE.fullmatch(name)
    return (found.group(1), found.group(2)) if found else None


def pool_of_key(name: str) -> str | None:
    """The pool whose tasks a key holds; None for every other key."""
    found = _OF_POOL.fullmatch(name)
    return found.group(1) if found else None
