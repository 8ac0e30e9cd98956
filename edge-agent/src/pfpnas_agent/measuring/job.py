"""What the agent tells its measuring process, and what it hears back; two JSON files in one closed directory."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOB_FILE = "job.json"
ANSWER_FILE = "answer.json"
GROUP_FILE = "group"
"""Process group of a command that runs, so that it dies even when the measuring process is killed."""


@dataclass(frozen=True)
class Runs:
    """How to time."""

    batch_size: int
    threads: int
    runs: int
    warmup_seconds: float
    max_seconds: float
    throughput: bool
    skip_accuracy_over_ms: float | None
    skip_accuracy_over_relative: float | None


@dataclass(frozen=True)
class Job:
    """One measurement. Paths are of this device; the file never leaves it."""

    runs: Runs
    head: str
    """Fitted or Supernet."""
    split: str
    """Validation or Test."""
    alias: str
    """Of the data set."""
    dataset: dict[str, Any]
    """The data set as configured, paths resolved."""
    cache: str
    """Folder of decoded images."""
    backend: dict[str, Any]
    """The backend as configured."""
    model: str | None
    """The candidate's file; None scores ridge on raw pixels."""
    reference: str | None
    deadline_seconds: float
    memory_bytes: int | None

    def write(self, directory: Path) -> None:
        """Put the job where its process finds it."""
        (directory / JOB_FILE).write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Job:
        """The job of a directory."""
        fields = json.loads((directory / JOB_FILE).read_text(encoding="utf-8"))
        return cls(**{**fields, "runs": Runs(**fields["runs"])})
