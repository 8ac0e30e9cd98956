"""Workloads as real processes: run to the end, or started and waited for."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB

DEADLINE_SECONDS = 240.0
"""Longest wait for a process: two cores may be busy with other tests."""


def start_workload(command: str, job: Mapping[str, Any], folder: Path) -> subprocess.Popen[str]:
    """A workload that runs, with the artifact store in `folder/store` and without Redis."""
    environ = {ENV_JOB: json.dumps(job), ENV_ARTIFACTS: str(folder / "store"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pfpnas_workloads", command],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_workload(command: str, job: Mapping[str, Any], folder: Path) -> tuple[int, str]:
    """A workload's exit code and what it wrote to standard error, once it has ended."""
    process = start_workload(command, job, folder)
    try:
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    return process.returncode, errors


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until something holds, or the process has ended.

    Raises:
        AssertionError: it doesn't hold by the deadline; the process is killed.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition() and process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            process.communicate()
            raise AssertionError(f"not within {DEADLINE_SECONDS} s")
        time.sleep(0.01)
