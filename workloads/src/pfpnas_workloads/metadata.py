"""The JSON that a safetensors file carries beside its tensors; read without torch."""

import json
from dataclasses import asdict
from typing import Any, Self

from pfpnas_api.kinds.common import Model
from pfpnas_api.spaces import SearchSpace

KEY = "pfpnas"
"""The one entry of the file's metadata: a JSON document."""

LONGEST_HEADER = 64 * 1024**2


class ContainerError(ValueError):
    """Bytes that are no safetensors file of ours; the message says what is wrong."""


class SpaceRecord(Model):
    """The fields of a `SearchSpace`, as checkpoints and predictors carry them."""

    backbone: str
    width_multiplier: float
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    depths: tuple[int, ...]
    resolutions: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, space: SearchSpace) -> Self:
        """The record of `space`."""
        return cls(**asdict(space))

    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            SearchSpaceError: Some value is out of bounds.
        """
        return SearchSpace(**self.model_dump())


def pack(document: dict[str, Any]) -> dict[str, str]:
    """The metadata argument of safetensors' `save`."""
    return {KEY: json.dumps(document, sort_keys=True)}


def unpack(content: bytes) -> dict[str, Any]:
    """The document in a safetensors file's header: 8 bytes of length, then JSON.

    Raises:
        ContainerError: No such file, or no document in it.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, LONGEST_HEADER):
        raise ContainerError("no safetensors file, or a truncated one")
    try:
        document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ContainerError("a safetensors file without the metadata of PFP-NAS") from e
    if not isinstance(document, dict):
        raise ContainerError("the metadata of PFP-NAS is no JSON object")
    return document
