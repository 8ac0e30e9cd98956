"""The trained supernet as one safetensors file that says all about itself."""

from typing import Annotated, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pfpnas_api.kinds.common import Model
from pfpnas_api.spaces import SearchSpaceError
from pfpnas_workloads.metadata import ContainerError, SpaceRecord, pack, unpack
from pfpnas_workloads.nets import Supernet

Channels = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]


class CheckpointError(ValueError):
    """Bytes that are no supernet's checkpoint; the message says what is wrong."""


class CheckpointRecord(Model):
    """The JSON beside the weights."""

    format: Literal["pfpnas-supernet"] = "pfpnas-supernet"
    version: Literal[1] = 1
    search_space: SpaceRecord
    mean: Channels
    std: Channels


def save_supernet(supernet: Supernet) -> bytes:
    """A checkpoint of `supernet`; equal weights give equal bytes."""
    preparation = supernet.preparation
    record = CheckpointRecord(
        search_space=SpaceRecord.of(supernet.space),
        mean=tuple(preparation.mean.flatten().tolist()),
        std=tuple(preparation.std.flatten().tolist()),
    )
    return save(weights_of(supernet), metadata=pack(record.document()))


def load_supernet(content: bytes) -> Supernet:
    """The supernet of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: Not a checkpoint, of another version, or its tensors don't fit its search space.
    """
    try:
        record = CheckpointRecord.model_validate(unpack(content))
        space = record.search_space.space()
        tensors = load(content)
    except (ContainerError, ValidationError, SearchSpaceError, SafetensorError) as e:
        raise CheckpointError(f"no checkpoint of a supernet: {e}") from e
    with torch.device("meta"):
        supernet = Supernet(space, mean=record.mean, std=record.std)
    _check(tensors, supernet.state_dict())
    supernet.load_state_dict(tensors, assign=True)
    return supernet.eval()


def weights_of(supernet: Supernet) -> dict[str, Tensor]:
    """All tensors of `supernet` by name, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in supernet.state_dict().items()}


def _check(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    odd = sorted(tensors.keys() ^ expected.keys())
    if odd:
        raise CheckpointError(f"no checkpoint of this search space: tensor {odd[0]} is missing or too many")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise CheckpointError(f"tensor {name} is {tensor.dtype} of shape {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"tensor {name} has values that are not finite")
