"""Data sets as folders of image files, one folder a class, decoded when asked for."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.data.split import Labelled, hold_out

DECODERS = 8
"""Threads that decode; Pillow lets go of the interpreter's lock meanwhile."""


class ImageFiles:
    """Images that are read from their files, brought to one size, at each access."""

    def __init__(self, paths: list[str], *, side: int) -> None:
        self._paths, self._side = paths, side

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """uint8, `(len(indices), 3, side, side)`.

        Raises:
            DataError: A file is no readable image.
        """
        paths = [self._paths[index] for index in indices.tolist()]
        with ThreadPoolExecutor(DECODERS) as pool:
            decoded = list(pool.map(lambda path: _decode(path, side=self._side), paths))
        return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous()


def read_image_folder(root: Path, *, fraction: float, side: int) -> tuple[Labelled, Labelled]:
    """``root/train/<class>/*`` and ``root/val/<class>/*``; or ``root/<class>/*`` with `fraction` held out.

    Raises:
        DataError: No such folders, no images in them, or other classes in `val` than in `train`.
    """
    if (root / "train").is_dir() and (root / "val").is_dir():
        return _read_splits(root, side=side)
    paths, labels, _ = _list(root)
    kept, held = hold_out(labels, fraction=fraction)
    return _chosen(paths, labels, kept, side=side), _chosen(paths, labels, held, side=side)


def _read_splits(root: Path, *, side: int) -> tuple[Labelled, Labelled]:
    train_paths, train_labels, classes = _list(root / "train")
    paths, labels, others = _list(root / "val")
    if classes != others:
        odd = sorted(set(classes) ^ set(others))
        raise DataError(f"{root}: `train` and `val` must have the same classes; only one of them has {odd[:5]}")
    return Labelled(ImageFiles(train_paths, side=side), train_labels), Labelled(ImageFiles(paths, side=side), labels)


def _list(folder: Path) -> tuple[list[str], Tensor, list[str]]:
    """Paths, labels and names of the classes."""
    try:
        classes, numbers = find_classes(folder)
        found = make_dataset(folder, numbers, extensions=IMG_EXTENSIONS)
    except (OSError, ValueError) as e:
        form = "train/<class>/*.png and val/<class>/*.png, or <class>/*.png"
        raise DataError(f"{folder}: an image folder holds {form}, no class without images ({e})") from e
    return [path for path, _ in found], torch.tensor([label for _, label in found]), classes


def _chosen(paths: list[str], labels: Tensor, indices: Tensor, *, side: int) -> Labelled:
    return Labelled(ImageFiles([paths[index] for index in indices.tolist()], side=side), labels[indices])


def _decode(path: str, *, side: int) -> NDArray[np.uint8]:
    """`(side, side, 3)`: the shorter side scaled to `side`, the middle cut out."""
    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
            return np.asarray(fitted)
    except (OSError, ValueError, Image.DecompressionBombError) as e:
        raise DataError(f"{path} is no readable image ({e}): replace or remove it") from e
