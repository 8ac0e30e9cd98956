"""One measurement: latency first, on a quiet process; then, unless it is hopeless, accuracy on the private data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.backends import Backend, Measured, open_backend
from pfpnas_agent.datasets import DataError, Prepared, prepare
from pfpnas_agent.datasets.resize import as_inputs
from pfpnas_agent.datasets.splits import NAMES, TRAIN
from pfpnas_agent.failures import Refused
from pfpnas_agent.heads import score
from pfpnas_agent.measuring.job import Job, Runs
from pfpnas_agent.measuring.statistics import summarised

BATCH = 64
"""Images a batch when the private data are run through: enough to keep a core busy, little memory."""

RAW_PIXELS = 32
"""Raw pixels are scored at the images' own size, but at most so many a side."""


def measure(job: Job, directory: Path) -> dict[str, Any]:
    """The fields of the answer.

    Raises:
        Refused: no figures, and why.
    """
    try:
        if job.model is None:
            return {"accuracy": _raw_pixels(job), "phases": {}}
        return _candidate(job, open_backend(job, Path(job.model), directory))
    except DataError as e:
        raise Refused("DatasetUnreadable", str(e)) from e


def _candidate(job: Job, backend: Backend) -> dict[str, Any]:
    measured = backend.measure(Path(job.reference) if job.reference else None)
    latency = summarised(measured.candidate, measured.reference)
    answer = {"latency": latency, **_beside(measured), "phases": dict(measured.phases)}
    if _hopeless(latency, job.runs):
        return {**answer, "accuracy_skipped": True}
    return {**answer, "accuracy": _accuracy(job, backend, answer["phases"])}


def _beside(measured: Measured) -> dict[str, Any]:
    return {
        "throughput": measured.throughput,
        "peak_memory_bytes": measured.peak_memory_bytes,
        "energy_millijoules": measured.energy_millijoules,
    }


def _hopeless(latency: dict[str, float | int | None], runs: Runs) -> bool:
    """Slower than it is worth running all private data through."""
    p50, reference = latency["p50"] or 0.0, latency["reference"]
    if runs.skip_accuracy_over_ms is not None and p50 > runs.skip_accuracy_over_ms:
        return True
    relative = runs.skip_accuracy_over_relative
    return relative is not None and reference is not None and p50 / reference > relative


def _accuracy(job: Job, backend: Backend, phases: dict[str, float]) -> dict[str, float | int]:
    data = prepare(job.alias, job.dataset, Path(job.cache))
    split = NAMES.index(job.split)
    rows = data.rows(split)
    if job.head == "Fitted":
        rows = np.sort(np.concatenate([data.rows(TRAIN), rows]))
    name = "features" if job.head == "Fitted" else "logits"
    images = data.images(*backend.size, progress=_tell)
    start = time.perf_counter()
    outputs = backend.outputs(name, _batches(images, rows), samples=len(rows))
    phases["inference"] = time.perf_counter() - start
    if job.head == "Fitted":
        return score.fitted(outputs, rows, data, split=split)
    return score.supernet(outputs, rows, data)


def _raw_pixels(job: Job) -> dict[str, float | int]:
    data = prepare(job.alias, job.dataset, Path(job.cache))
    split = NAMES.index(job.split)
    rows = np.sort(np.concatenate([data.rows(TRAIN), data.rows(split)]))
    pixels = data.images(*_raw_size(data), progress=_tell)[rows].reshape(len(rows), -1).astype(np.float32)
    return score.fitted(pixels, rows, data, split=split)


def _tell(done: int, total: int) -> None:
    """For the local log: images of a new size count against the deadline, and what is done of them is kept."""
    if done < total:
        print(f"{done} of {total} images resized", flush=True)


def _raw_size(data: Prepared) -> tuple[int, int]:
    height, width = data.size or (RAW_PIXELS, RAW_PIXELS)
    return min(height, RAW_PIXELS), min(width, RAW_PIXELS)


def _batches(images: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    for at in range(0, len(rows), BATCH):
        yield as_inputs(images[rows[at : at + BATCH]])
