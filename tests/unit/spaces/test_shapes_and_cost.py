"""Blocks and costs of architectures, against torchvision's MobileNetV2 and numbers from the papers' tables."""

import itertools

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from pfpnas_api.spaces import SearchSpace, cost, cost_breakdown, make_divisible

IMAGENET = SearchSpace(
    width_multiplier=1.0, kernel_sizes=(3,), expand_ratios=(6,), depths=(2, 3, 4), resolutions=(224,), classes=1000
)
MOBILENET_V2 = "r224-" + "-".join(".".join(["k3e6"] * depth) for depth in (2, 3, 4, 3, 3, 1))


def conv_and_linear_macs(net: torch.nn.Module, resolution: int) -> int:
    """Multiply-accumulates of one forward pass, counted by hooks."""
    counts: list[int] = []

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        counts.append(output[0].numel() * weight[0].numel())

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, resolution, resolution))
    return sum(counts)


def test_the_table_holds_torchvisions_mobilenet_v2() -> None:
    reference = mobilenet_v2(weights=None)
    own = cost(IMAGENET, IMAGENET.parse(MOBILENET_V2))
    assert own.parameters == sum(p.numel() for p in reference.parameters()) == 3_504_872
    assert own.macs == conv_and_linear_macs(reference, 224) == 300_774_272
    assert own.flops == 2 * own.macs


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        ("MobileNetV2", [32, 16, 24, 32, 64, 96, 160, 320]),
        ("ProxylessNAS", [32, 16, 24, 40, 80, 96, 192, 320]),
    ],
)
def test_channels_are_the_papers(backbone: str, channels: list[int]) -> None:
    space = SearchSpace(backbone=backbone, width_multiplier=1.0, depths=(1,), resolutions=(224,))
    blocks = space.blocks(space.minimum())
    assert [blocks[0].in_channels, *(block.out_channels for block in blocks)] == channels
    assert space.feature_channels == 1280


@pytest.mark.parametrize(("width", "features"), [(0.25, 320), (0.5, 640), (1.0, 1280), (2.0, 2560)])
def test_the_feature_vector_scales_with_the_width(width: float, features: int) -> None:
    assert SearchSpace(width_multiplier=width).feature_channels == features


@pytest.mark.parametrize(("resolution", "side"), [(16, 2), (24, 3), (32, 4), (20, 3), (224, 7), (96, 3)])
def test_the_layout_decides_where_an_image_ends(resolution: int, side: int) -> None:
    space = SearchSpace(resolutions=(resolution,))
    assert space.blocks(space.minimum())[-1].out_height == side


def test_only_the_first_block_of_a_stage_strides() -> None:
    space = SearchSpace(depths=(3,), resolutions=(32,))
    blocks = space.blocks(space.maximum())
    assert [b.stride for b in blocks] == [1, *[1, 1, 1], *[2, 1, 1], *[2, 1, 1], *[1, 1, 1], *[2, 1, 1], 1]
    assert all(b.height == a.out_height for a, b in itertools.pairwise(blocks))
    assert all(b.in_channels == a.out_channels for a, b in itertools.pairwise(blocks))


def test_only_the_fixed_block_has_no_expansion() -> None:
    space = SearchSpace(expand_ratios=(1, 2))
    first, *others = space.blocks(space.minimum())
    assert (first.stage, first.expand, first.has_expansion) == (-1, 1, False)
    assert all(block.has_expansion and block.expand == 1 for block in others)


def test_the_breakdown_adds_up() -> None:
    space, rng = SearchSpace(), np.random.default_rng(0)
    for _ in range(20):
        architecture = space.sample(rng)
        rows, total = cost_breakdown(space, architecture), cost(space, architecture)
        assert sum(row.macs for row in rows) == total.macs
        assert sum(row.parameters for row in rows) == total.parameters
        assert len(rows) == sum(architecture.depths) + 4


@pytest.mark.parametrize("backbone", ["MobileNetV2", "ProxylessNAS"])
def test_the_extremes_bound_every_cost(backbone: str) -> None:
    space, rng = SearchSpace(backbone=backbone), np.random.default_rng(0)
    low, high = cost(space, space.minimum()), cost(space, space.maximum())
    for own in (cost(space, space.sample(rng)) for _ in range(50)):
        assert low.macs <= own.macs <= high.macs
        assert low.parameters <= own.parameters <= high.parameters
        assert low.model_bytes <= own.model_bytes <= high.model_bytes


@pytest.mark.parametrize(("channels", "rounded"), [(1, 8), (8, 8), (11, 16), (12, 16), (20, 24), (33.6, 32), (19, 24)])
def test_channels_round_to_multiples_of_8_but_never_down_by_more_than_a_tenth(channels: float, rounded: int) -> None:
    assert make_divisible(channels) == rounded
    assert rounded >= 0.9 * channels
