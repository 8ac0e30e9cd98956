"""What candidates are made from: checkpoints and calibration images, kept between builds."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.kinds import ArtifactRef
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.runtime import BadInput
from pfpnas_workloads.training import CheckpointError, load_calibration, load_supernet

KEPT = 2
"""Artifacts of each kind that stay in memory: an experiment has one checkpoint, and a second one while it changes."""

Value = TypeVar("Value")


class Sources:
    """Supernets and images out of the store, the last ones in memory."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._supernets: dict[str, Supernet] = {}
        self._images: dict[str, Tensor] = {}

    def trained(self, checkpoint: ArtifactRef) -> Supernet:
        """The supernet of a checkpoint.

        Raises:
            ArtifactError: it isn't in the store, or damaged.
            BadInput: it is no checkpoint.
        """
        return self._kept(self._supernets, checkpoint, load_supernet)

    def untrained(self, checkpoint: ArtifactRef, seed: int) -> Supernet:
        """The same supernet with fresh weights, the same ones for the same seed.

        Raises:
            ArtifactError: the checkpoint isn't in the store, or damaged.
            BadInput: it is no checkpoint.
        """
        trained = self.trained(checkpoint)
        mean, std = (value.flatten().tolist() for value in (trained.preparation.mean, trained.preparation.std))
        return Supernet(trained.space, mean=mean, std=std, generator=torch.Generator().manual_seed(seed))

    def images(self, calibration: ArtifactRef) -> Tensor:
        """Training images for BatchNorm, uint8 `(n, 3, h, w)`.

        Raises:
            ArtifactError: they aren't in the store, or damaged.
            BadInput: they are no such images.
        """
        return self._kept(self._images, calibration, load_calibration)

    def _kept(self, kept: dict[str, Value], artifact: ArtifactRef, read: Callable[[bytes], Value]) -> Value:
        if artifact.sha256 not in kept:
            value = self._read(artifact, read)
            while len(kept) >= KEPT:
                kept.pop(next(iter(kept)))
            kept[artifact.sha256] = value
        return kept[artifact.sha256]

    def _read(self, artifact: ArtifactRef, read: Callable[[bytes], Value]) -> Value:
        try:
            return read(self._store.get(artifact.sha256))
        except CheckpointError as e:
            raise BadInput(f"artifact {artifact.sha256}: {e}; train the supernet again") from e
