"""What every backend can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Inputs = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Measured:
    """The timed runs in milliseconds, and what came with them."""

    candidate: list[float]
    reference: list[float]
    throughput: float | None = None
    """Images per second at batch 32."""
    peak_memory_bytes: int | None = None
    energy_millijoules: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds spent in warm-up and in timed runs."""


class Backend(ABC):
    """A candidate on one kind of hardware."""

    size: tuple[int, int]
    """(height, width) of its input."""

    @abstractmethod
    def measure(self, reference: Path | None) -> Measured:
        """Time the candidate, and the reference model beside it.

        Raises:
            Refused: it can't be run.
        """

    @abstractmethod
    def outputs(self, name: str, batches: Iterator[Inputs], *, samples: int) -> Inputs:
        """The output of that name, `(samples, d)`, for batches `(b, 3, h, w)` of `samples` images in all.

        Raises:
            Refused: it can't be run, or what it puts out isn't finite or of another shape.
        """


def noise(shape: tuple[int, ...]) -> Inputs:
    """Uniform noise in [0, 1), always the same: latency is measured without private data."""
    return np.random.default_rng(0).random(shape, dtype=np.float32)
