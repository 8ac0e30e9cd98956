"""Children: started apart, seen as Jobs, stopped in order, gone with their parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pfpnas_api.jobs import TrialWorkerJob
from pfpnas_operator.local import processes as module
from pfpnas_operator.local.processes import Processes, last_line, spawn, stop
from pfpnas_operator.reconcile import JobRequest
from support.agent_process import eventually
from support.reconcile_builders import NOW, seconds

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
)


def _python(code: str, log: Path) -> "subprocess.Popen[bytes]":
    return spawn([sys.executable, "-c", code], log=log, environment=os.environ)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_child_has_a_session_of_its_own_and_its_output_in_the_log(tmp_path: Path) -> None:
    child = _python("import os; print(os.getsid(0) == os.getpid())", tmp_path / "logs" / "a.log")
    assert child.wait(60) == 0
    assert (tmp_path / "logs" / "a.log").read_text() == "True\n"


def test_child_that_does_not_listen_is_killed_with_its_group(tmp_path: Path) -> None:
    child = _python(STUBBORN, tmp_path / "a.log")
    eventually(lambda: "deaf" in (tmp_path / "a.log").read_text() or None, "the child to be deaf")
    stop([child], seconds=0.05)
    assert child.returncode == -signal.SIGKILL


def test_interrupted_stop_kills_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = [_python(STUBBORN, tmp_path / f"{number}.log") for number in range(2)]
    for number in range(2):
        log = tmp_path / f"{number}.log"
        eventually(lambda log=log: "deaf" in log.read_text() or None, "a deaf child")
    monkeypatch.setattr(children[0], "wait", _interrupt_once(children[0].wait))
    with pytest.raises(KeyboardInterrupt):
        stop(children)
    assert [child.returncode for child in children] == [-signal.SIGKILL] * 2


def _interrupt_once(wait: Callable[..., int]) -> Callable[..., int]:
    calls: list[None] = []

    def waiting(timeout: float | None = None) -> int:
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wait(timeout)

    return waiting


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from pfpnas_operator.local.processes import spawn\n"
        "child = spawn([sys.executable, '-c', 'import time; time.sleep(99)'], log=Path(sys.argv[1]), "
        "environment=os.environ)\n"
        "print(child.pid, flush=True); time.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.log")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _alive(child)
        parent.kill()
    eventually(lambda: not _alive(child) or None, "the child to be gone")


def test_last_line_that_says_something(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("first\nlast words\n\n  \n")
    assert last_line(tmp_path / "a.log") == "last words"
    assert last_line(tmp_path / "none.log") == ""
    (tmp_path / "long.log").write_bytes(b"x" * 100_000)
    assert last_line(tmp_path / "long.log", most=5) == "xxxxx"


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Workloads that print what they were told and end with 42."""
    code = "import os, sys; print(os.environ['PFPNAS_JOB']); sys.exit(42)"
    monkeypatch.setattr(module, "sys", _FakeSys(tmp_path, code))
    return Processes(logs=tmp_path, redis_url="redis://nowhere", artifacts="folder")


class _FakeSys:
    """The interpreter's place, taken by a script: what a workload does is not looked at here."""

    platform = sys.platform

    def __init__(self, folder: Path, code: str) -> None:
        script = folder / "python"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}"\n')
        script.chmod(0o755)
        self.executable = str(script)


REQUEST = JobRequest(name="w", workload="trial-worker", document=TrialWorkerJob(uid="u-1", experiment="e"))


def test_job_that_ends_is_seen_with_its_code_and_last_words(jobs: Processes) -> None:
    jobs.create(REQUEST, now=NOW)
    assert jobs.uids() == {"w": "u-1"}
    view = eventually(lambda: next((v for v in jobs.views(NOW).values() if not v.active), None), "its end")
    assert (view.state, view.exit_code) == ("Failed", 42)
    assert "ended with exit code 42" in view.message
    assert '"uid":"u-1"' in view.message


def test_job_is_created_once_and_again_only_after_it_was_deleted(jobs: Processes) -> None:
    jobs.create(REQUEST, now=NOW)
    jobs.create(REQUEST, now=NOW + seconds(5))
    assert jobs.views(NOW)["w"].since == NOW
    jobs.delete(["w", "unknown"])
    assert jobs.views(NOW) == {}
    jobs.create(REQUEST, now=NOW + seconds(9))
    assert jobs.views(NOW)["w"].since == NOW + seconds(9)
    jobs.stop_all()
