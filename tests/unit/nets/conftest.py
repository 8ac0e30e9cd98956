"""Builders for nets whose every tensor matters: random BatchNorm statistics and kernel matrices."""

from collections.abc import Callable

import pytest
import torch

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.nets import Supernet

MakeSupernet = Callable[[SearchSpace], Supernet]


def _randomise(supernet: Supernet, generator: torch.Generator) -> None:
    """Give every tensor that begins neutral a value that a wrong slice would show."""
    for name, tensor in supernet.state_dict().items():
        if name.endswith(("running_var", "norm.weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "norm.bias")):
            tensor.normal_(0, 0.3, generator=generator)
        elif ".transforms." in name:
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
        elif name.startswith("classifier"):
            tensor.normal_(0, 0.3, generator=generator)


@pytest.fixture
def make_supernet() -> MakeSupernet:
    def make(space: SearchSpace) -> Supernet:
        generator = torch.Generator().manual_seed(0)
        supernet = Supernet(space, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), generator=generator)
        _randomise(supernet, generator)
        return supernet.eval()

    return make
