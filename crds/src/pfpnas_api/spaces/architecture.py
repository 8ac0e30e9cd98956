"""An architecture: one net of a search space, as an immutable value with a canonical id."""

import re
from dataclasses import dataclass
from functools import cached_property

_ID = re.compile(r"r([1-9][0-9]{0,3})((?:-k[1-9]e[1-9](?:\.k[1-9]e[1-9])*)+)", re.ASCII)

MAX_ID_LENGTH = 512
"""Characters; longer than the id of the deepest space (six stages of at most 8 blocks: 250)."""


class ArchitectureError(ValueError):
    """A text or a list of genes that is no architecture, or none of this space."""


@dataclass(frozen=True, slots=True, order=True)
class BlockGene:
    """What is chosen for one active block: kernel (pixels a side) and expansion (mid = in × expand)."""

    kernel: int
    expand: int


@dataclass(frozen=True)
class Architecture:
    """One net: input resolution (pixels a side) and the active blocks of every elastic stage.

    Blocks that are not active are not stored, so equal nets are equal values, hashes and ids. `stages[i]`
    belongs to the table's row `stage{i + 1}`; the fixed first block has no genes.
    """

    resolution: int
    stages: tuple[tuple[BlockGene, ...], ...]

    @cached_property
    def id(self) -> str:
        """The canonical id, like `r24-k3e4.k5e6-k3e2`: safe in file names and Kubernetes annotations."""
        stages = (".".join(f"k{gene.kernel}e{gene.expand}" for gene in stage) for stage in self.stages)
        return "-".join((f"r{self.resolution}", *stages))

    @property
    def depths(self) -> tuple[int, ...]:
        """The number of active blocks of every elastic stage."""
        return tuple(len(stage) for stage in self.stages)

    def __str__(self) -> str:
        return self.id


def parse_id(text: str) -> Architecture:
    """The architecture with the id `text`, whatever its space.

    Raises:
        ArchitectureError: `text` is not a canonical id.
    """
    match = _ID.fullmatch(text) if len(text) <= MAX_ID_LENGTH else None
    if match is None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise ArchitectureError(
            f"architecture {shown!r} is not of the form r<resolution>-<stage>-<stage>..., "
            "a stage being k<kernel>e<expand>.k<kernel>e<expand>..."
        )
    stages = match[2][1:].split("-")
    return Architecture(int(match[1]), tuple(tuple(map(_gene, stage.split("."))) for stage in stages))


def _gene(text: str) -> BlockGene:
    return BlockGene(kernel=int(text[1]), expand=int(text[3]))
