"""Mixed precision: which type, on which device."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from pfpnas_workloads.runtime import BadInput

Precision = Literal["Auto", "Float32", "BFloat16", "Float16"]


def choose_device(*, environ: Mapping[str, str] = os.environ) -> torch.device:
    """A GPU if there is one, with algorithms that give the same result every time; else the CPU.

    Of several GPUs it is the one that torchrun gave this process (LOCAL_RANK).

    Raises:
        BadInput: torchrun started more processes than there are GPUs.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, there = int(environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise BadInput(f"process {local} of this machine has no GPU of its own, there are {there}: start as many")
    torch.cuda.set_device(local)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda")


def choose_type(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the forward pass' products: on a GPU `Auto` is bfloat16 where it has it, else float16."""
    if precision == "Auto" and device.type == "cpu":
        return torch.float32
    if precision == "Auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"Float32": torch.float32, "BFloat16": torch.bfloat16, "Float16": torch.float16}[precision]


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass in `dtype`."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
