"""The part of a space that keeps the limits known beforehand: those that follow from the architecture alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.scoring import StaticLimits, static_limits
from pfpnas_api.scoring.limits import STATIC_FIELDS
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, canonical, cost, static_costs, to_matrix


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

    def keeps(self, matrix: GeneMatrix) -> NDArray[np.bool_]:
        """Whether each of `(n, genes)` rows keeps all limits, `(n,)`."""
        return np.asarray((self.excess(matrix) <= 0).all(axis=1))

    def excess(self, matrix: GeneMatrix) -> NDArray[np.float64]:
        """By how much `(n, genes)` rows are over each limit, as a share of it, `(n, limits)`; negative within."""
        limits = self.limits.limits
        if not limits:
            return np.zeros((len(matrix), 0))
        costs = static_costs(self.space, matrix)
        return np.column_stack([(costs[STATIC_FIELDS[limit.metric]] - limit.limit) / limit.limit for limit in limits])

    def matrix(self, architectures: Sequence[Architecture]) -> GeneMatrix:
        """The architectures' canonical rows, `(n, genes)`."""
        return to_matrix(self.space, architectures)

    def brought_within(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture with random genes lowered, one after the other, until it keeps the limits.

        The smallest architecture has to keep them.
        """
        (row,) = self.lowered(self.matrix([architecture]), rng)
        return self.space.from_genes(row.tolist())

    def lowered(self, matrix: GeneMatrix, rng: np.random.Generator) -> GeneMatrix:
        """Canonical `(n, genes)` rows with random genes lowered until each keeps the limits: `brought_within` of many.

        The smallest architecture has to keep them.
        """
        matrix = matrix.copy()
        outside = np.flatnonzero(~self.keeps(matrix))
        while len(outside):
            rows = matrix[outside]
            at = np.where(rows > 0, rng.random(rows.shape), -1.0).argmax(axis=1)  # one gene of each above its least
            each = np.arange(len(rows))
            rows[each, at] = rng.integers(rows[each, at])
            matrix[outside] = rows = canonical(self.space, rows)
            outside = outside[~self.keeps(rows)]
        return matrix

    def grown(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """An architecture with random genes raised, one after the other, until no further step keeps the limits.

        The largest of all where nothing is limited; within limits one of those that use them up.
        """
        while steps := list(larger(self.space, architecture)):
            kept = np.flatnonzero(self.keeps(self.matrix(steps)))
            if not len(kept):
                break
            architecture = steps[int(rng.choice(kept))]
        return architecture


def larger(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """The architectures with one gene raised by one step; a block that is added is the smallest."""
    # Inactive genes are 0 here, the least: so a stage that grows gets the smallest blocks.
    indices = space.to_genes(architecture)
    for at, (gene, acts) in enumerate(zip(space.genes(), space.active(architecture), strict=True)):
        if acts and indices[at] + 1 < len(gene.values):
            yield space.from_genes([*indices[:at], indices[at] + 1, *indices[at + 1 :]])
