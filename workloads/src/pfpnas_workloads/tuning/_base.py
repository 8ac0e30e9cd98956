"""What a tuner is: a pure function of seed, index and history. Its state is the log, never an object."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from pfpnas_api.kinds import PredictedMetrics, PredictorStatus
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace

if TYPE_CHECKING:
    from pfpnas_workloads.tuning.worth import Forecast

DESIGN_SUGGESTIONS: Final = 8
"""The first suggestions are a design that fills the space: a model needs something to learn from. With 8 the best of 40
of plain annealing was better than with 10 or 12 (mean of 8 seeds on a closed form)."""

RESULTS_NEEDED: Final = 4
"""With fewer results than this there is no good and bad to tell apart, however many trials are under way."""

Origin: TypeAlias = Literal["Tuner", "Random"]


class Foresee(Protocol):
    """What the predictors expect of some architectures."""

    def __call__(self, matrix: GeneMatrix, /) -> "Forecast":
        """The forecast of `(n, genes)` canonical rows."""


@dataclass(frozen=True)
class Observation:
    """One trial as a tuner sees it.

    Attributes:
        architecture: What was tried.
        loss: Finite, less is better; None while the trial is under way.
        accuracy: On the private data, as a fraction; None when it was skipped, is stale, or the trial failed.
        latency_ms: p50.
        reference_ms: p50 of the reference model beside it.
        ratios: Limited metrics as shares of their limits; above 1 breaks it.
        violation: Sum of the relative excesses over the limits.
        stale: Measured with other weights than those that are searched: loss and accuracy say nothing of these.
    """

    architecture: Architecture
    loss: float | None = None
    accuracy: float | None = None
    latency_ms: float | None = None
    reference_ms: float | None = None
    ratios: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0
    stale: bool = False


class Tuner(ABC):
    """Proposes architectures.

    A tuner keeps nothing between calls but what it could compute again, so that a restarted one goes on as if it had
    never stopped. It need not care for limits and duplicates: `propose` asks again.

    Args:
        space: Where it searches.
        seed: Of all its draws.
    """

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        self.space, self.seed = space, seed

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Have at hand what suggestions need, so that none waits for it; in a thread of its own, or never."""

    @abstractmethod
    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        """The architecture of an index.

        Args:
            index: The tuner's number of the trial, from 0.
            history: All other trials: results in the order in which they came, then those under way, without a loss.
            draw: How many proposals for this index were turned down before.
        """

    @abstractmethod
    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:
        """Many draws from what the algorithm knows after `history`, without learning in between.

        Args:
            count: How many predictions may be spent.
            history: All trials to learn from.
            seed: Of these draws.
            foresee: What the predictors expect; only an algorithm that breeds from its own draws asks them.

        Returns:
            At most `count` canonical rows; they may repeat, and lie outside the limits.
        """

    @property
    def designed(self) -> bool:
        """Whether its first trials are a design that fills the space; random search is to stay what it is called."""
        return True

    def starting(self, index: int, history: Sequence[Observation]) -> bool:
        """Whether there is too little to learn from as yet."""
        return index < DESIGN_SUGGESTIONS or len(results(history)) < RESULTS_NEEDED

    def origin(self, index: int, history: Sequence[Observation]) -> Origin:
        """Whether this index is the tuner's own choice, or drawn so that it has something to learn from."""
        return "Random" if self.starting(index, history) else "Tuner"

    def predicted(self, architecture: Architecture, history: Sequence[Observation]) -> PredictedMetrics | None:
        """What its predictors say of an architecture, if it has any."""
        return None

    def quality(self, history: Sequence[Observation]) -> PredictorStatus | None:
        """How good its predictors are, if it has any."""
        return None


def results(history: Sequence[Observation]) -> list[Observation]:
    """The trials that ended, in the order in which they did."""
    return [observation for observation in history if observation.loss is not None]


def fresh_seed(seed: int, index: int, *, purpose: str) -> int:
    """A seed of 32 bits for one draw, so that no random state has to be kept.

    Args:
        seed: Of the experiment.
        index: Of the trial.
        purpose: Tells draws of one index apart.
    """
    digest = hashlib.sha256(f"{seed}:{index}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
