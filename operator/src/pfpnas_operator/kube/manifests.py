"""Manifests over a network: read when a bell rang or a Job ended, and otherwise only now and then."""

import time
from collections.abc import Callable, Iterable, Set
from concurrent.futures import Executor
from dataclasses import dataclass, field

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.jobs import Manifest
from pfpnas_operator.driving import left_behind
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile import BadManifest

LOOK_AGAIN_SECONDS = 5.0
"""A bell may be lost with its Redis."""


@dataclass(kw_only=True)
class HeardManifests:
    """What the Jobs of one experiment left behind."""

    store: ArtifactStore
    pool: Executor
    clock: Callable[[], float] = time.monotonic
    _rung: set[str] = field(default_factory=set)
    _looked: dict[str, float] = field(default_factory=dict)
    _found: dict[str, Manifest] = field(default_factory=dict)
    """Without those that can't be used: they are dealt with at first sight, and may be made anew."""

    def rang(self, uid: str) -> None:
        """A workload says that its manifest may be there; called from any thread."""
        self._rung.add(uid)

    def read(self, uids: Iterable[str], *, over: Set[str]) -> dict[str, Manifest | BadManifest]:
        """Those that are there, by uid; what is no longer asked for is forgotten."""
        wanted, now = list(dict.fromkeys(uids)), self.clock()
        self._found = {uid: manifest for uid, manifest in self._found.items() if uid in wanted}
        self._looked = {uid: at for uid, at in self._looked.items() if uid in wanted}
        self._rung.intersection_update(wanted)
        due = [uid for uid in wanted if uid not in self._found and (uid in over or self._due(uid, now))]
        bad: dict[str, BadManifest] = {}
        for uid, manifest in together(self.pool, self._read, due):
            self._looked[uid] = now
            if isinstance(manifest, BadManifest):
                bad[uid] = manifest
            elif manifest is not None:
                self._found[uid] = manifest
        return {**self._found, **bad}

    def _due(self, uid: str, now: float) -> bool:
        return uid in self._rung or now - self._looked.get(uid, -LOOK_AGAIN_SECONDS) >= LOOK_AGAIN_SECONDS

    def _read(self, uid: str) -> tuple[str, Manifest | BadManifest | None]:
        # Before the look: who rings meanwhile rings for the next one.
        self._rung.discard(uid)
        return uid, left_behind(self.store, uid)
