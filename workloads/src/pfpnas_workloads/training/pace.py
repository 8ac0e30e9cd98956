"""How long the rest takes."""

from pfpnas_workloads.training.schedule import Schedule

SANDWICH_COST = 2.0
"""A step of all nets against one of the largest alone, until it has been seen."""


class Pace:
    """Seconds a step, told apart by kind of step, since one with all nets takes longer."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._seconds: dict[bool, tuple[float, int]] = {}

    def took(self, seconds: float, *, shrinking: bool) -> None:
        """Note a step's duration."""
        total, count = self._seconds.get(shrinking, (0.0, 0))
        self._seconds[shrinking] = (total + seconds, count + 1)

    def remaining(self, step: int) -> float | None:
        """Seconds from `step` to the end; None before the first step."""
        alone = max(0, self._schedule.first_shrinking_step - step)
        together = self._schedule.steps - step - alone
        each = {kind: total / count for kind, (total, count) in self._seconds.items()}
        if not each:
            return None
        first = each.get(False, each.get(True, 0.0) / SANDWICH_COST)
        return alone * first + together * each.get(True, first * SANDWICH_COST)
