"""A process that is told to stop while its main thread waits in C, where Python hears nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pfpnas_api.jobs import EXIT_RETRY
from support.agent_process import alive

WAITS_IN_C = """
import ctypes, subprocess, sys
from pathlib import Path
from pfpnas_workloads.stopping import end_when_told

end_when_told(75, within_seconds=float(sys.argv[2]))
if len(sys.argv) > 3:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    child.stdout.readline()
    Path(sys.argv[3]).write_text(str(child.pid))
Path(sys.argv[1]).touch()
lock, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)
library.pthread_mutex_lock(lock)
library.pthread_mutex_lock(lock)  # for ever, and no signal ends it
"""

WAIT_SECONDS = 60.0


@contextmanager
def waiting(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits in C."""
    ready = folder / "ready"
    process = subprocess.Popen([sys.executable, "-c", WAITS_IN_C, str(ready), *arguments])
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_though_nothing_of_it_could_be_heard(tmp_path: Path, number: signal.Signals) -> None:
    with waiting(tmp_path, "600") as process:
        process.send_signal(number)
        assert process.wait(WAIT_SECONDS) == EXIT_RETRY


def test_a_child_that_does_not_listen_is_taken_along_when_its_time_is_over(tmp_path: Path) -> None:
    with waiting(tmp_path, "1", str(tmp_path / "child")) as process:
        child = int((tmp_path / "child").read_text())
        process.terminate()
        assert process.wait(WAIT_SECONDS) == EXIT_RETRY
    assert not alive(child)


def test_a_child_is_left_to_end_in_order(tmp_path: Path) -> None:
    with waiting(tmp_path, "600", str(tmp_path / "child")) as process:
        child = int((tmp_path / "child").read_text())
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
        os.kill(child, signal.SIGKILL)
        assert process.wait(WAIT_SECONDS) == EXIT_RETRY
