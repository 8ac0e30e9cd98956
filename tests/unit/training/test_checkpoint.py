"""Checkpoints and calibration images: they give back what went in, and refuse anything else."""

import json

import pytest
import torch
from safetensors.torch import load, save

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.metadata import pack, unpack
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.training import (
    CheckpointError,
    load_calibration,
    load_supernet,
    save_calibration,
    save_supernet,
)

SPACE = SearchSpace(width_multiplier=0.1, expand_ratios=(1, 2), depths=(1, 2), resolutions=(16,), classes=7)


def make_net() -> Supernet:
    generator = torch.Generator().manual_seed(0)
    return Supernet(SPACE, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), generator=generator)


def test_a_checkpoint_gives_back_the_net_and_needs_nothing_else() -> None:
    net = make_net().eval()
    again = load_supernet(save_supernet(net))
    assert again.space == SPACE
    assert again.preparation.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(again(images, SPACE.maximum()), net(images, SPACE.maximum()))


def test_equal_nets_have_equal_bytes() -> None:
    assert save_supernet(make_net()) == save_supernet(make_net())


def rewritten(content: bytes, **changes: object) -> bytes:
    return save(load(content), metadata=pack(unpack(content) | changes))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-8],
        lambda content: b"\xff" * 64,
        lambda content: save(load(content)),
        lambda content: rewritten(content, version=2),
        lambda content: rewritten(content, format="other"),
        lambda content: rewritten(content, unknown=1),
        lambda content: rewritten(content, searchSpace={"backbone": "MobileNetV2"}),
    ],
)
def test_anything_else_is_refused(damage) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_supernet(damage(save_supernet(make_net())))


def test_an_impossible_search_space_is_refused() -> None:
    content = save_supernet(make_net())
    space = unpack(content)["searchSpace"] | {"kernelSizes": [4]}
    with pytest.raises(CheckpointError, match="kernelSizes"):
        load_supernet(rewritten(content, searchSpace=space))


def change_tensor(content: bytes, name: str, tensor: torch.Tensor | None) -> bytes:
    tensors = load(content)
    del tensors[name]
    return save(tensors | ({} if tensor is None else {name: tensor}), metadata=pack(unpack(content)))


@pytest.mark.parametrize(
    "tensor",
    [None, torch.zeros(3), torch.zeros(7, dtype=torch.float64), torch.full((7,), torch.nan)],
    ids=["missing", "shape", "type", "not-a-number"],
)
def test_tensors_that_do_not_fit_are_named(tensor: torch.Tensor | None) -> None:
    with pytest.raises(CheckpointError, match=r"classifier\.bias"):
        load_supernet(change_tensor(save_supernet(make_net()), "classifier.bias", tensor))


def test_calibration_images_come_back() -> None:
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(load_calibration(save_calibration(images)), images)


@pytest.mark.parametrize(
    "tensors",
    [{"other": torch.zeros(1)}, {"images": torch.zeros(2, 3, 8, 8)}, {"images": torch.zeros(0, 3, 8, 8).byte()}],
)
def test_other_tensors_are_no_calibration_images(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match="calibration"):
        load_calibration(save(tensors))


def test_metadata_is_json_that_anyone_can_read() -> None:
    content = save_supernet(make_net())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert json.loads(header["__metadata__"]["pfpnas"])["searchSpace"]["classes"] == 7
