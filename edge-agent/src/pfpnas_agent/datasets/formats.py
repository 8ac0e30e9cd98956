"""The four formats, read to one shape: parts of images and labels. A table of readers, one function each."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.datasets.errors import DataError
from pfpnas_agent.datasets.idx import read_idx

Images = Sequence[np.ndarray[Any, Any]] | np.ndarray[Any, Any]
"""One after the other: an array of all, or something that decodes them when they are asked for."""

Labels = np.ndarray[Any, np.dtype[np.int64]]

CIFAR_PIXELS = 3 * 32 * 32
CIFAR_LABEL_BYTES = (1, 2)
"""Of CIFAR-10, and of CIFAR-100 (coarse, then fine)."""


@dataclass(frozen=True)
class Part:
    """Images `(h, w)` or `(h, w, 3)`, uint8, and a label for each; all of the data, or an official split of it."""

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{len(self.images)} images, but {len(self.labels)} labels: the files don't belong together"
            )


def read_part(form: str, source: dict[str, Any]) -> Part:
    """Read a part of a data set; `source` holds the paths.

    Raises:
        DataError: a file is missing, truncated or of another format.
    """
    return _READERS[form](source)


def files_of(form: str, source: dict[str, Any]) -> list[Path]:
    """Every file of a part, for the fingerprint of a cache.

    Raises:
        DataError: a file is missing.
    """
    if form == "Folder":
        from pfpnas_agent.datasets.folder import files_by_class  # noqa: PLC0415 - Pillow only where it is needed

        return [path for paths in files_by_class(Path(source["path"])) for path in paths]
    names = source.get("paths") or [source[key] for key in ("images", "labels", "path") if key in source]
    return [Path(name) for name in names]


def _idx(source: dict[str, Any]) -> Part:
    images = read_idx(Path(source["images"]), dimensions=3)
    labels = read_idx(Path(source["labels"]), dimensions=1)
    return Part(images, labels.astype(np.int64))


def _npz(source: dict[str, Any]) -> Part:
    path = Path(source["path"])
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = {"images", "labels"} - set(arrays.files)
            if lacking:
                raise DataError(f"{path} lacks {', '.join(sorted(lacking))}: it needs the arrays images and labels")
            images, labels = arrays["images"], arrays["labels"]
    except FileNotFoundError as e:
        raise DataError(f"{path} is missing: correct the path, or put the file there") from e
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise DataError(f"{path} is no readable .npz file: copy it again") from e
    grey = images.ndim == 3
    colour = images.ndim == 4 and images.shape[-1] == 3
    if images.dtype != np.uint8 or not (grey or colour):
        raise DataError(
            f"{path}: 'images' is {images.dtype} {images.shape}; expected is uint8 (n, h, w) or (n, h, w, 3)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: 'labels' is {labels.dtype} {labels.shape}; expected are integers (n)")
    return Part(images, labels.astype(np.int64))


def _folder(source: dict[str, Any]) -> Part:
    from pfpnas_agent.datasets.folder import ImageFiles, files_by_class  # noqa: PLC0415

    classes = files_by_class(Path(source["path"]))
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes])
    return Part(ImageFiles([path for paths in classes for path in paths]), labels.astype(np.int64))


def _cifar(source: dict[str, Any]) -> Part:
    images, labels = [], []
    for path in map(Path, source["paths"]):
        try:
            content = np.fromfile(path, np.uint8)
        except OSError as e:
            raise DataError(f"{path} can't be read ({e.strerror}): correct the path, or put the file there") from e
        heads = [size for size in CIFAR_LABEL_BYTES if len(content) and len(content) % (size + CIFAR_PIXELS) == 0]
        if not heads:
            raise DataError(f"{path} has {len(content)} bytes, no whole number of CIFAR's records: copy it again")
        records = content.reshape(-1, heads[0] + CIFAR_PIXELS)
        labels.append(records[:, heads[0] - 1])
        images.append(records[:, heads[0] :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))  # (n, h, w, 3)
    return Part(np.concatenate(images), np.concatenate(labels).astype(np.int64))


_READERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "IDX": _idx,
    "NPZ": _npz,
    "Folder": _folder,
    "CIFARBinary": _cifar,
}
