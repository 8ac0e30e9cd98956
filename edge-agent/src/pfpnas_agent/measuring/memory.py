"""Memory of this process, as Linux counts it."""

from __future__ import annotations

import contextlib
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> tuple[int, int] | None:
    """Resident now and at its highest; None where the system doesn't say."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    if "VmRSS" not in found:
        return None
    return found["VmRSS"], found.get("VmHWM", found["VmRSS"])


class PeakMemory:
    """What a candidate adds to a process that has loaded its runtime: highest resident memory, less that before."""

    def __init__(self) -> None:
        # Linux forgets the earlier peak (of the imports) when told so; where it may not be told, the peak stands.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        self._before = resident_bytes()

    def added(self) -> int | None:
        """Bytes so far; None where the system doesn't say."""
        after = resident_bytes()
        if self._before is None or after is None:
            return None
        # A peak that didn't move is an old one: what is resident now is then all that is known.
        highest = after[1] if after[1] > self._before[1] else after[0]
        return max(0, highest - self._before[0])
