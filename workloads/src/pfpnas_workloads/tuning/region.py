"""The part of a space that keeps the limits known beforehand: those that follow from the architecture alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.scoring import StaticLimits, static_limits
from pfpnas_api.spaces import Architecture, SearchSpace, cost


@dataclass(frozen=True)
class Region:
    """The architectures of a space that keep upper limits on their static cost.

    All static costs grow with every gene. So the smallest architecture comes closest to the limits whatever they are,
    and every architecture that keeps them is reached from the smallest through others that do, raising one gene by one
    step at a time.
    """

    space: SearchSpace
    limits: StaticLimits

    @classmethod
    def of(cls, space: SearchSpace, objective: ObjectiveSpec) -> "Region":
        """The region of an objective."""
        return cls(space, static_limits(objective, space))

    def contains(self, architecture: Architecture) -> bool:
        """Whether an architecture keeps all limits."""
        return not self.limits.limits or not self.limits.broken(cost(self.space, architecture))

    def brought_within(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture with random genes lowered, one after the other, until it keeps the limits.

        The smallest architecture has to keep them.
        """
        while not self.contains(architecture):
            architecture = _lowered(self.space, architecture, rng)
        return architecture


def _lowered(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """The architecture with one gene, drawn from those above their least, at any lower value."""
    indices = space.to_genes(architecture)
    at = int(rng.choice(np.flatnonzero(indices)))
    indices[at] = int(rng.integers(indices[at]))
    return space.from_genes(indices)


def larger(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """The architectures with one gene raised by one step; a block that is added is the smallest."""
    # Inactive genes are 0 here, the least: so a stage that grows gets the smallest blocks.
    indices = space.to_genes(architecture)
    for at, (gene, acts) in enumerate(zip(space.genes(), space.active(architecture), strict=True)):
        if acts and indices[at] + 1 < len(gene.values):
            yield space.from_genes([*indices[:at], indices[at] + 1, *indices[at + 1 :]])
