"""The measuring process: `python -m pfpnas_agent.measuring`, in the directory that holds its `job.json`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from pfpnas_agent.failures import Refused
from pfpnas_agent.measuring.job import ANSWER_FILE, GROUP_FILE, Job
from pfpnas_agent.processes import kill_group


def main() -> None:
    """Measure what the job says and write the answer; the exit status says nothing more."""
    directory = Path.cwd()
    threading.Thread(target=_die_with_agent, args=(directory,), daemon=True).start()
    job = Job.read(directory)
    _limit_memory(job.memory_bytes)
    started = time.perf_counter()
    try:
        from pfpnas_agent.measuring.measure import measure  # noqa: PLC0415 - after the memory limit is set

        answer = measure(job, directory)
    except Refused as e:
        answer = {"failure": e.reason, "message": str(e)}
    except MemoryError:
        answer = {"failure": "OutOfMemory", "message": "limits.memory is used up"}
    answer["process_seconds"] = time.perf_counter() - started
    (directory / "answer.tmp").write_text(json.dumps(answer), encoding="utf-8")
    os.replace(directory / "answer.tmp", directory / ANSWER_FILE)


def _die_with_agent(directory: Path) -> None:
    """Standard input closes when the agent dies, however it dies: nobody is left to measure for."""
    os.read(sys.stdin.fileno(), 1)
    group = directory / GROUP_FILE
    if group.exists():
        kill_group(int(group.read_text(encoding="ascii")))
    kill_group(os.getpgrp())


def _limit_memory(limit: int | None) -> None:
    if limit is not None:
        import resource  # noqa: PLC0415 - absent on some systems, where no limit can be configured

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
