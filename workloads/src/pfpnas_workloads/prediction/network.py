"""A multi-layer perceptron in numpy: as it is asked, whoever fitted it, and as it is fitted to few labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Final

import numpy as np

from pfpnas_workloads.prediction.encoding import Array

HIDDEN: Final = (400, 400, 400)
"""Units of the hidden layers, as in once-for-all's accuracy predictor."""

COLUMNS: Final = 512
"""Inputs that go through all layers at once: two layers' activations and a weight stay in a core's cache of 2 MiB."""

STEPS, BATCH = 40, 256
"""Of a private fit, which learns what an affine map leaves: more steps only fit noise (40 and 400 err alike)."""

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of Adam (Kingma and Ba, ICLR 2015), its authors' values."""


@dataclass(frozen=True)
class Layer:
    """A linear layer: weight `(inputs, outputs)`, bias `(outputs,)`."""

    weight: Array
    bias: Array


def forward(layers: Sequence[Layer], x: Array) -> Array:
    """The single output for n inputs `(inputs, n)`, ReLU between the layers, `(n,)`."""
    output = np.empty(x.shape[1], np.float32)
    for start in range(0, x.shape[1], COLUMNS):
        columns = slice(start, start + COLUMNS)
        output[columns] = _forward(layers, x[:, columns])
    return output


def _forward(layers: Sequence[Layer], x: Array) -> Array:
    for layer in layers[:-1]:
        x = layer.weight.T @ x  # (outputs, n)
        x += layer.bias[:, None]
        np.maximum(x, 0, out=x)
    output: Array = (layers[-1].weight.T @ x)[0] + layers[-1].bias[0]
    return output


def train(x: Array, y: Array, *, rng: np.random.Generator) -> tuple[Layer, ...]:
    """Fit the layers to labels `y (n,)` of inputs `x (inputs, n)` by Adam on the squared error.

    The output begins at the labels' mean, or the net spends its steps on finding it.
    """
    layers = _initial(len(x), bias=float(y.mean()), rng=rng)
    parameters = [array for layer in layers for array in (layer.weight, layer.bias)]
    optimiser = _Adam(parameters)
    for step in range(STEPS):
        chosen = rng.choice(len(y), BATCH, replace=False) if len(y) > BATCH else slice(None)
        rate = LEARNING_RATE * (1 + cos(pi * step / STEPS)) / 2
        optimiser.step(_gradients(layers, x[:, chosen], y[chosen]), rate=rate)
    return layers


def _initial(inputs: int, *, bias: float, rng: np.random.Generator) -> tuple[Layer, ...]:
    sizes = (inputs, *HIDDEN)
    deviations = [(2 / size) ** 0.5 for size in sizes[:-1]]
    layers = [
        Layer(_normal((a, b), deviation, rng=rng), np.zeros(b, np.float32))
        for a, b, deviation in zip(sizes, HIDDEN, deviations, strict=False)
    ]
    return (*layers, Layer(_normal((sizes[-1], 1), 0.01, rng=rng), np.full(1, bias, np.float32)))


def _normal(shape: tuple[int, int], deviation: float, *, rng: np.random.Generator) -> Array:
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def _gradients(layers: Sequence[Layer], x: Array, y: Array) -> list[Array]:
    """Of half the mean squared error by each layer's weight and bias, in order."""
    inputs = [x]
    for layer in layers[:-1]:
        inputs.append(np.maximum(layer.weight.T @ inputs[-1] + layer.bias[:, None], 0))
    last = layers[-1]
    slope = ((last.weight.T @ inputs[-1]) + last.bias[:, None] - y) / np.float32(len(y))  # (1, n)
    found: list[Array] = []
    for layer, given in zip(reversed(layers), reversed(inputs), strict=True):
        found[:0] = [given @ slope.T, slope.sum(axis=1)]
        slope = (layer.weight @ slope) * (given > 0)
    return found


class _Adam:
    """Adam with weight decay in the gradient; changes the parameters in place."""

    def __init__(self, parameters: Sequence[Array]) -> None:
        self._parameters = parameters
        self._means = [np.zeros_like(parameter) for parameter in parameters]
        self._squares = [np.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    def step(self, gradients: Sequence[Array], *, rate: float) -> None:
        self._steps += 1
        first, second = BETAS
        corrected = np.float32(rate * (1 - second**self._steps) ** 0.5 / (1 - first**self._steps))
        rows = zip(self._parameters, gradients, self._means, self._squares, strict=True)
        for parameter, gradient, mean, square in rows:
            decayed = gradient + np.float32(WEIGHT_DECAY) * parameter
            _approach(mean, decayed, share=1 - first)
            _approach(square, np.square(decayed), share=1 - second)
            parameter[...] -= corrected * mean / (np.sqrt(square) + np.float32(EPSILON))


def _approach(average: Array, value: Array, *, share: float) -> None:
    average += np.float32(share) * (value - average)
