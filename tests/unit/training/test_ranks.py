"""What several workers share, and what their launcher says of them."""

import pytest
import torch

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_RETRY
from pfpnas_api.kinds.supernet import SupernetSpec
from pfpnas_workloads.data.augment import augment, stream
from pfpnas_workloads.torchrun import EXIT_FAILED, worst
from pfpnas_workloads.training.ranks import Ranks
from pfpnas_workloads.training.resume import _fingerprint
from support.tiny_supernet import tiny_spec


@pytest.mark.parametrize(("total", "world"), [(15, 2), (16, 3), (7, 7), (256, 5)])
def test_shares_are_the_whole_batch_once_and_differ_by_one_at_most(total: int, world: int) -> None:
    shares = [range(total)[Ranks(rank=rank, world=world).share(total)] for rank in range(world)]
    assert [image for share in shares for image in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_alone_takes_all_and_leads() -> None:
    assert Ranks().share(9) == slice(0, 9)
    assert Ranks().leading


def test_what_becomes_of_an_image_does_not_depend_on_how_many_share_the_batch() -> None:
    images = torch.arange(10 * 3 * 16 * 16).remainder(251).to(torch.uint8).reshape(10, 3, 16, 16)
    whole = augment(images, stream(0, 1), mirror=True)
    shares = [Ranks(rank=rank, world=3).share(10) for rank in range(3)]
    parts = [augment(images[share], stream(0, 1), mirror=True, batch=10, share=share) for share in shares]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([EXIT_RETRY], EXIT_RETRY),
        ([EXIT_RETRY, EXIT_RETRY], EXIT_RETRY),
        ([EXIT_RETRY, EXIT_BAD_INPUT], EXIT_BAD_INPUT),
        ([1, EXIT_BAD_INPUT], EXIT_BAD_INPUT),
        ([-9, EXIT_RETRY], EXIT_FAILED),
        ([-15], EXIT_FAILED),
        ([3], EXIT_FAILED),
    ],
)
def test_the_exit_code_that_says_most(codes: list[int], expected: int) -> None:
    assert worst(codes) == expected


def changed(**fields: object) -> SupernetSpec:
    return tiny_spec().model_copy(update=fields)


def test_a_training_goes_on_where_it_runs_elsewhere_or_is_shared_by_others() -> None:
    kept = _fingerprint(tiny_spec())
    assert _fingerprint(tiny_spec(training={"workers": 4, "checkpointEvery": 7})) == kept
    assert _fingerprint(changed(queue_name="team-a", deletion_policy="Retain", suspend=True)) == kept
    assert _fingerprint(tiny_spec(predictor={"samples": 30})) == kept


@pytest.mark.parametrize("training", [{"batchSize": 8}, {"seed": 3}, {"learningRate": "0.2"}, {"epochs": 3}])
def test_another_training_begins_anew(training: dict[str, object]) -> None:
    assert _fingerprint(tiny_spec(training=training)) != _fingerprint(tiny_spec())
