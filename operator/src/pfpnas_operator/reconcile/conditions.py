"""Writing conditions: one place that stamps time and generation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pfpnas_api.kinds import Condition, set_condition

TRUE: Literal["True"] = "True"
FALSE: Literal["False"] = "False"

MESSAGE_LIMIT = 1024
"""The API's own limit on a condition's message."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Time and generation that new conditions carry."""

    now: datetime
    generation: int

    def put(
        self,
        conditions: Iterable[Condition],
        kind: str,
        status: Literal["True", "False", "Unknown"],
        reason: str,
        message: str = "",
    ) -> tuple[Condition, ...]:
        """The conditions with one set."""
        new = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message[:MESSAGE_LIMIT],
            last_transition_time=self.now,
            observed_generation=self.generation,
        )
        return set_condition(tuple(conditions), new)
