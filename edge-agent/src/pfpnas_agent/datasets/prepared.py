"""A data set ready for measuring: labels and splits, and its images at any size, cached on this device's disk.

The first measurement decodes; later ones map the cached arrays into memory. A cache belongs to the files as they were
(path, size, time of change), is closed to other users, and is bounded: the least recently used sizes go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from pfpnas_agent.datasets import splits
from pfpnas_agent.datasets.errors import DataError
from pfpnas_agent.datasets.formats import files_of, read_part
from pfpnas_agent.datasets.resize import resized

MOST_CACHE_BYTES = 2 * 2**30
"""Of decoded images on disk, over all data sets."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Prepared:
    """Labels `(n)`, split `(n)` of every image; the images at a size when asked."""

    labels: Array
    split: Array
    classes: int
    size: tuple[int, int] | None
    """(height, width) of all images, or None when they differ."""
    grey: bool
    """All images are grey."""
    _sources: list[tuple[int | None, dict[str, Any]]]
    _form: str
    _folder: Path

    def rows(self, split: int) -> Array:
        """Indices `(m)` of a split's images.

        Raises:
            DataError: the split is empty.
        """
        found = np.flatnonzero(self.split == split)
        if not len(found):
            raise DataError(f"no image is in the {splits.NAMES[split]} split: the data set is too small")
        return found

    def images(self, height: int, width: int) -> Array:
        """Every image at a size: `(n, height, width)` if all are grey, else `(n, height, width, 3)`; uint8.

        Raises:
            DataError: a file can't be decoded.
        """
        path = self._folder / f"images-{height}x{width}.npy"
        if path.exists():
            os.utime(path)
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        with _new_file(path) as file:
            shape = (len(self.labels), height, width) + (() if self.grey else (3,))
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            # One after the other, so that images of any number need little memory.
            for image in self._resized(height, width):
                file.write(np.ascontiguousarray(image).tobytes())
        _prune(self._folder.parent)
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    def _resized(self, height: int, width: int) -> Iterator[Array]:
        for _, source in self._sources:
            for pixels in read_part(self._form, source).images:
                image = resized(pixels, height, width)
                yield image if self.grey or image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def prepare(alias: str, dataset: dict[str, Any], cache: Path) -> Prepared:
    """Labels and splits of a data set, from the cache or from its files.

    Raises:
        DataError: the files can't be used.
    """
    form = dataset["format"]
    sources = _sources(dataset)
    folder = cache / f"{alias}-{_fingerprint(form, dataset, sources)}"
    if not (folder / "index.npz").exists():
        _forget_older(cache, alias)
        _index(folder, form, dataset, sources)
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        height, width = (int(value) for value in index["size"])
        return Prepared(
            labels=index["labels"],
            split=index["split"],
            classes=int(index["classes"]),
            size=(height, width) if height else None,
            grey=bool(index["grey"]),
            _sources=sources,
            _form=form,
            _folder=folder,
        )


def _sources(dataset: dict[str, Any]) -> list[tuple[int | None, dict[str, Any]]]:
    official = [(splits.VALIDATION, dataset.get("validation")), (splits.TEST, dataset.get("test"))]
    return [(None, dataset), *((split, source) for split, source in official if source)]


def _fingerprint(form: str, dataset: dict[str, Any], sources: list[tuple[int | None, dict[str, Any]]]) -> str:
    parts: list[Any] = [dataset]
    for _, source in sources:
        for path in files_of(form, source):
            try:
                found = path.stat()
            except OSError as e:
                raise DataError(f"{path} is missing: correct the path, or put the file there") from e
            parts.append([str(path), found.st_size, found.st_mtime_ns])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _index(folder: Path, form: str, dataset: dict[str, Any], sources: list[tuple[int | None, dict[str, Any]]]) -> None:
    official = frozenset(split for split, _ in sources if split is not None)
    labels, split, sizes, grey = [], [], set(), True
    for fixed, source in sources:
        part = read_part(form, source)
        labels.append(part.labels)
        for pixels in part.images:
            split.append(splits.split_of(pixels, official=official) if fixed is None else fixed)
            sizes.add(pixels.shape[:2])
            grey = grey and pixels.ndim == 2
    every = np.concatenate(labels)
    size = sizes.pop() if len(sizes) == 1 else (0, 0)
    classes = _classes(every, dataset.get("classes"))
    with _new_file(folder / "index.npz") as file:
        np.savez(file, labels=every, split=np.asarray(split, np.int8), classes=classes, size=size, grey=grey)


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


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is complete."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as e:
        raise DataError(f"{path} can't be written ({e.strerror}): make room in the state directory") from e
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _prune(cache: Path) -> None:
    """Drop the least recently used arrays until the rest fits; the newest stays whatever its size."""
    kept = sorted(cache.glob("*/images-*.npy"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    total = 0
    for position, path in enumerate(kept):
        total += path.stat().st_size
        if position and total > MOST_CACHE_BYTES:
            path.unlink(missing_ok=True)


def _forget_older(cache: Path, alias: str) -> None:
    """Files that changed have a new fingerprint: the old arrays are nobody's any more."""
    for old in cache.glob(f"{alias}-" + "[0-9a-f]" * 16):
        shutil.rmtree(old, ignore_errors=True)
