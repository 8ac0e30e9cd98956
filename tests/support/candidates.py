"""A small supernet and calibration images in a store, and requests to build candidates of it."""

from dataclasses import dataclass
from typing import Any

import torch

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.kinds import ArtifactRef
from pfpnas_api.messages import BuildRequest
from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.training import save_calibration, save_supernet

SPACE = SearchSpace(width_multiplier=0.25, expand_ratios=(2, 3), resolutions=(16,), classes=10)


@dataclass(frozen=True)
class Trained:
    """What a finished pre-training leaves."""

    checkpoint: ArtifactRef
    calibration: ArtifactRef

    def request(self, uid: str = "b-1", **fields: Any) -> BuildRequest:
        """A request for the smallest net."""
        defaults = {"pool": "pool", "architecture": SPACE.minimum().id}
        parts = {"checkpoint": self.checkpoint, "calibration": self.calibration}
        return BuildRequest.model_validate({"uid": uid} | defaults | parts | fields)


def put_supernet(store: ArtifactStore, *, seed: int = 0, images: int = 96) -> Trained:
    """Put a supernet with random weights and random images into the store."""
    generator = torch.Generator().manual_seed(seed)
    supernet = Supernet(SPACE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), generator=generator)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Trained(store.put(save_supernet(supernet)), store.put(save_calibration(pixels)))
