"""BatchNorm recalibration: exact, pooled, and the same however the images come."""

import pytest
import torch

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.nets import StaticNet, extract, recalibrate

SPACE = SearchSpace(depths=(1, 2), resolutions=(16, 20))


@pytest.fixture
def static(make_supernet) -> StaticNet:
    return extract(make_supernet(SPACE), SPACE.maximum())


def images(count: int = 150, side: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    # Brightness drifts from image to image, so that the variance between batches is not small.
    return torch.rand(count, 3, side, side, generator=generator) * torch.linspace(0, 1, count)[:, None, None, None]


def statistics(net: StaticNet) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.named_buffers() if "running" in name}


def test_eval_then_gives_what_one_training_batch_of_all_images_gives(static: StaticNet) -> None:
    with torch.no_grad():
        expected = static.train()(images())
    recalibrate(static, [images()])
    assert not static.training
    with torch.no_grad():
        assert torch.allclose(static(images()), expected, atol=1e-4)


def test_the_first_statistics_are_the_pooled_ones(static: StaticNet) -> None:
    recalibrate(static, images().split(7))
    inputs = static.stem.conv(static.preparation(images(), resolution=20)).double()
    assert torch.allclose(static.stem.norm.running_mean.double(), inputs.mean(dim=(0, 2, 3)), atol=1e-6)
    assert torch.allclose(static.stem.norm.running_var.double(), inputs.var(dim=(0, 2, 3), correction=0), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 64, 149])
def test_the_batches_do_not_matter_to_the_bit(static: StaticNet, size: int) -> None:
    recalibrate(static, [images()])
    expected = statistics(static)
    recalibrate(static, images().split(size))
    assert all(torch.equal(tensor, expected[name]) for name, tensor in statistics(static).items())


def test_what_the_statistics_were_does_not_matter(static: StaticNet) -> None:
    recalibrate(static, [images()])
    expected = statistics(static)
    for name, tensor in static.named_buffers():
        if "running" in name:
            tensor.fill_(3.0)
    recalibrate(static, [images()])
    assert all(torch.equal(tensor, expected[name]) for name, tensor in statistics(static).items())


def test_learned_tensors_stay(static: StaticNet) -> None:
    before = [parameter.clone() for parameter in static.parameters()]
    recalibrate(static, [images(8)])
    assert all(torch.equal(a, b) for a, b in zip(before, static.parameters(), strict=True))


def test_images_of_another_size_are_resized(static: StaticNet) -> None:
    recalibrate(static, [images(8, side=32)])
    assert all(torch.isfinite(tensor).all() for tensor in statistics(static).values())


def test_a_single_image_is_enough(static: StaticNet) -> None:
    recalibrate(static, [images(1) + 0.5])
    with torch.no_grad():
        assert torch.isfinite(static(images(2))).all()


@pytest.mark.parametrize("batches", [[], [torch.zeros(0, 3, 20, 20)]])
def test_no_images_are_refused(static: StaticNet, batches: list[torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        recalibrate(static, batches)
