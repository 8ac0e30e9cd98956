"""The training images with which every candidate's BatchNorm is recalibrated."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pfpnas_workloads.data import PublicData
from pfpnas_workloads.data.augment import stream
from pfpnas_workloads.training.checkpoint import CheckpointError

_NAME = "images"


def choose_calibration(data: PublicData, count: int, *, seed: int) -> Tensor:
    """`count` training images at most, drawn at random, not augmented: uint8 `(n, 3, h, w)`."""
    order = stream(seed, 0).permutation(len(data.train_images))[:count]
    return data.train_images[torch.from_numpy(order)].contiguous()


def save_calibration(images: Tensor) -> bytes:
    """uint8 images `(n, 3, h, w)` as a safetensors file."""
    return save({_NAME: images})


def load_calibration(content: bytes) -> Tensor:
    """The images, uint8 `(n, 3, h, w)`.

    Raises:
        CheckpointError: Not such a file.
    """
    try:
        images = load(content)[_NAME]
    except (SafetensorError, KeyError) as e:
        raise CheckpointError(f"no calibration images: {e}") from e
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise CheckpointError(f"calibration images are {images.dtype} of shape {tuple(images.shape)}")
    return images
