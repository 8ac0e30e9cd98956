"""How a task ends without figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the measuring process starts faster without the contract's models
    from pfpnas_api.messages import FailureReason


class Refused(Exception):  # noqa: N818 - reads as the state it names
    """No figures, for a reason of the contract's closed list; the message stays in the local log."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason
