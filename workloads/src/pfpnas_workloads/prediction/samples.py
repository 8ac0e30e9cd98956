"""The table of evaluated subnets: grown sample by sample, kept over a kill."""

import json
from collections.abc import Mapping

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from pfpnas_api.artifacts import ArtifactError, ArtifactStore
from pfpnas_api.kinds.common import ArtifactRef, Model
from pfpnas_api.spaces import Architecture, SearchSpace


class Sample(Model):
    """One evaluated subnet."""

    architecture: str
    accuracy: float = Field(ge=0, le=1)
    """On the public validation split, BatchNorm recalibrated."""
    checkpoint: str
    """SHA-256 of the supernet's checkpoint: the label of other weights is stale."""


_TABLE = TypeAdapter(dict[str, Sample])


def choose_samples(space: SearchSpace, count: int, *, seed: int) -> list[Architecture]:
    """`count` different architectures: smallest, largest, then random ones; all of them if the space has fewer."""
    if space.count <= count:
        edges = [space.minimum(), space.maximum()]
        return list(dict.fromkeys([*edges, *space.enumerate()]))
    rng = np.random.default_rng(seed)
    chosen = dict.fromkeys([space.minimum(), space.maximum()])
    while len(chosen) < count:
        chosen[space.sample(rng)] = None
    return list(chosen)


class SampleTable:
    """The samples evaluated so far, in ``refs/<uid>.samples.json``.

    Args:
        store: Where the table is kept.
        uid: Of the job.
        fingerprint: Of all that decides a sample's accuracy; a table with another one is not gone on with.
    """

    def __init__(self, store: ArtifactStore, uid: str, *, fingerprint: str) -> None:
        self._store, self._name, self._fingerprint = store, f"{uid}.samples", fingerprint
        self._samples = self._read()

    def get(self, architecture: Architecture) -> Sample | None:
        """The sample of an architecture, if it was evaluated."""
        return self._samples.get(architecture.id)

    def add(self, sample: Sample) -> None:
        """Keep a sample; it is on disk when this returns."""
        self._samples[sample.architecture] = sample
        samples = {name: kept.document() for name, kept in self._samples.items()}
        self._store.write_ref(self._name, {"fingerprint": self._fingerprint, "samples": samples})

    def put(self) -> ArtifactRef:
        """The table as an artifact: a JSON list of samples in the order of their evaluation."""
        return self._store.put(json.dumps([sample.document() for sample in self._samples.values()]).encode())

    def remove(self) -> None:
        """Forget what is kept for going on: the job has ended."""
        self._store.delete_ref(self._name)

    def _read(self) -> dict[str, Sample]:
        try:
            value: Mapping[str, object] = self._store.read_ref(self._name) or {}
            if value.get("fingerprint") != self._fingerprint:
                return {}
            return _TABLE.validate_python(value.get("samples"))
        except (ArtifactError, ValidationError):  # unreadable: the samples are evaluated again
            return {}
