"""The supernet: architectures as arguments, input preparation, initial weights."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from pfpnas_api.spaces import ArchitectureError, SearchSpace
from pfpnas_workloads.nets import StaticNet, Supernet
from pfpnas_workloads.nets.common import resize

SPACE = SearchSpace()


def images(count: int = 2, side: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def make(**options: object) -> Supernet:
    return Supernet(SPACE, generator=torch.Generator().manual_seed(0), **options)


def test_the_shapes_are_as_promised() -> None:
    net, architecture = make().eval(), SPACE.minimum()
    assert net(images(), architecture).shape == (2, 10)
    assert net.features(images(), architecture).shape == (2, SPACE.feature_channels)


def test_a_pass_leaves_no_trace_of_its_architecture() -> None:
    net = make().eval()
    before = net(images(), SPACE.minimum())
    net(images(), SPACE.maximum())
    assert torch.equal(net(images(), SPACE.minimum()), before)


def test_foreign_architectures_are_refused() -> None:
    foreign = SearchSpace(resolutions=(32,)).maximum()
    with pytest.raises(ArchitectureError):
        make()(images(), foreign)


def test_the_same_generator_gives_the_same_weights_and_spares_the_global_one() -> None:
    state = torch.get_rng_state()
    first, second = make().state_dict(), make().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_resizing_is_pillows_bilinear() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).resize((20, 20), Image.Resampling.BILINEAR))
    own = resize(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255, 20)[0].permute(1, 2, 0)
    assert np.abs(own.numpy() * 255 - expected).max() <= 1.0


def test_an_image_of_the_right_size_is_not_touched() -> None:
    x = images(side=16)
    assert resize(x, 16) is x


def test_normalisation_is_inside() -> None:
    architecture = SPACE.maximum()
    neutral = make(mean=(0, 0, 0), std=(1, 1, 1)).eval()
    own = make(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)).eval()
    x = images()
    by_hand = (x - torch.tensor([0.4, 0.5, 0.6])[:, None, None]) / torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    assert torch.allclose(own(x, architecture), neutral(by_hand, architecture), atol=1e-6)


def test_channels_last_gives_the_same() -> None:
    net = make().eval()
    expected = net(images(), SPACE.maximum())
    net = copy.deepcopy(net).to(memory_format=torch.channels_last)
    own = net(images().to(memory_format=torch.channels_last), SPACE.maximum())
    assert torch.allclose(own, expected, atol=1e-5)


def test_only_weights_decay() -> None:
    net = make()
    decayed, kept = net.parameter_groups(1e-4)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (1e-4, 0.0)
    assert all("norm" not in names[id(p)] and "transforms" not in names[id(p)] for p in decayed["params"])
    assert all(p.ndim > 1 for p in decayed["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_a_training_step_leaves_inactive_blocks_alone() -> None:
    net = make().train()
    net(images(4), SPACE.minimum()).sum().backward()
    assert all(parameter.grad is None for parameter in net.stages[1][1].parameters())
    assert all(parameter.grad is not None for parameter in net.stages[1][0].project_conv.parameters())


def test_signals_neither_vanish_nor_explode_in_an_untrained_net() -> None:
    space = SearchSpace(depths=(1, 2, 3, 4), resolutions=(32,))
    net = StaticNet(space, space.maximum(), generator=torch.Generator().manual_seed(0)).train()
    assert 0.1 < net.features(images(16, 32)).std() < 10
