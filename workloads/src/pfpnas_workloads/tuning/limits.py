"""Limits that are known before anything is measured: they follow from the architecture alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import Architecture, Cost, SearchSpace, cost

_FIELDS = {"FLOPs": "flops", "MACs": "macs", "Parameters": "parameters", "ModelSize": "model_bytes"}
"""Fields of `Cost` by the metric they are."""


@dataclass(frozen=True)
class KnownLimits:
    """Upper limits on the static cost, absolute: a field of `Cost` with its limit each.

    All of these costs grow with every gene. So the smallest architecture has the least of each, and every architecture
    that keeps the limits can be reached from it through others that do, one step of one gene at a time.
    """

    space: SearchSpace
    limits: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, space: SearchSpace, objective: ObjectiveSpec) -> "KnownLimits":
        """The limits of an objective; relative ones are multiples of the smallest architecture, the reference."""
        reference = cost(space, space.minimum())
        known = [constraint for constraint in objective.constraints if constraint.metric in _FIELDS]
        return cls(
            space,
            tuple(
                (field, constraint.limit * (getattr(reference, field) if constraint.relative else 1.0))
                for constraint in known
                for field in (_FIELDS[constraint.metric],)
            ),
        )

    def violation(self, architecture: Architecture) -> float:
        """Sum of the relative excesses over the limits; 0 when all are kept."""
        if not self.limits:
            return 0.0
        spent = cost(self.space, architecture)
        return sum(_excess(spent, field, limit) for field, limit in self.limits)

    def keeps(self, architecture: Architecture) -> bool:
        """Whether an architecture keeps all limits."""
        return self.violation(architecture) == 0.0

    def repaired(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture with random genes lowered, a step at a time, until it keeps the limits.

        The smallest architecture has to keep them.
        """
        while not self.keeps(architecture):
            lower = list(smaller(self.space, architecture))
            architecture = lower[int(rng.integers(len(lower)))]
        return architecture


def _excess(spent: Cost, field: str, limit: float) -> float:
    return max(0.0, float(getattr(spent, field)) / limit - 1.0)


def smaller(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """The architectures with one gene lowered by one step."""
    return _steps(space, architecture, -1)


def larger(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """The architectures with one gene raised by one step; a block that is added is the smallest."""
    return _steps(space, architecture, +1)


def _steps(space: SearchSpace, architecture: Architecture, step: int) -> Iterator[Architecture]:
    # Inactive genes are 0 here, the least: so a stage that grows gets the smallest blocks.
    indices = space.to_genes(architecture)
    for at, (gene, acts) in enumerate(zip(space.genes(), space.active(architecture), strict=True)):
        if acts and 0 <= indices[at] + step < len(gene.values):
            yield space.from_genes([*indices[:at], indices[at] + step, *indices[at + 1 :]])
