"""From a tuner's draws to one architecture that keeps the known limits and was never proposed before."""

import random
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from pfpnas_api.messages import Suggestion
from pfpnas_api.spaces import Architecture
from pfpnas_workloads.tuning._base import Observation, Origin, Tuner, fresh_seed
from pfpnas_workloads.tuning.design import design
from pfpnas_workloads.tuning.region import Region, larger

TUNER_DRAWS: Final = 4
"""Draws of a model: each costs tens of milliseconds, and a model that repeats itself does so again."""

NEARBY_DRAWS: Final = 32
"""Mutations of what the tuner wanted."""

RANDOM_DRAWS: Final = 128
"""Uniform draws, of which those outside the limits are turned down."""

LOWERED_DRAWS: Final = 16
"""Uniform draws brought within the limits; after them the space is so used up that only a walk finds what is left."""


@dataclass(frozen=True)
class Proposer:
    """A tuner within limits."""

    tuner: Tuner
    region: Region

    def suggestion(self, index: int, history: Sequence[Observation], seen: Set[Architecture]) -> Suggestion:
        """The suggestion of one index.

        Args:
            index: The tuner's number of the trial.
            history: All trials before it, oldest first.
            seen: Architectures that were proposed or tried already.
        """
        smallest = self.tuner.space.minimum()
        if not self.region.contains(smallest):
            return Suggestion(index=index, exhausted="NoFeasibleArchitecture", closest=smallest.id)

        def is_new(architecture: Architecture) -> bool:
            return architecture not in seen and self.region.contains(architecture)

        for origin, architecture in self._draws(index, history):
            if is_new(architecture):
                return self._told(index, architecture, origin, history)
        left = self._walk(index, is_new)
        if left is None:
            return Suggestion(index=index, exhausted="SpaceExhausted")
        return self._told(index, left, "Random", history)

    def _told(
        self, index: int, architecture: Architecture, origin: Origin, history: Sequence[Observation]
    ) -> Suggestion:
        return Suggestion(
            index=index,
            architecture=architecture.id,
            origin=origin,
            predicted=self.tuner.predicted(architecture, history),
            predictor=self.tuner.quality(history),
        )

    def _draws(self, index: int, history: Sequence[Observation]) -> Iterator[tuple[Origin, Architecture]]:
        """Draws in the order in which they are wanted."""
        rng = np.random.default_rng(fresh_seed(self.tuner.seed, index, purpose="fallback"))
        space, origin = self.tuner.space, self.tuner.origin(index, history)
        if self.tuner.designed and self.tuner.starting(index, history):
            for architecture in design(self.region, self.tuner.seed)[index:]:
                yield "Random", architecture
        elif origin == "Tuner":
            for architecture in self._tuner_draws(index, history, rng):
                yield "Tuner", architecture
        else:
            yield "Random", self.tuner.suggest(index, history)
        for _ in range(RANDOM_DRAWS):
            yield "Random", space.sample(rng)
        for _ in range(LOWERED_DRAWS):
            yield "Random", self.region.brought_within(space.sample(rng), rng)

    def _tuner_draws(
        self, index: int, history: Sequence[Observation], rng: np.random.Generator
    ) -> Iterator[Architecture]:
        wanted = self.tuner.suggest(index, history)
        yield wanted
        for draw in range(1, TUNER_DRAWS):
            yield self.tuner.suggest(index, history, draw=draw)
        for _ in range(NEARBY_DRAWS):
            yield self.region.brought_within(self.tuner.space.mutate(wanted, rng), rng)

    def _walk(self, index: int, is_new: Callable[[Architecture], bool]) -> Architecture | None:
        """Some architecture that is new, or None when there is none: a proof, not a guess.

        All that keep the limits are reached from the smallest by raising one gene at a time, so the walk meets a new
        one after as many steps as architectures were seen, at most; the size of the space does not matter.
        """
        rng = random.Random(fresh_seed(self.tuner.seed, index, purpose="walk"))
        frontier = [self.tuner.space.minimum()]
        met = set(frontier)
        while frontier:
            at = rng.randrange(len(frontier))
            frontier[at], frontier[-1] = frontier[-1], frontier[at]
            architecture = frontier.pop()
            if is_new(architecture):
                return architecture
            steps = [step for step in larger(self.tuner.space, architecture) if step not in met]
            met.update(steps)
            frontier.extend(step for step in steps if self.region.contains(step))
        return None
