"""A supernet that trains in a second: its specification, and jobs for it."""

from typing import Any

from pfpnas_api.kinds.supernet import SupernetSpec

TINY: dict[str, Any] = {
    "searchSpace": {
        "backbone": "MobileNetV2",
        "widthMultiplier": "0.1",
        "kernelSizes": [3, 5],
        "expandRatios": [1, 2],
        "depths": [1, 2],
        "resolutions": [16],
    },
    "dataset": {"format": "Shapes", "shapes": {"samples": 160, "validationSamples": 50, "resolution": 16}},
    "training": {"epochs": 2, "batchSize": 16, "checkpointEvery": 4, "calibrationImages": 64, "randomSubnets": 1},
    "predictor": {"samples": 20, "validationImages": 50, "calibrationImages": 32},
}
"""20 steps, of which the first 6 train the largest net only."""


def tiny_spec(**changes: dict[str, Any]) -> SupernetSpec:
    """The specification with some fields of its parts changed, such as ``training={"epochs": 1}``."""
    document = {name: {**part, **changes.get(name, {})} for name, part in TINY.items()}
    return SupernetSpec.model_validate(document)
