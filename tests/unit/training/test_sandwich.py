"""One sandwich step: which nets, which gradients, what the smaller ones learn from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.training.sandwich import choose_subnets, sandwich

SPACE = SearchSpace(width_multiplier=0.1, expand_ratios=(1, 2), depths=(1, 2), resolutions=(16, 20), classes=4)


def make_net() -> Supernet:
    return Supernet(SPACE, generator=torch.Generator().manual_seed(0)).train()


def some_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(8, 3, 20, 20, generator=generator), torch.arange(8) % 4


def gradients(net: Supernet) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def run(net: Supernet, *, distil: bool = True, subnets: int = 2, smoothing: float = 0.1) -> float:
    images, labels = some_batch()
    chosen = choose_subnets(SPACE, np.random.default_rng(0), random=subnets - 1) if subnets else []
    loss = sandwich(
        net, images, labels, subnets=chosen, label_smoothing=smoothing, distil=distil, backward=Tensor.backward
    )
    return float(loss)


def test_the_smallest_net_is_always_chosen_and_the_others_are_drawn() -> None:
    first, second = (choose_subnets(SPACE, np.random.default_rng(seed), random=3) for seed in (0, 1))
    assert first[0] == second[0] == SPACE.minimum()
    assert len(first) == 4
    assert first[1:] != second[1:]


def test_random_nets_have_resolutions_of_their_own() -> None:
    chosen = choose_subnets(SPACE, np.random.default_rng(0), random=8)
    assert {architecture.resolution for architecture in chosen} == {16, 20}


def test_without_subnets_it_is_an_ordinary_step_of_the_largest_net() -> None:
    net, plain = make_net(), make_net()
    run(net, subnets=0)
    images, labels = some_batch()
    F.cross_entropy(plain(images, SPACE.maximum()), labels, label_smoothing=0.1).backward()
    expected = gradients(plain)
    assert gradients(net).keys() == expected.keys()
    assert all(torch.allclose(found, expected[name]) for name, found in gradients(net).items())


def test_gradients_are_the_mean_over_all_nets() -> None:
    """The classifier's bias: its gradient is a mean over images of probability differences."""
    net = make_net()
    run(net, distil=False, smoothing=0.0)
    images, labels = some_batch()
    reference = make_net()
    subnets = choose_subnets(SPACE, np.random.default_rng(0), random=1)
    nets = [SPACE.maximum(), *subnets]
    losses = torch.stack([F.cross_entropy(reference(images, architecture), labels) for architecture in nets])
    losses.mean().backward()
    expected = gradients(reference)
    for name, found in gradients(net).items():
        assert torch.allclose(found, expected[name], atol=1e-6), name


def test_distilled_nets_do_not_see_the_labels() -> None:
    """With a share of zero for the largest net only the teacher's predictions are left in the gradient."""
    images, labels = some_batch()

    def subnet_gradient(truth: Tensor) -> Tensor:
        net, seen = make_net(), []
        subnets = [SPACE.minimum()]
        sandwich(
            net, images, truth, subnets=subnets, label_smoothing=0.0, distil=True,
            backward=seen.append,
        )  # fmt: skip
        seen[1].backward()
        return gradients(net)["classifier.bias"]

    assert torch.equal(subnet_gradient(labels), subnet_gradient(labels.flip(0)))


def test_the_teacher_learns_nothing_from_its_pupils() -> None:
    net, seen = make_net(), []
    images, labels = some_batch()
    sandwich(
        net, images, labels, subnets=[SPACE.minimum()], label_smoothing=0.0, distil=True, backward=seen.append
    )  # fmt: skip
    seen[1].backward()
    reached = gradients(net)
    deepest = [name for name in reached if name.startswith("stages.1.1.")]
    assert deepest == []  # the second block of a stage is in the largest net only


@pytest.mark.parametrize("distil", [True, False])
def test_repeated_steps_lower_the_loss(distil: bool) -> None:
    net = make_net()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        losses.append(run(net, distil=distil))
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]
