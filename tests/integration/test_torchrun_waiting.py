"""Our torchrun while it waits: for torch, for other nodes at the start and at the end, for a rank that doesn't stop.

Most of that happens inside of C++, where Python runs no handler of a signal.
"""

import signal
import socket
from pathlib import Path
from typing import Any

from pfpnas_api.jobs import EXIT_RETRY
from pfpnas_workloads.torchrun import EXIT_FAILED
from support.signals import hears_sigterm
from support.tiny_supernet import tiny_spec
from support.training_together import SHUTDOWN_SECONDS, poll, unstarted

JOB: dict[str, Any] = {"kind": "Pretrain", "uid": "tiny", "spec": tiny_spec().document()}

LOSES_ITS_LAUNCHER = """
import os, signal
if os.environ["RANK"] == "1":
    os.kill(os.getppid(), signal.SIGKILL)
"""


def test_told_to_stop_while_torch_is_loaded(tmp_path: Path) -> None:
    with unstarted(JOB, tmp_path) as training:
        training.start_first()
        training.until(lambda: hears_sigterm(training.pods[0].pid))
        training.pods[0].terminate()
        assert training.wait(SHUTDOWN_SECONDS) == [EXIT_RETRY], training.words()


def test_told_to_stop_while_the_other_node_does_not_come(tmp_path: Path) -> None:
    with unstarted(JOB, tmp_path) as training:
        training.start_first()
        training.until(training.listens)
        assert f"node 0 waits for all 2 nodes at 127.0.0.1:{training.port}" in training.words()
        training.pods[0].terminate()
        assert training.wait(SHUTDOWN_SECONDS) == [EXIT_RETRY], training.words()


def test_told_to_stop_while_the_other_node_does_not_end(tmp_path: Path) -> None:
    """The other launcher is killed, so it never says that its rank has ended."""
    (tmp_path / "script.py").write_text(LOSES_ITS_LAUNCHER)
    with unstarted(JOB, tmp_path, program=[str(tmp_path / "script.py")]) as training:
        training.start()
        first, second = training.pods
        assert second.wait(SHUTDOWN_SECONDS) == -signal.SIGKILL
        poll(lambda: training.ranks(0) == [], SHUTDOWN_SECONDS)
        first.terminate()
        assert training.wait(SHUTDOWN_SECONDS)[0] == EXIT_RETRY, training.words()


def test_a_node_that_never_comes_ends_the_wait_and_is_named(tmp_path: Path) -> None:
    with unstarted(JOB, tmp_path, program=["--rdzv-conf=timeout=2", "-m", "this"]) as training:
        training.start_first()
        assert training.wait() == [EXIT_RETRY], training.words()
        (said,) = [line for line in training.words().splitlines() if "did not meet" in line]
        assert said.startswith(f"pfpnas-workloads: did not meet all 2 nodes at 127.0.0.1:{training.port}: Timed out")
        assert "Traceback" not in training.words()


def test_a_port_that_is_taken_is_no_matter_of_the_other_nodes(tmp_path: Path) -> None:
    with unstarted(JOB, tmp_path) as training, socket.create_server(("", 0)) as taken:
        training.start_first(taken.getsockname()[1])
        assert training.wait() == [EXIT_FAILED], training.words()
        assert "EADDRINUSE" in training.words()
        assert "Traceback" not in training.words()
