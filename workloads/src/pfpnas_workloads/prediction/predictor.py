"""The accuracy predictor as it is used: arrays and three matrix products, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pfpnas_api.kinds.common import Digest, Model
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, SearchSpaceError, to_matrix
from pfpnas_workloads.metadata import ContainerError, SpaceRecord, pack, unpack
from pfpnas_workloads.prediction.encoding import Array, Coded, coded, one_hot, width
from pfpnas_workloads.prediction.network import Layer, forward

BLOCK: Final = 2048
"""Architectures coded at once: 200 features of 4 bytes each fit into a core's cache."""


class PredictorError(ValueError):
    """Bytes that are no accuracy predictor; the message says what is wrong."""


class PredictorRecord(Model):
    """The JSON beside the arrays."""

    format: Literal["pfpnas-accuracy-predictor"] = "pfpnas-accuracy-predictor"
    version: Literal[1] = 1
    search_space: SpaceRecord
    checkpoint: Digest
    """Of the supernet whose subnets were evaluated."""
    layers: int


@dataclass(frozen=True)
class AccuracyPredictor:
    """Accuracy on the public validation split, predicted from the architecture alone.

    Attributes:
        space: The search space it knows.
        checkpoint: SHA-256 of the supernet's checkpoint: labels of other weights would be stale.
        layers: A multi-layer perceptron with ReLU between its layers; the last one has a single output.
    """

    space: SearchSpace
    checkpoint: str
    layers: tuple[Layer, ...]

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """Accuracies in [0, 1], `(len(architectures),)`.

        Raises:
            ArchitectureError: One is not of `space`.
        """
        return self.predict_matrix(to_matrix(self.space, architectures))

    def predict_matrix(self, matrix: GeneMatrix) -> NDArray[np.float32]:
        """Accuracies in [0, 1] of the rows of an `(n, genes)` matrix, `(n,)`.

        Raises:
            ArchitectureError: The matrix has other columns than the space has genes, or an index is out of range.
        """
        blocks = (coded(self.space, matrix[start : start + BLOCK]) for start in range(0, len(matrix), BLOCK))
        return np.concatenate([np.empty(0, np.float32), *(self.score(rows) for rows in blocks)])

    def score(self, rows: Coded) -> NDArray[np.float32]:
        """Accuracies in [0, 1] of architectures that are coded already, `(n,)`; so many at once as a cache holds."""
        return np.clip(forward(self.layers, one_hot(self.space, rows)), 0, 1)

    def save(self) -> bytes:
        """A safetensors file; equal predictors give equal bytes."""
        record = PredictorRecord(
            search_space=SpaceRecord.of(self.space), checkpoint=self.checkpoint, layers=len(self.layers)
        )
        arrays = {}
        for index, layer in enumerate(self.layers):
            arrays[f"{index}.weight"], arrays[f"{index}.bias"] = layer.weight, layer.bias
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, pack(record.document()))

    @classmethod
    def load(cls, content: bytes) -> "AccuracyPredictor":
        """The predictor in a file that `save` made.

        Raises:
            PredictorError: Not such a file, of another version, or its arrays don't fit.
        """
        try:
            record = PredictorRecord.model_validate(unpack(content))
            space = record.search_space.space()
            arrays = load(content)
        except (ContainerError, ValidationError, SearchSpaceError, SafetensorError) as e:
            raise PredictorError(f"no accuracy predictor: {e}") from e
        return cls(space, record.checkpoint, _layers(arrays, record.layers, inputs=width(space)))


def _layers(arrays: dict[str, Array], count: int, *, inputs: int) -> tuple[Layer, ...]:
    """The layers by number, checked: each takes what the one before gives."""
    names = {f"{index}.{part}" for index in range(count) for part in ("weight", "bias")}
    if count < 1 or arrays.keys() != names:
        raise PredictorError(f"no accuracy predictor: {count} layers are announced, arrays are {sorted(arrays)[:6]}")
    layers = tuple(Layer(arrays[f"{index}.weight"], arrays[f"{index}.bias"]) for index in range(count))
    sizes = [inputs, *(len(layer.bias) for layer in layers)]
    fits = all(layer.weight.shape == size for layer, size in zip(layers, pairwise(sizes), strict=True))
    finite = all(np.isfinite(array).all() and array.dtype == np.float32 for array in arrays.values())
    if sizes[-1] != 1 or not fits or not finite:
        raise PredictorError(f"no accuracy predictor: arrays of odd shape or value for {inputs} inputs")
    return layers
