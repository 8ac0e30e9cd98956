"""Training workloads as real processes: started, killed, run to their end."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfpnas_api.jobs import ENV_ARTIFACTS

DEADLINE_SECONDS = 240.0


@contextmanager
def running_workload(command: str, document: dict[str, Any], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """``python -m pfpnas_workloads <command>`` with the store in ``folder/store``; killed after the block."""
    log = folder / f"{document['uid']}.log"
    arguments, environment = _prepared(["-m", "pfpnas_workloads", command], document, folder)
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, env=environment, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_workload(command: str, document: dict[str, Any], folder: Path) -> tuple[int, str]:
    """Its exit code and what it wrote to standard error."""
    arguments, environment = _prepared(["-m", "pfpnas_workloads", command], document, folder)
    done = subprocess.run(
        arguments, env=environment, check=False, timeout=DEADLINE_SECONDS, stderr=subprocess.PIPE, text=True
    )
    return done.returncode, done.stderr


def _prepared(python: list[str], document: dict[str, Any], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a workload with a single thread, its document in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / f"{document['uid']}.json"
    job.write_text(json.dumps(document))
    environment = {**os.environ, ENV_ARTIFACTS: str(folder / "store"), "OMP_NUM_THREADS": "1"}
    return [sys.executable, *python, "--job", str(job)], environment


def run_killed_before_its_manifest(command: str, document: dict[str, Any], folder: Path) -> int:
    """All the work done, then ended as `kill -9` does, in the moment before the manifest is written; its exit code."""
    arguments, environment = _prepared(["-c", _KILLED_BEFORE_ITS_MANIFEST, command], document, folder)
    return subprocess.run(arguments, env=environment, check=False, timeout=DEADLINE_SECONDS).returncode


_KILLED_BEFORE_ITS_MANIFEST = """
import os, signal
from pfpnas_api.artifacts import ArtifactStore
from pfpnas_workloads.cli import main
ArtifactStore.write_manifest = lambda store, manifest: os.kill(os.getpid(), signal.SIGKILL)
main()
"""


def first_step(errors: str) -> int:
    """The step at which a training says that it starts."""
    (found,) = re.findall(r"starts at step (\d+) of", errors)
    return int(found)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Poll until `condition` holds; fails when the process ends before or the deadline passes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert process.poll() is None, f"the workload ended first with {process.returncode}"
        assert time.monotonic() < deadline, "the deadline passed"
        time.sleep(0.002)
