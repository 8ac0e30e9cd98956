"""Images as files, decoded by Pillow one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image, UnidentifiedImageError

from pfpnas_agent.datasets.errors import DataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class ImageFiles(Sequence[Pixels]):
    """Decoded when they are asked for: `(h, w)` for grey, `(h, w, 3)` for colour, uint8."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> Pixels | ImageFiles:
        if isinstance(index, slice):
            return ImageFiles(self._paths[index])
        return decoded(self._paths[index])


def decoded(path: Path) -> Pixels:
    """The pixels of a file; grey stays grey, everything else becomes RGB, 16 bits become 8.

    Raises:
        DataError: no image, or a truncated one.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I;16"):
                return (np.asarray(image) >> 8).astype(np.uint8)
            return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise DataError(f"{path} can't be decoded as an image: replace or remove it") from e


def files_by_class(folder: Path) -> list[list[Path]]:
    """The image files of each class, classes and files in the order of their names.

    Raises:
        DataError: no folder, not one folder for each of at least two classes, or one that may not be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: correct the path, or put the images there")
    try:
        return _listed(folder)
    except OSError as e:
        raise DataError(f"{e.filename or folder} can't be read ({e.strerror}): let the agent's user read it") from e


def _listed(folder: Path) -> list[list[Path]]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise DataError(f"{folder} needs one folder of images for each of at least two classes; it has {len(classes)}")
    return [sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES) for place in classes]
