"""The start-up design: trials that fill the space before there is anything to learn from. Needs no tuner's library."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.spaces import Architecture, GeneMatrix, active_mask, sample_matrix, static_costs, to_architectures
from pfpnas_workloads.tuning._base import fresh_seed
from pfpnas_workloads.tuning.region import Region

LONGEST: Final = 64
"""Points of a design; as many trials may be under way before the first result comes."""

POOL: Final = 1024
"""Uniform draws among which the points of the design are chosen."""

COST_WEIGHT: Final = 0.75
"""Of log MACs against all genes together: latency and accuracy follow the MACs more than any gene. Of ten points on the
default space this spreads the sizes over 6 of 8 equal ranges of log MACs (uniform draws: 4.6), and the two nearest
differ in 41 % of their genes (29 %); with 2.0 the points huddle where only their sizes differ."""


@lru_cache(maxsize=4)
def design(region: Region, seed: int) -> tuple[Architecture, ...]:
    """The smallest architecture, the largest within the limits, then ever the one farthest from all before it.

    Greedy maximin (Johnson, Moore and Ylvisaker, "Minimax and maximin distance designs", 1990), so that every prefix
    fills the space; the smallest has to keep the limits.

    Returns:
        At most `LONGEST` architectures; fewer only where the region has fewer.
    """
    rng = np.random.default_rng(fresh_seed(seed, 0, purpose="design"))
    edges = [region.space.minimum(), region.grown(region.space.minimum(), rng)]
    pool = region.lowered(sample_matrix(region.space, POOL, rng=rng), rng)
    matrix: GeneMatrix = np.unique(np.concatenate([region.matrix(edges), pool]), axis=0)
    first = [int(np.flatnonzero((matrix == row).all(axis=1))[0]) for row in region.matrix(edges)]
    order = _farthest_first(_features(region, matrix), list(dict.fromkeys(first)))
    return tuple(to_architectures(region.space, matrix[order]))


def _features(region: Region, matrix: GeneMatrix) -> NDArray[np.float64]:
    """Places in which distances count, `(n, genes + stages × 3 + 1)`: genes, sums over each stage, and log MACs."""
    genes = region.space.genes()
    steps = np.array([max(1, len(gene.values) - 1) for gene in genes])
    scaled = matrix / steps
    stage = np.array([gene.stage for gene in genes])
    acts = active_mask(region.space, matrix)
    kinds = [np.array([gene.kind == kind for gene in genes]) for kind in ("depth", "kernel", "expand")]
    sums = [
        (scaled * acts)[:, (stage == number) & kind].sum(axis=1) for number in range(stage.max() + 1) for kind in kinds
    ]
    macs = np.log(static_costs(region.space, matrix)["macs"])
    spread = np.ptp(macs) or 1.0
    weight = COST_WEIGHT * np.sqrt(len(genes))
    return np.column_stack([scaled, *sums, weight * (macs - macs.min()) / spread])


def _farthest_first(features: NDArray[np.float64], start: Sequence[int]) -> list[int]:
    """Rows of `(n, d)` features from the given ones on, each the farthest from those before it."""
    chosen = list(start)
    gaps = np.min([np.linalg.norm(features - features[at], axis=1) for at in chosen], axis=0)
    while len(chosen) < LONGEST and gaps.max() > 0:
        chosen.append(int(gaps.argmax()))
        gaps = np.minimum(gaps, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return chosen
