"""Small private data sets in every format, with something to learn in them."""

import struct
from pathlib import Path

import numpy as np

from pfpnas_agent.datasets.resize import Pixels


def blobs(count: int = 300, *, classes: int = 4, size: int = 8, seed: int = 0) -> tuple[Pixels, np.ndarray]:
    """Grey images `(count, size, size)` with a bright quadrant that tells the class, noise on top; and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    images = rng.integers(0, 90, (count, size, size))
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label) % 4, 2)
        image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
    return images.astype(np.uint8), labels.astype(np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, *, count: int = 300, classes: int = 4, prefix: str = "") -> dict[str, str]:
    """Write a data set; returns the paths as the agent's config names them."""
    images, labels = blobs(count, classes=classes)
    paths = {"images": folder / f"{prefix}images.idx3", "labels": folder / f"{prefix}labels.idx1"}
    paths["images"].write_bytes(idx_bytes(images))
    paths["labels"].write_bytes(idx_bytes(labels))
    return {name: str(path) for name, path in paths.items()}
