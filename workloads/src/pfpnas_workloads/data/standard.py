"""The data sets that torchvision knows, read from a folder."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.data.split import Labelled

_SETS: dict[str, tuple[Any, str]] = {
    "CIFAR10": (CIFAR10, "cifar-10-batches-py/ with data_batch_1 to 5, test_batch and batches.meta"),
    "CIFAR100": (CIFAR100, "cifar-100-python/ with train, test and meta"),
    "MNIST": (MNIST, "MNIST/raw/ with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k- files"),
    "FashionMNIST": (FashionMNIST, "FashionMNIST/raw/ with train-images-idx3-ubyte and its three siblings"),
}


def read_standard(name: str, folder: Path) -> tuple[Labelled, Labelled]:
    """The official training and test split.

    torchvision compares the checksums of CIFAR's files with the published ones before it reads them.

    Raises:
        DataError: Files are missing, truncated or altered; names the folder and what belongs there.
    """
    return _split(name, folder, train=True), _split(name, folder, train=False)


def _split(name: str, folder: Path, *, train: bool) -> Labelled:
    kind, content = _SETS[name]
    try:
        dataset = kind(str(folder), train=train, download=False)
        images = _rgb(dataset.data)
        labels = torch.as_tensor(dataset.targets, dtype=torch.int64)
    # What torchvision's readers meet in a damaged file; AssertionError is their own check of its length.
    except (RuntimeError, ValueError, OSError, EOFError, KeyError, IndexError, AssertionError, TypeError) as e:
        raise DataError(f"{name} is missing or damaged in {folder}: that folder must hold {content} ({e})") from e
    if len(images) != len(labels):
        raise DataError(f"{name} in {folder} has {len(images)} images, but {len(labels)} labels: fetch it again")
    return Labelled(images, labels)


def _rgb(data: Any) -> Tensor:
    """torchvision's `(n, h, w, 3)` array or `(n, h, w)` tensor as `(n, 3, h, w)`."""
    if isinstance(data, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(data.transpose(0, 3, 1, 2)))
    tensor: Tensor = data
    return tensor[:, None].expand(-1, 3, -1, -1)
