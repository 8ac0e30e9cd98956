"""What a tuner is: a pure function of seed, index and history. Its state is the log, never an object."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pfpnas_api.spaces import Architecture, SearchSpace

RANDOM_SUGGESTIONS: Final = 8
"""The first suggestions of a model-based tuner are uniform: it needs something to learn from."""

RESULTS_NEEDED: Final = 4
"""With fewer results than this there is no good and bad to tell apart, however many trials are under way."""


@dataclass(frozen=True)
class Observation:
    """One trial as a tuner sees it.

    Attributes:
        architecture: What was tried.
        loss: Finite, less is better; None while the trial is under way.
    """

    architecture: Architecture
    loss: float | None = None


class Tuner(ABC):
    """Proposes architectures.

    A tuner keeps nothing between calls, so that a restarted one goes on as if it had never stopped. It need not care
    for limits and duplicates: `propose` asks again. A tuner that has predictors judge its draws first is one more
    subclass, around another tuner.

    Args:
        space: Where it searches.
        seed: Of all its draws.
    """

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        self.space, self.seed = space, seed

    @abstractmethod
    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        """The architecture of an index.

        Args:
            index: The tuner's number of the trial, from 0.
            history: All other trials, oldest first; those under way have no loss.
            draw: How many proposals for this index were turned down before.
        """

    def origin(self, index: int, history: Sequence[Observation]) -> Literal["Tuner", "Random"]:
        """Whether this index is the tuner's own choice, or drawn uniformly so that it has something to learn from."""
        results = sum(observation.loss is not None for observation in history)
        return "Random" if index < RANDOM_SUGGESTIONS or results < RESULTS_NEEDED else "Tuner"


def fresh_seed(seed: int, index: int, *, purpose: str) -> int:
    """A seed of 32 bits for one draw, so that no random state has to be kept.

    Args:
        seed: Of the experiment.
        index: Of the trial.
        purpose: Tells draws of one index apart.
    """
    digest = hashlib.sha256(f"{seed}:{index}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
