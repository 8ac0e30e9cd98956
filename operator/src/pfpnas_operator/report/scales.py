"""From values to places in a drawing, and the ticks between."""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis.

    Attributes:
        low, high: The values at both ends.
        start, end: Their places in the drawing; `start` may be the larger (upward axes).
        logarithmic: Equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, wanted: int = 6) -> tuple[float, ...]:
        """Round values within the axis, about as many as wanted."""
        found = _log_ticks(self.low, self.high) if self.logarithmic else _linear_ticks(self.low, self.high, wanted)
        return tuple(found)


def scale_for(
    values: list[float], places: tuple[float, float], *, padding: float = 0.06, floor: float | None = None
) -> Scale:
    """A linear axis around values, with room at both ends; `floor` is a value that it doesn't pass below."""
    low, high = min(values), max(values)
    room = (high - low) * padding or abs(high) * 0.05 or 1.0
    low = low - room if floor is None else max(floor, low - room)
    return Scale(low, high + room, places[0], places[1])


def latency_scale(values: list[float], places: tuple[float, float]) -> Scale:
    """An axis for latencies: logarithmic where the slowest takes more than eight times the fastest."""
    if max(values) > 8 * min(values):
        return Scale(min(values) / 1.2, max(values) * 1.2, places[0], places[1], logarithmic=True)
    return scale_for(values, places, floor=0.0)


def _linear_ticks(low: float, high: float, wanted: int) -> Iterator[float]:
    raw = (high - low) / wanted
    magnitude = 10 ** math.floor(math.log10(raw))
    step = magnitude * next(nice for nice in (1, 2, 5, 10) if raw <= nice * magnitude)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield round(number * step, 12)


def _log_ticks(low: float, high: float) -> Iterator[float]:
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in (1, 2, 5):
            value = digit * 10.0**exponent
            if low <= value <= high:
                yield value
