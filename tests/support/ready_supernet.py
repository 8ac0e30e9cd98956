"""A Supernet that is ready to be searched without having been trained: random weights, and a predictor that says ½."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.kinds import ArtifactRef, SearchSpaceSpec, Supernet
from pfpnas_workloads import nets
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.encoding import width
from pfpnas_workloads.prediction.network import Layer
from pfpnas_workloads.training import save_calibration, save_supernet

HIDDEN = (400, 400, 400)
"""The usual size of a predictor."""


def ready_supernet(store: ArtifactStore, spec: SearchSpaceSpec, *, name: str = "tiny-net", seed: int = 0) -> Supernet:
    """The document, and its artifacts in the store; what is measured of its nets is real, but for the accuracy."""
    space = spec.space(classes=10)
    generator = torch.Generator().manual_seed(seed)
    checkpoint = store.put(save_supernet(nets.Supernet(space, generator=generator)))
    pixels = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8, generator=generator)
    calibration = store.put(save_calibration(pixels))
    predictor = store.put(AccuracyPredictor(space, checkpoint.sha256, _layers(width(space))).save())
    quality = {"samples": 1, "kendallTau": 0, "meanAbsoluteError": 0, "constantMeanAbsoluteError": 0}
    status = {
        "conditions": [_condition(kind) for kind in ("Accepted", "Trained", "PredictorReady", "Ready")],
        "checkpoint": {**_named(checkpoint), "calibration": calibration.document(), "classes": 10},
        "predictor": {**_named(predictor), **quality},
    }
    wished = {"searchSpace": spec.document(), "dataset": {"format": "Shapes"}}
    return Supernet.model_validate({"metadata": {"name": name, "uid": f"{name}-uid"}, "spec": wished, "status": status})


def _condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": "Made", "lastTransitionTime": datetime.now(UTC)}


def _named(artifact: ArtifactRef) -> dict[str, Any]:
    return {"uri": f"sha256:{artifact.sha256}", "sha256": artifact.sha256, "size": artifact.size}


def _layers(inputs: int) -> tuple[Layer, ...]:
    sizes = [inputs, *HIDDEN, 1]
    return tuple(
        Layer(np.zeros((before, after), np.float32), np.full(after, 0.5, np.float32))
        for before, after in pairwise(sizes)
    )
