"""Elastic layers: each forward pass uses, and trains, exactly the slice it is told to."""

import pytest
import torch
import torch.nn.functional as F

from pfpnas_workloads.nets.elastic import ElasticBatchNorm, ElasticBlock, ElasticDepthwise, ElasticPointwise


def make_depthwise(*, kernel_sizes: tuple[int, ...] = (3, 5, 7), channels: int = 4) -> ElasticDepthwise:
    layer = ElasticDepthwise(channels, kernel_sizes=kernel_sizes, stride=1)
    torch.nn.init.normal_(layer.weight)
    return layer


def test_a_new_smaller_kernel_is_the_centre_of_the_largest() -> None:
    layer = make_depthwise()
    assert torch.equal(layer.kernel(7, channels=4), layer.weight)
    assert torch.allclose(layer.kernel(5, channels=4), layer.weight[:, :, 1:6, 1:6])
    assert torch.allclose(layer.kernel(3, channels=4), layer.weight[:, :, 2:5, 2:5])


def test_kernel_matrices_are_25x25_and_9x9_and_begin_as_identity() -> None:
    transforms = dict(make_depthwise().transforms.items())
    assert set(transforms) == {"7to5", "5to3"}
    assert torch.equal(transforms["7to5"], torch.eye(25))
    assert torch.equal(transforms["5to3"], torch.eye(9))


def test_the_smallest_kernel_goes_through_both_matrices() -> None:
    layer = make_depthwise()
    for matrix in layer.transforms.values():
        torch.nn.init.normal_(matrix)
    centre = layer.weight[:, 0, 1:6, 1:6].reshape(4, 25)
    middle = (centre @ layer.transforms["7to5"].T).reshape(4, 5, 5)
    expected = middle[:, 1:4, 1:4].reshape(4, 9) @ layer.transforms["5to3"].T
    assert torch.allclose(layer.kernel(3, channels=4).flatten(1), expected, atol=1e-5)


def test_kernels_without_a_middle_size_need_one_matrix() -> None:
    layer = make_depthwise(kernel_sizes=(3, 7))
    assert list(layer.transforms) == ["7to3"]
    assert layer.kernel(3, channels=4).shape == (4, 1, 3, 3)


def test_a_fixed_kernel_has_no_matrices() -> None:
    assert len(make_depthwise(kernel_sizes=(5,)).transforms) == 0


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_depthwise_convolves_the_first_channels(kernel: int) -> None:
    layer, x = make_depthwise(), torch.randn(2, 3, 9, 9)
    expected = F.conv2d(x, layer.weight[:3, :, :, :][..., *crop(kernel)], padding=kernel // 2, groups=3)
    assert torch.allclose(layer(x, kernel=kernel), expected, atol=1e-5)


def crop(kernel: int) -> tuple[slice, slice]:
    start = (7 - kernel) // 2
    return slice(start, start + kernel), slice(start, start + kernel)


def test_pointwise_uses_the_first_channels_of_both_sides() -> None:
    layer = ElasticPointwise(6, 8)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(layer(x, out_channels=5), F.conv2d(x, layer.weight[:5, :4]), atol=1e-6)


def test_batchnorm_updates_only_the_active_statistics() -> None:
    layer = ElasticBatchNorm(6).train()
    layer(torch.randn(8, 4, 5, 5) + 3)
    assert (layer.running_mean[:4] > 0.2).all()
    assert torch.equal(layer.running_mean[4:], torch.zeros(2))
    assert torch.equal(layer.running_var[4:], torch.ones(2))


def test_gradients_reach_only_the_active_slices() -> None:
    block = ElasticBlock((4, 6), max_mid_channels=24, kernel_sizes=(3, 5), stride=1, has_expansion=True)
    for parameter in block.parameters():
        if parameter.ndim == 4:
            torch.nn.init.normal_(parameter)
    block(torch.randn(2, 4, 8, 8), mid_channels=8, kernel=5).square().sum().backward()
    assert block.depthwise_conv.transforms["5to3"].grad is None
    for weight in (block.expand_conv.weight, block.depthwise_conv.weight, block.expand_norm.weight):
        assert weight.grad[:8].abs().sum() > 0
        assert weight.grad[8:].abs().sum() == 0
    assert block.project_conv.weight.grad[:, :8].abs().sum() > 0
    assert block.project_conv.weight.grad[:, 8:].abs().sum() == 0


def test_a_smaller_kernel_trains_its_matrix_and_not_the_rim() -> None:
    layer = make_depthwise(kernel_sizes=(3, 5))
    layer(torch.randn(2, 4, 8, 8), kernel=3).square().sum().backward()
    assert layer.transforms["5to3"].grad.abs().sum() > 0
    assert layer.weight.grad[:, :, 0].abs().sum() == 0
    assert layer.weight.grad[:, :, 1:4, 1:4].abs().sum() > 0


@pytest.mark.parametrize(
    ("channels", "stride", "residual"), [((8, 8), 1, True), ((8, 8), 2, False), ((8, 16), 1, False)]
)
def test_a_block_adds_its_input_only_if_shapes_agree(channels: tuple[int, int], stride: int, residual: bool) -> None:
    block = ElasticBlock(channels, max_mid_channels=16, kernel_sizes=(3,), stride=stride, has_expansion=True)
    assert block.residual == residual
