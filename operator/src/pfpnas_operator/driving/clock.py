"""The time of a cycle."""

from datetime import datetime, timedelta

SET_BACK = timedelta(seconds=1)
"""A clock so far behind the cycle before was set back; less is what quick cycles get ahead of it."""


def moment_after(last: datetime, *, clock: datetime) -> datetime:
    """The time of a cycle: as exact as documents tell it, and never that of the cycle before.

    Trials are read again in the order of their times: those that end in two cycles of one millisecond would change it.
    A clock that was set back is believed all the same, lest every deadline waits until it is as late again.
    """
    told = clock.replace(microsecond=clock.microsecond // 1000 * 1000)
    return told if last - told > SET_BACK else max(told, last + timedelta(milliseconds=1))
