"""Data sets as arrays in one .npz file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.data.split import Labelled, hold_out

_FORM = (
    "it must hold `images`, uint8 of shape (n, h, w), (n, h, w, 3) or (n, 3, h, w), and `labels`, integers from 0 of "
    "shape (n,); and may hold `validation_images` and `validation_labels`"
)


def read_npz(path: Path, *, fraction: float) -> tuple[Labelled, Labelled]:
    """Training and validation split; without arrays for validation, `fraction` of the images is held out.

    Raises:
        DataError: No such arrays.
    """
    arrays = _open(path)
    train = _labelled(path, arrays, prefix="")
    if "validation_images" in arrays:
        return train, _labelled(path, arrays, prefix="validation_")
    kept, held = hold_out(train.labels, fraction=fraction)
    images = train.images
    return Labelled(images[kept], train.labels[kept]), Labelled(images[held], train.labels[held])


def _open(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as e:
        raise DataError(f"{path} can't be read as .npz ({e}): {_FORM}") from e


def _labelled(path: Path, arrays: dict[str, NDArray[Any]], *, prefix: str) -> Labelled:
    for name in (f"{prefix}images", f"{prefix}labels"):
        if name not in arrays:
            raise DataError(f"{path} has no array `{name}`: {_FORM}")
    images, labels = arrays[f"{prefix}images"], arrays[f"{prefix}labels"]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0 or labels.min() < 0:
        raise DataError(f"{path}: `{prefix}labels` is {labels.dtype} of shape {labels.shape}: {_FORM}")
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images)} `{prefix}images`, but {len(labels)} `{prefix}labels`")
    return Labelled(_rgb(path, images), torch.from_numpy(labels.astype(np.int64)))


def _rgb(path: Path, images: NDArray[Any]) -> Tensor:
    """Any allowed form as `(n, 3, h, w)`."""
    if images.dtype == np.uint8 and images.ndim == 3:
        return torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1)
    if images.dtype == np.uint8 and images.ndim == 4 and images.shape[1] == 3:
        return torch.from_numpy(images)
    if images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3:
        return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    raise DataError(f"{path}: images are {images.dtype} of shape {images.shape}: {_FORM}")
