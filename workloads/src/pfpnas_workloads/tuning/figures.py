"""Which of a log's figures can be measurements. Others are taken as not measured: a log is replayed at every start, so
one that stopped the tuner would stop it for good."""

from collections.abc import Iterable
from typing import Final

SHORTEST_MS: Final = 1e-6
LONGEST_MS: Final = 1e9
"""A nanosecond, and eleven days: what lies between has quotients and logarithms to reckon with."""

LARGEST_RATIO: Final = 1e12
"""Of a metric to its limit; its inverse is the smallest."""


def milliseconds_or_none(value: float | None) -> float | None:
    """A time that a device can have taken."""
    return value if value is not None and SHORTEST_MS <= value <= LONGEST_MS else None


def fraction_or_none(value: float | None) -> float | None:
    """An accuracy."""
    return value if value is not None and 0 <= value <= 1 else None


def plausible_ratios(ratios: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The shares of limits, by metric, that have a logarithm."""
    return {metric: ratio for metric, ratio in ratios if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO}


def excess(violation: float | None) -> float:
    """A violation; none, or one below zero, is no violation."""
    return max(violation or 0.0, 0.0)
