"""`log.jsonl`: one line a decision, for whoever wants to know afterwards what happened and when."""

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Self

from pfpnas_operator.local.processes import open_log
from pfpnas_operator.reconcile import Event


class Logbook:
    """The run's structured log."""

    def __init__(self, path: Path, *, namespace: str, experiment: str) -> None:
        self._file = open_log(path)
        self._where = {"namespace": namespace, "experiment": experiment}

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; a disk that is full has been complained of already."""
        with contextlib.suppress(OSError):
            self._file.close()

    def write(self, event: Event, *, now: datetime) -> None:
        """Append an event."""
        level = "warning" if event.type == "Warning" else "info"
        line = {"time": now.isoformat(), "level": level, **self._where, "subject": event.subject}
        self._file.write(json.dumps({**line, "reason": event.reason, "message": event.message}) + "\n")
