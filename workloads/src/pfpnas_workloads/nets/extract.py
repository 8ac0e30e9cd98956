"""A static net out of a supernet: the sliced tensors, copied."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfpnas_api.spaces import Architecture, BlockShape
from pfpnas_workloads.nets.elastic import ElasticBatchNorm, ElasticBlock
from pfpnas_workloads.nets.static import StaticNet
from pfpnas_workloads.nets.supernet import Supernet

_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


@torch.no_grad()
def extract(supernet: Supernet, architecture: Architecture) -> StaticNet:
    """The net of `architecture` by itself, in evaluation mode, with copies of its slices of `supernet`.

    Its logits are the supernet's. The BatchNorm statistics are copied too; they are a mixture of all trained nets'
    and should be recalibrated before the net is judged.

    Raises:
        ArchitectureError: `architecture` is not of the supernet's space.
    """
    static = StaticNet(supernet.space, architecture, draw=False).to(supernet.classifier.weight.device)
    slices = _sliced(supernet, architecture)
    for name, tensor in static.state_dict().items():
        if tensor.is_floating_point():  # not BatchNorm's counters, which nobody reads
            tensor.copy_(slices[name])
    return static.eval()


def arrays(static: StaticNet) -> dict[str, NDArray[np.float32]]:
    """All float32 tensors of `static` by name, in the order of its layers: weights, BatchNorm, normalisation."""
    state = static.state_dict()
    return {name: tensor.cpu().numpy() for name, tensor in state.items() if tensor.is_floating_point()}


def _sliced(supernet: Supernet, architecture: Architecture) -> dict[str, Tensor]:
    """The static net's state, as views of the supernet's where they need no kernel matrix."""
    state: dict[str, Tensor] = {}
    for name in ("preparation", "stem", "feature", "classifier"):
        module: nn.Module = getattr(supernet, name)
        state |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    for index, shape in enumerate(supernet.space.blocks(architecture)):
        tensors = _sliced_block(supernet.block(shape), shape)
        state |= {f"blocks.{index}.{key}": tensor for key, tensor in tensors.items()}
    return state


def _sliced_block(block: ElasticBlock, shape: BlockShape) -> dict[str, Tensor]:
    mid = shape.mid_channels
    tensors = {
        "depthwise_conv.weight": block.depthwise_conv.kernel(shape.kernel, channels=mid),  # (mid, 1, k, k)
        "project_conv.weight": block.project_conv.kernel(mid, shape.out_channels),  # (out, mid, 1, 1)
        **_sliced_norm("depthwise_norm", block.depthwise_norm, mid),
        **_sliced_norm("project_norm", block.project_norm, shape.out_channels),
    }
    if shape.has_expansion:
        tensors["expand_conv.weight"] = block.expand_conv.kernel(shape.in_channels, mid)  # (mid, in, 1, 1)
        tensors |= _sliced_norm("expand_norm", block.expand_norm, mid)
    return tensors


def _sliced_norm(name: str, module: ElasticBatchNorm, channels: int) -> dict[str, Tensor]:
    return {f"{name}.{key}": getattr(module, key)[:channels] for key in _NORM_TENSORS}
