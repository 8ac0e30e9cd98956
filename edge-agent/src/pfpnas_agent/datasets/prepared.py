"""A data set ready for measuring: labels and splits, and its images at any size, cached on this device's disk.

The first look decodes, in pieces that outlast an interruption; later ones map the cached arrays into memory. A cache
belongs to the files as they were (path, size, time of change), is closed to other users, and is bounded: the least
recently used sizes go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.datasets import splits
from pfpnas_agent.datasets.errors import DataError
from pfpnas_agent.datasets.formats import files_of, read_part
from pfpnas_agent.datasets.growing import Progress, grown, quiet
from pfpnas_agent.datasets.index import Array, Index, Sources, indexed
from pfpnas_agent.datasets.resize import resized

MOST_CACHE_BYTES = 2 * 2**30
"""Of decoded images on disk, over all data sets."""


@dataclass(frozen=True)
class Prepared:
    """Labels `(n)`, split `(n)` of every image; the images at a size when asked."""

    index: Index
    _sources: Sources
    _form: str
    _folder: Path

    @property
    def labels(self) -> Array:
        """Class `(n)` of every image."""
        return self.index.labels

    @property
    def split(self) -> Array:
        """Split `(n)` of every image."""
        return self.index.split

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.index.classes

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of all images, or None when they differ."""
        return self.index.size

    @property
    def grey(self) -> bool:
        """Whether all images are grey."""
        return self.index.grey

    def rows(self, split: int) -> Array:
        """Indices `(m)` of a split's images.

        Raises:
            DataError: the split is empty.
        """
        found = np.flatnonzero(self.split == split)
        if not len(found):
            raise DataError(f"no image is in the {splits.NAMES[split]} split: the data set is too small")
        return found

    def images(self, height: int, width: int, *, progress: Progress = quiet) -> Array:
        """Every image at a size: `(n, height, width)` if all are grey, else `(n, height, width, 3)`; uint8.

        Raises:
            DataError: a file can't be decoded.
        """
        path = self._folder / f"images-{height}x{width}.raw"
        shape = (len(self.labels), height, width) + (() if self.grey else (3,))
        # One after the other, so that images of any number need little memory.
        grown(
            path,
            lambda start: self._resized(height, width, start),
            row_bytes=int(np.prod(shape[1:])),
            total=len(self.labels),
            progress=progress,
        )
        os.utime(path)
        _prune(self._folder.parent)
        return np.memmap(path, np.uint8, mode="r", shape=shape)

    def _resized(self, height: int, width: int, start: int) -> Iterator[bytes]:
        for _, source in self._sources:
            part = read_part(self._form, source)
            for pixels in part.images[start:]:
                image = resized(pixels, height, width)
                fits = self.grey or image.ndim == 3
                yield np.ascontiguousarray(image if fits else np.repeat(image[..., None], 3, axis=2)).tobytes()
            start = max(0, start - len(part.images))


def prepare(alias: str, dataset: dict[str, Any], cache: Path, *, progress: Progress = quiet) -> Prepared:
    """Labels and splits of a data set, from the cache or from its files.

    Raises:
        DataError: the files can't be used.
    """
    sources = _sources(dataset)
    folder = cache / f"{alias}-{_fingerprint(dataset, sources)}"
    _forget_others(folder, alias)
    index = indexed(folder, dataset, sources, progress=progress)
    return Prepared(index=index, _sources=sources, _form=dataset["format"], _folder=folder)


def _sources(dataset: dict[str, Any]) -> Sources:
    official = [(splits.VALIDATION, dataset.get("validation")), (splits.TEST, dataset.get("test"))]
    return [(None, dataset), *((split, source) for split, source in official if source)]


def _fingerprint(dataset: dict[str, Any], sources: Sources) -> str:
    parts: list[Any] = [dataset]
    for _, source in sources:
        for path in files_of(dataset["format"], source):
            try:
                found = path.stat()
            except OSError as e:
                raise DataError(f"{path} is missing: correct the path, or put the file there") from e
            parts.append([str(path), found.st_size, found.st_mtime_ns])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _prune(cache: Path) -> None:
    """Drop the least recently used arrays until the rest fits; the newest stays whatever its size."""
    kept = sorted(cache.glob("*/images-*.raw"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    total = 0
    for position, path in enumerate(kept):
        total += path.stat().st_size
        if position and total > MOST_CACHE_BYTES:
            path.unlink(missing_ok=True)


def _forget_others(folder: Path, alias: str) -> None:
    """Files that changed have a new fingerprint: the old arrays are nobody's any more."""
    for old in folder.parent.glob(f"{alias}-" + "[0-9a-f]" * 16):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
