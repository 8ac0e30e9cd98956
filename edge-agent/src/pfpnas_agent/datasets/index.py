"""The index of a data set: split and size of every image, for which every image is decoded once."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.datasets import splits
from pfpnas_agent.datasets.errors import DataError
from pfpnas_agent.datasets.formats import Part, read_part
from pfpnas_agent.datasets.growing import Progress, grown, synchronise_folder

Array = np.ndarray[Any, Any]

Sources = list[tuple[int | None, dict[str, Any]]]
"""Where the images are: the split that a source is for officially (None: the pixels decide), and its paths."""

_IMAGE = np.dtype([("split", "<i4"), ("height", "<i4"), ("width", "<i4"), ("grey", "<i4")])
"""What is noted of an image while the index grows."""


@dataclass(frozen=True)
class Index:
    """Of `n` images."""

    labels: Array
    """`(n)`"""
    split: Array
    """`(n)`"""
    classes: int
    size: tuple[int, int] | None
    """(height, width) of all images, or None when they differ."""
    grey: bool
    """All images are grey."""


def indexed(folder: Path, dataset: dict[str, Any], sources: Sources, *, progress: Progress) -> Index:
    """The index in a folder, made there first if it isn't there or can't be read.

    Raises:
        DataError: the data can't be used.
    """
    path = folder / "index.npz"
    found = _read(path)
    if found is None:
        _write(path, _made(folder, dataset, sources, progress))
        found = _read(path)
    if found is None:
        raise DataError(f"{path} can't be read: remove it")
    return found


def _made(folder: Path, dataset: dict[str, Any], sources: Sources, progress: Progress) -> Index:
    parts = [(split, read_part(dataset["format"], source)) for split, source in sources]
    labels = np.concatenate([part.labels for _, part in parts])
    classes = _classes(labels, dataset.get("classes"))
    path = folder / "index.raw"
    grown(
        path,
        lambda start: _rows(parts, start),
        row_bytes=_IMAGE.itemsize,
        total=len(labels),
        progress=progress,
    )
    noted = np.fromfile(path, _IMAGE)
    sizes = np.unique(noted[["height", "width"]])
    size = (int(sizes[0]["height"]), int(sizes[0]["width"])) if len(sizes) == 1 else None
    return Index(labels, noted["split"].astype(np.int8), classes, size, bool(noted["grey"].all()))


def _rows(parts: list[tuple[int | None, Part]], start: int) -> Iterator[bytes]:
    official = frozenset(split for split, _ in parts if split is not None)
    for fixed, part in parts:
        for pixels in part.images[start:]:
            split = splits.split_of(pixels, official=official) if fixed is None else fixed
            yield np.array((split, *pixels.shape[:2], pixels.ndim == 2), _IMAGE).tobytes()
        start = max(0, start - len(part.images))


def _classes(labels: Array, configured: int | None) -> int:
    if not len(labels):
        raise DataError("the data set holds no images")
    shown = int(labels.max()) + 1
    if labels.min() < 0 or (configured is not None and shown > configured):
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}; allowed are 0 to {(configured or shown) - 1}: "
            "correct 'classes' or the labels"
        )
    return configured or max(2, shown)


def _read(path: Path) -> Index | None:
    """The index of a file, or None when it isn't there or damaged (by a power cut, say)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            height, width = (int(value) for value in found["size"])
            size = (height, width) if height else None
            return Index(found["labels"], found["split"], int(found["classes"]), size, bool(found["grey"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, index: Index) -> None:
    """A file that gets its name when it is complete and on the disk."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            size = index.size or (0, 0)
            np.savez(file, labels=index.labels, split=index.split, classes=index.classes, size=size, grey=index.grey)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        synchronise_folder(path.parent)
    except OSError as e:
        raise DataError(f"{path} can't be written ({e.strerror}): make room in the state directory") from e
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
