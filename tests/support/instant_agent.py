"""The agent itself but for its measuring process: `instant_agent.py CONFIG URL`.

Claims, models fetched and checked, journal, answers and heartbeats are the agent's own; what a measurement would have
brought is drawn from the candidate's digest.
"""

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pfpnas_agent import cli, perform
from pfpnas_agent.measuring.job import Job
from pfpnas_api.messages import MeasureTask
from support.instant_work import figures


def measured(job: Job, work: Path, task: MeasureTask) -> dict[str, Any]:
    """In the place of `perform._run`: the measuring process' answer, at once."""
    assert job.model is None or Path(job.model).exists(), "the candidate is on this device's disk"
    return {**figures(task).model_dump(mode="json", include={"latency", "accuracy"}), "phases": {}}


if __name__ == "__main__":
    config, url = sys.argv[1:]
    with patch.object(perform, "_run", measured):
        cli.app(["run", "--config", config, "--redis", url])
