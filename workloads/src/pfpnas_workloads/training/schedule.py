"""What happens at which step: pure functions of the step's number."""

from dataclasses import dataclass
from math import cos, pi

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises linearly."""


@dataclass(frozen=True)
class Schedule:
    """The plan of a training.

    Attributes:
        images: Training images.
        batch_size: Images a step; all of them when there are fewer.
        epochs: Passes through the images, each without its incomplete last batch.
        peak: The highest learning rate.
        shrink_after: Share of the steps in which only the largest net is trained ("delayed shrinking": DεpS,
            Annavajjala et al., 2024).
    """

    images: int
    batch_size: int
    epochs: int
    peak: float
    shrink_after: float

    @property
    def batch(self) -> int:
        """Images a step."""
        return min(self.batch_size, self.images)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass."""
        return self.images // self.batch

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.steps_per_epoch * self.epochs

    @property
    def first_shrinking_step(self) -> int:
        """The first step that trains smaller nets too."""
        return round(self.steps * self.shrink_after)

    def epoch(self, step: int) -> int:
        """The pass that `step` belongs to, from 0."""
        return step // self.steps_per_epoch

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine to (almost) zero (Loshchilov and Hutter, ICLR 2017)."""
        warm_up = max(1, round(self.steps * WARM_UP))
        if step < warm_up:
            return self.peak * (step + 1) / warm_up
        return self.peak * 0.5 * (1 + cos(pi * (step - warm_up + 1) / (self.steps - warm_up + 1)))
