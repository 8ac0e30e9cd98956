"""`log.jsonl`: one line a decision, for whoever wants to know afterwards what happened and when."""

import json
from datetime import datetime
from pathlib import Path

from pfpnas_operator.local.processes import open_log
from pfpnas_operator.reconcile import Event


class Logbook:
    """The run's structured log."""

    def __init__(self, path: Path, *, namespace: str, experiment: str) -> None:
        self._file = open_log(path)
        self._where = {"namespace": namespace, "experiment": experiment}

    def write(self, event: Event, *, now: datetime) -> None:
        """Append an event."""
        level = "warning" if event.type == "Warning" else "info"
        line = {"time": now.isoformat(), "level": level, **self._where, "subject": event.subject}
        self._file.write(json.dumps({**line, "reason": event.reason, "message": event.message}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
