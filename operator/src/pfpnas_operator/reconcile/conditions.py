"""Writing conditions: one place that stamps time and generation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pfpnas_api.kinds import Condition, set_condition

TRUE: Literal["True"] = "True"
FALSE: Literal["False"] = "False"

MESSAGE_LIMIT = 1024
"""Bytes of a condition's message: the API's own limit is as many characters, and a status has to stay small."""


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
            message=message.encode()[:MESSAGE_LIMIT].decode(errors="ignore"),
            last_transition_time=self.now,
            observed_generation=self.generation,
        )
        return set_condition(tuple(conditions), new)
