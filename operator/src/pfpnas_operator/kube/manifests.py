"""Manifests over a network: read when a bell rang or a Job ended, else the more rarely the longer they are due.

An image that isn't ours need not ring, and a cluster tells of a container's end two seconds later.
"""

import time
from collections.abc import Callable, Iterable, Set
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.jobs import Manifest
from pfpnas_operator.driving import left_behind
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile import BadManifest

SOONEST_SECONDS: Final = 0.5
LATEST_SECONDS: Final = 5.0
"""Between two looks without a reason. A bell may be lost with its Redis, too."""

SHARE: Final = 0.1
"""Of the time for which a manifest was waited for, that it may lie there before it is seen."""


@dataclass(kw_only=True)
class HeardManifests:
    """What the Jobs of one experiment left behind."""

    store: ArtifactStore
    pool: Executor
    clock: Callable[[], float] = time.monotonic
    _rung: set[str] = field(default_factory=set)
    _awaited: dict[str, float] = field(default_factory=dict)
    """Since when."""
    _next: dict[str, float] = field(default_factory=dict)
    """When one is looked for again."""
    _found: dict[str, Manifest] = field(default_factory=dict)
    """Without those that can't be used: they are dealt with at first sight, and may be made anew."""

    def rang(self, uid: str) -> None:
        """A workload says that its manifest may be there; called from any thread."""
        self._rung.add(uid)

    def read(self, uids: Iterable[str], *, over: Set[str]) -> dict[str, Manifest | BadManifest]:
        """Those that are there, by uid; what is no longer asked for is forgotten."""
        wanted, now = list(dict.fromkeys(uids)), self.clock()
        self._found = {uid: manifest for uid, manifest in self._found.items() if uid in wanted}
        self._awaited = {uid: self._awaited.get(uid, now) for uid in wanted}
        self._next = {uid: at for uid, at in self._next.items() if uid in wanted}
        self._rung.intersection_update(wanted)
        due = [uid for uid in wanted if uid not in self._found and (uid in over or self._due(uid, now))]
        bad: dict[str, BadManifest] = {}
        for uid, manifest in together(self.pool, self._read, due):
            self._next[uid] = now + min(max(SHARE * (now - self._awaited[uid]), SOONEST_SECONDS), LATEST_SECONDS)
            if isinstance(manifest, BadManifest):
                bad[uid] = manifest
            elif manifest is not None:
                self._found[uid] = manifest
        return {**self._found, **bad}

    def pause(self) -> float:
        """Seconds until the next look without a reason, `SOONEST_SECONDS` to `LATEST_SECONDS`."""
        now, waited_for = self.clock(), self._awaited.keys() - self._found.keys()
        soonest = min((self._next.get(uid, now) - now for uid in waited_for), default=LATEST_SECONDS)
        return max(SOONEST_SECONDS, soonest)

    def _due(self, uid: str, now: float) -> bool:
        return uid in self._rung or now >= self._next.get(uid, now)

    def _read(self, uid: str) -> tuple[str, Manifest | BadManifest | None]:
        # Before the look: who rings meanwhile rings for the next one.
        self._rung.discard(uid)
        return uid, left_behind(self.store, uid)
