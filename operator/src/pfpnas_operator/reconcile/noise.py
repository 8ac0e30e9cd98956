"""The noise floor: the error that a perfect predictor would show, judged by one noisy measurement a net."""

import math
from dataclasses import dataclass, replace

from pfpnas_api.kinds import Latency

_UNIT = 10**12
"""Differences are added up as whole numbers of this fraction, so that the sum does not depend on the order."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Pairs of measurements of the same nets, in a few numbers."""

    relative: bool = False
    """Latencies are compared as multiples of the reference model, as they are predicted where the limit is relative."""
    latencies: int = 0
    """Pairs of latencies."""
    latency_sum: int = 0
    """Of their relative differences, in `_UNIT`."""
    accuracies: int = 0
    accuracy_sum: int = 0
    """Of their absolute differences, in `_UNIT`."""

    def with_pair(
        self, latencies: tuple[Latency | None, Latency | None], accuracies: tuple[float | None, float | None]
    ) -> "Noise":
        """One more pair; what only one of the two has is left out."""
        timed, scored = self._relative_difference(*latencies), _difference(*accuracies)
        return replace(
            self,
            latencies=self.latencies + (timed is not None),
            latency_sum=self.latency_sum + round((timed or 0.0) * _UNIT),
            accuracies=self.accuracies + (scored is not None),
            accuracy_sum=self.accuracy_sum + round((scored or 0.0) * _UNIT),
        )

    @property
    def latency_floor(self) -> float | None:
        """MAPE of the latency as a fraction of 1; None without pairs."""
        return _floor(self.latency_sum, self.latencies)

    @property
    def accuracy_floor(self) -> float | None:
        """Mean absolute error of the accuracy; None without pairs."""
        return _floor(self.accuracy_sum, self.accuracies)

    def _relative_difference(self, first: Latency | None, second: Latency | None) -> float | None:
        """|a − b| over the mean of a and b.

        What the whole device drifts by between the two takes the reference model along: it is noise of milliseconds,
        and none of a relative latency.
        """
        a, b = (None if one is None else one.relative if self.relative else one.p50 for one in (first, second))
        return None if a is None or b is None else abs(a - b) / ((a + b) / 2)


def _floor(total: int, pairs: int) -> float | None:
    """The mean difference over √2: of two equally noisy values the difference has √2 times the spread of one."""
    return total / _UNIT / pairs / math.sqrt(2) if pairs else None


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else abs(first - second)
