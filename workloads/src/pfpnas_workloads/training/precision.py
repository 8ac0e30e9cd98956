"""Mixed precision: which type, on which device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["Auto", "Float32", "BFloat16", "Float16"]


def choose_device() -> torch.device:
    """A GPU if there is one, with algorithms that give the same result every time; else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
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
