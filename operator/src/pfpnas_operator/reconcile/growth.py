"""Whether the measured front still grows: what `budget.convergence` looks at, kept incrementally."""

from dataclasses import dataclass, replace

from pfpnas_api.kinds import NASExperimentSpec, ObjectiveSpec, Trial, is_true
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring import FrontPoint, front_point, hypervolume, insert_point

MARGIN = 1.1
"""Without a latency limit areas are measured from so many times the slowest point: a new slowest one counts too."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """How a gain is measured.

    Attributes:
        objective: Its limit on the latency is where areas are measured from; `front_point` says what counts.
        min_gain: Relative growth of the hypervolume that counts.
    """

    objective: ObjectiveSpec
    min_gain: float

    @classmethod
    def of(cls, spec: NASExperimentSpec) -> "Yardstick | None":
        """That of an experiment; None where nothing has to converge."""
        convergence = spec.budget.convergence
        if convergence is None:
            return None
        return cls(objective=spec.objective, min_gain=DECIMAL.parse(convergence.min_gain))

    def point(self, trial: Trial) -> FrontPoint | None:
        """A finished trial on this scale; None when it has no place on the front, one that failed among them."""
        status = trial.status
        if is_true(status.conditions, "Failed"):
            return None
        return front_point(self.objective, status.metrics, violation=status.violation, key=trial.metadata.name)

    def gain(self, before: tuple[FrontPoint, ...], after: tuple[FrontPoint, ...]) -> float | None:
        """Relative growth from one front to another, both seen from the same point; None while there is no area."""
        limit = self.objective.constraint("Latency")
        slowest = max((point.latency for point in (*before, *after)), default=0.0)
        reference = limit.limit if limit else MARGIN * slowest
        old, new = (hypervolume(front, reference_latency=reference) for front in (before, after))
        if new <= 0:
            return None
        return (new - old) / old if old > 0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The front now, and as it was at the last gain.

    Attributes:
        yardstick: None: nothing is looked at.
        front: By rising latency.
        last: The front at the last gain, with what others than the tuner brought since.
        since: Finished trials of the tuner since that gain; none are counted before any keeps the latency limit.
    """

    yardstick: Yardstick | None = None
    front: tuple[FrontPoint, ...] = ()
    last: tuple[FrontPoint, ...] = ()
    since: int = 0

    def add(self, trial: Trial) -> "Growth":
        """With one more finished trial.

        One by hand, or of a warm start, is neither a gain of the tuner's nor a trial without one.
        """
        if self.yardstick is None:
            return self
        point = self.yardstick.point(trial)
        front = insert_point(self.front, point) if point else self.front
        if trial.spec.index is None:
            return replace(self, front=front, last=insert_point(self.last, point) if point else self.last)
        gain = self.yardstick.gain(self.last, front)
        if gain is None:
            return replace(self, front=front)
        if gain > 0 and gain >= self.yardstick.min_gain:
            return replace(self, front=front, last=front, since=0)
        return replace(self, front=front, since=self.since + 1)
