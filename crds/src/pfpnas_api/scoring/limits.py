"""Limits that an architecture meets or breaks before anything is built: on FLOPs, MACs, Parameters and ModelSize."""

from dataclasses import dataclass
from typing import Final

from pfpnas_api.kinds.experiment import MetricName, ObjectiveSpec
from pfpnas_api.spaces import Cost, SearchSpace, cost

STATIC_FIELDS: Final[dict[MetricName, str]] = {
    "FLOPs": "flops",
    "MACs": "macs",
    "Parameters": "parameters",
    "ModelSize": "model_bytes",
}
"""Metrics that follow from the architecture, and the field of `Cost` that holds each."""


@dataclass(frozen=True)
class StaticLimit:
    """A limit on one metric, in its base unit (operations, parameters, bytes)."""

    metric: MetricName
    limit: float

    def value(self, of: Cost) -> int:
        """The limited metric of a net."""
        return int(getattr(of, STATIC_FIELDS[self.metric]))

    def excess(self, of: Cost) -> float:
        """By how much a net is over the limit, as a fraction of the limit; 0 when it meets it."""
        return max(0.0, (self.value(of) - self.limit) / self.limit)


@dataclass(frozen=True)
class StaticLimits:
    """Every limit of an objective that is known beforehand."""

    limits: tuple[StaticLimit, ...] = ()

    def violation(self, of: Cost) -> float:
        """Sum of the relative excesses; 0 when every limit is met."""
        return sum(limit.excess(of) for limit in self.limits)

    def broken(self, by: Cost) -> tuple[StaticLimit, ...]:
        """The limits that a net breaks. Those broken by `space.minimum()` can't be met by any architecture."""
        return tuple(limit for limit in self.limits if limit.excess(by) > 0)


def static_limits(objective: ObjectiveSpec, space: SearchSpace) -> StaticLimits:
    """The limits known before any build; relative ones as multiples of the space's smallest architecture."""
    reference = cost(space, space.minimum())
    found = []
    for constraint in objective.constraints:
        field = STATIC_FIELDS.get(constraint.metric)
        if field is not None:
            base = getattr(reference, field) if constraint.relative else 1.0
            found.append(StaticLimit(metric=constraint.metric, limit=constraint.limit * base))
    return StaticLimits(tuple(found))
