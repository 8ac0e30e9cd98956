"""Accuracy of a candidate on the private data, by either head."""

from __future__ import annotations

from typing import Any

import numpy as np

from pfpnas_agent.datasets import Prepared
from pfpnas_agent.datasets.splits import TRAIN
from pfpnas_agent.failures import Refused
from pfpnas_agent.heads import ridge

Array = np.ndarray[Any, Any]


def fitted(features: Array, rows: Array, data: Prepared, *, split: int) -> dict[str, float | int]:
    """Fit on the training rows, score on the split's; `features (m, d)` belong to the data's `rows (m)`."""
    labels, parts = data.labels[rows], data.split[rows]
    train, scored = parts == TRAIN, parts == split
    head = ridge.fit(features[train], labels[train], classes=data.classes)
    return _share(head.predicted(features[scored]), labels[scored])


def supernet(logits: Array, rows: Array, data: Prepared) -> dict[str, float | int]:
    """Score the candidate's own classifier: `logits (m, classes)` belong to the data's `rows (m)`.

    Raises:
        Refused: ClassMismatch.
    """
    if logits.shape[1] != data.classes:
        raise Refused("ClassMismatch", f"the candidate knows {logits.shape[1]} classes, the data set {data.classes}")
    return _share(np.argmax(logits, axis=1), data.labels[rows])


def _share(predicted: Array, labels: Array) -> dict[str, float | int]:
    return {"value": float(np.mean(predicted == labels)), "samples": len(labels)}
