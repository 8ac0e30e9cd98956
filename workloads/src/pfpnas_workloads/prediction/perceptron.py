"""Fitting the accuracy predictor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import Tensor, nn

from pfpnas_api.spaces import Architecture, SearchSpace
from pfpnas_workloads.prediction.encoding import encode, width
from pfpnas_workloads.prediction.network import HIDDEN, Layer
from pfpnas_workloads.prediction.predictor import AccuracyPredictor

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4
STEPS, BATCH = 1200, 128

HELD_OUT = 0.2
"""Share of the samples on which the predictor is judged, never fitted."""

Accuracies = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """How good a predictor is on subnets it was not fitted to; errors as fractions of 1."""

    kendall_tau: float
    mean_absolute_error: float
    constant_mean_absolute_error: float
    """Of a predictor that always says the mean of the samples it was fitted to."""


def fit_and_judge(
    space: SearchSpace, architectures: Sequence[Architecture], accuracies: Accuracies, *, checkpoint: str, seed: int
) -> tuple[AccuracyPredictor, Quality]:
    """Fit to four fifths of the samples, and judge on the others.

    Args:
        space: The search space.
        architectures: The evaluated subnets, all different; the first two (smallest and largest) are always fitted.
        accuracies: Theirs, `(n,)`.
        checkpoint: SHA-256 of the supernet's checkpoint.
        seed: Of split, initial weights and batches.
    """
    order = 2 + np.random.default_rng(seed).permutation(len(architectures) - 2)
    count = max(2, round(len(architectures) * HELD_OUT))
    held, fitted = order[:count], np.concatenate([[0, 1], order[count:]])
    predictor = fit(space, [architectures[i] for i in fitted], accuracies[fitted], checkpoint=checkpoint, seed=seed)
    guesses = predictor.predict([architectures[i] for i in held]).astype(np.float64)
    return predictor, judge(guesses, accuracies[held], constant=float(accuracies[fitted].mean()))


def judge(guesses: Accuracies, truth: Accuracies, *, constant: float) -> Quality:
    """Compare guesses with the truth, both `(n,)`; Kendall's tau is 0 where either has no order."""
    tau = float(kendalltau(guesses, truth).statistic)
    return Quality(
        kendall_tau=0.0 if np.isnan(tau) else tau,
        mean_absolute_error=float(np.abs(guesses - truth).mean()),
        constant_mean_absolute_error=float(np.abs(constant - truth).mean()),
    )


def fit(
    space: SearchSpace, architectures: Sequence[Architecture], accuracies: Accuracies, *, checkpoint: str, seed: int
) -> AccuracyPredictor:
    """Fit a multi-layer perceptron (Cai et al., "Once-for-All", ICLR 2020, appendix B) to all the samples given."""
    with _one_thread():
        net = _fitted(space, architectures, accuracies, generator=torch.Generator().manual_seed(seed))
    return AccuracyPredictor(space, checkpoint, _exported(net))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Thousands of tiny products: on a busy machine threads that wait for each other cost 25 times the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fitted(
    space: SearchSpace, architectures: Sequence[Architecture], accuracies: Accuracies, *, generator: torch.Generator
) -> nn.Sequential:
    codes = torch.from_numpy(encode(space, architectures))  # (n, width)
    truth = torch.from_numpy(accuracies).float()
    net = _perceptron(width(space), bias=float(truth.mean()), generator=generator)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(truth), (min(BATCH, len(truth)),), generator=generator)
        loss = F.mse_loss(net(codes[chosen])[:, 0], truth[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        optimiser.step()
        schedule.step()
    return net


def _perceptron(inputs: int, *, bias: float, generator: torch.Generator) -> nn.Sequential:
    """Linear layers with ReLU between them, whose output begins at about `bias`."""
    sizes = (inputs, *HIDDEN)
    layers: list[nn.Module] = []
    for size, units in zip(sizes, HIDDEN, strict=False):
        layers += [_linear(size, units, generator=generator), nn.ReLU()]
    last = _linear(sizes[-1], 1, generator=generator)
    nn.init.constant_(last.bias, bias)  # or the net spends its samples on finding the mean
    return nn.Sequential(*layers, last)


def _linear(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5 if outputs > 1 else 0.01, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _exported(net: nn.Sequential) -> tuple[Layer, ...]:
    layers = [module for module in net if isinstance(module, nn.Linear)]
    return tuple(Layer(_array(layer.weight.T), _array(layer.bias)) for layer in layers)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy().copy()
    return array
