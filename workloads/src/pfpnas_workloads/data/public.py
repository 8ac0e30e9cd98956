"""The public data set, whatever its format, behind one interface."""

import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.kinds.supernet import DatasetSpec, ShapesSpec
from pfpnas_api.quantities import DECIMAL
from pfpnas_workloads.data.arrays import read_npz
from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.data.places import find
from pfpnas_workloads.data.shapes import draw
from pfpnas_workloads.data.split import Labelled

NATURAL_FORMATS = frozenset({"CIFAR10", "CIFAR100", "ImageFolder"})
"""Formats of photographs, which a horizontal flip leaves natural."""

STATISTICS_IMAGES = 4096
"""Training images of which mean and standard deviation are taken: plenty for three numbers."""


class Images(Protocol):
    """Images by index: a tensor, or files that are decoded when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor) -> Tensor:
        """uint8, `(len(indices), 3, h, w)`, of an int64 tensor of indices."""
        ...


@dataclass(frozen=True)
class PublicData:
    """A public data set in two splits.

    Attributes:
        train_images: RGB images, uint8, `(n, 3, h, w)`.
        train_labels: Their classes, int64, `(n,)`.
        validation_images: As train_images.
        validation_labels: As train_labels.
        classes: The number of classes.
        mean: Mean of each channel of the training images, in [0, 1].
        std: Standard deviation of each channel.
        natural: Whether a mirrored image still shows the same (photographs do, figures and letters don't).
    """

    train_images: Images
    train_labels: Tensor
    validation_images: Images
    validation_labels: Tensor
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    natural: bool


def load(spec: DatasetSpec, *, store: ArtifactStore, side: int) -> PublicData:
    """The public data set of `spec`.

    Args:
        spec: Format and place, see `places.find`: a folder or file, ``file://…``, ``sha256:…``, an artifact of `store`,
            or a place in an object store or on a web server (the .npz itself, or a tar of what the folder would hold).
        store: Where artifacts are.
        side: Pixels a side to which photographs of any size (ImageFolder) are brought; other formats keep theirs.

    Raises:
        DataError: The data are missing, truncated or of another form.
        Unreachable: They can't be read now.
    """
    if spec.format == "Shapes":
        return _public(*_drawn(spec.shapes or ShapesSpec()), natural=False)
    assert spec.uri is not None  # held by DatasetSpec
    place, temporary = find(spec.uri, store, packed=spec.format != "NPZ")
    try:
        data = _public(*_read(spec, place, side=side), natural=spec.format in NATURAL_FORMATS)
    except DataError:
        _remove(temporary)
        raise
    weakref.finalize(data, _remove, temporary)  # not before: image files are read when asked for
    return data


def _remove(temporary: Path | None) -> None:
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(spec: DatasetSpec, place: Path, *, side: int) -> tuple[Labelled, Labelled]:
    # torchvision costs seconds to import, and neither drawn figures nor candidates need it.
    fraction = DECIMAL.parse(spec.validation_fraction)
    if spec.format == "NPZ":
        return read_npz(place, fraction=fraction)
    if spec.format == "ImageFolder":
        from pfpnas_workloads.data.folders import read_image_folder  # noqa: PLC0415

        return read_image_folder(place, fraction=fraction, side=side)
    from pfpnas_workloads.data.standard import read_standard  # noqa: PLC0415

    return read_standard(spec.format, place)


def _drawn(spec: ShapesSpec) -> tuple[Labelled, Labelled]:
    drawing = draw(spec.samples + spec.validation_samples, side=spec.resolution, seed=spec.seed)
    images = torch.from_numpy(drawing.images)[:, None].expand(-1, 3, -1, -1)
    labels = torch.from_numpy(drawing.labels)
    return Labelled(images[: spec.samples], labels[: spec.samples]), Labelled(
        images[spec.samples :], labels[spec.samples :]
    )


def _public(train: Labelled, validation: Labelled, *, natural: bool) -> PublicData:
    classes = int(max(train.labels.max(), validation.labels.max())) + 1
    if classes < 2:
        raise DataError("the data set has images of one class only; at least 2 classes are needed")
    mean, std = _statistics(train.images)
    return PublicData(train.images, train.labels, validation.images, validation.labels, classes, mean, std, natural)


def _statistics(images: Images) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel, in [0, 1]; a constant channel gets 1/255."""
    chosen = np.unique(np.linspace(0, len(images) - 1, STATISTICS_IMAGES).astype(np.int64))
    pixels = images[torch.from_numpy(chosen)].transpose(0, 1).reshape(3, -1).double() / 255  # (3, n * h * w)
    red, green, blue = pixels.mean(dim=1).tolist()
    stds = pixels.std(dim=1, correction=0).clamp(min=1 / 255).tolist()
    return (red, green, blue), (stds[0], stds[1], stds[2])
