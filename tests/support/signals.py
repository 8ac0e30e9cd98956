"""What a process hears."""

import signal
from pathlib import Path


def hears_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it."""
    (caught,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
