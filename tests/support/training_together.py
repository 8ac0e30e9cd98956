"""Several ranks of a training as real processes: one torchrun each, as one in each pod of an Indexed Job."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB
from support.ports import free_port
from support.training_process import DEADLINE_SECONDS

SHUTDOWN_SECONDS = 65.0
"""A launcher that was told to stop has ended by then, and its rank with it."""

LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

PRETRAIN = ("-m", "pfpnas_workloads", "pretrain")


class Together:
    """Launchers, one a pod, and where each one's words are."""

    def __init__(self, document: dict[str, Any], folder: Path, *, pods: int, program: Sequence[str] = PRETRAIN) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._document, self._folder, self._count, self._program = document, folder, pods, program
        self.port, self.logs, self.pods = 0, list[Path](), list["subprocess.Popen[bytes]"]()

    def start(self) -> None:
        """The first pod, once more as long as somebody else has its port, and then those that look for it."""
        self.start_first()
        while not self.listens():
            if self.pods[0].poll() is not None:
                assert "EADDRINUSE" in self.words(), f"the first pod ended: {self.words()}"
                self.start_first()
            time.sleep(0.02)
        for index in range(1, self._count):
            self._start(index)

    def start_first(self, port: int | None = None) -> None:
        """The pod with rank 0 alone, on a port that was free a moment ago unless one is given."""
        self.port, self.logs, self.pods = port or free_port(), [], []
        self._start(0)

    def _start(self, index: int) -> None:
        self.logs.append(self._folder / f"pod-{index}-{self.port}.log")
        with self.logs[-1].open("wb") as output:
            launcher = [sys.executable, *_torchrun(index, self._count, self.port), *self._program]
            environ = environment(self._document, self._folder)
            self.pods.append(subprocess.Popen(launcher, env=environ, stdout=output, stderr=output))

    def listens(self) -> bool:
        """Whether the first pod, and not another process, can be found by the others."""
        return not _listeners(self.port).isdisjoint(_sockets(self.pods[0].pid))

    def wait(self, seconds: float = DEADLINE_SECONDS) -> list[int]:
        """The exit codes, once all have ended.

        Raises:
            AssertionError: some don't; with the words of all.
        """
        poll(lambda: None not in self.codes(), seconds)
        assert None not in self.codes(), f"{self.codes()} after {seconds:.0f} s: {self.words()}"
        return [pod.returncode for pod in self.pods]

    def codes(self) -> list[int | None]:
        """The exit codes of those that have ended."""
        return [pod.poll() for pod in self.pods]

    def words(self) -> str:
        """What all of them wrote."""
        return "".join(log.read_text() for log in self.logs)

    def until(self, condition: Callable[[], bool]) -> None:
        """Poll until `condition` holds, as long as all pods live."""
        poll(lambda: condition() or self.codes() != [None] * len(self.pods), DEADLINE_SECONDS)
        assert condition(), f"in vain, {self.codes()} have ended: {self.words()}"

    def ranks(self, pod: int) -> list[int]:
        """Process ids of the ranks that a pod's torchrun started."""
        return _children(self.pods[pod].pid)

    def end(self) -> None:
        """End what runs, in order where that works."""
        for pod in self.pods:
            pod.terminate()
        poll(lambda: None not in self.codes(), SHUTDOWN_SECONDS)
        for pod in self.pods:
            ranks = _children(pod.pid) if pod.poll() is None else []
            pod.kill()
            pod.wait()
            for rank in ranks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGKILL)


@contextmanager
def together(document: dict[str, Any], folder: Path, *, pods: int = 2) -> Iterator[Together]:
    """A training by several pods with the store in ``folder/store``, for the length of the block."""
    with unstarted(document, folder, pods=pods) as training:
        training.start()
        yield training


@contextmanager
def unstarted(
    document: dict[str, Any], folder: Path, *, pods: int = 2, program: Sequence[str] = PRETRAIN
) -> Iterator[Together]:
    """The same before any pod runs, or another program; whatever is started is ended after the block."""
    training = Together(document, folder, pods=pods, program=program)
    try:
        yield training
    finally:
        training.end()


def _torchrun(index: int, pods: int, port: int) -> list[str]:
    shape = [f"--nnodes={pods}", "--nproc-per-node=1", f"--node-rank={index}"]
    place = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    return ["-m", "pfpnas_workloads.torchrun", *shape, *place]


def environment(document: dict[str, Any], folder: Path) -> dict[str, str]:
    """What a pod of the training finds in its environment."""
    ours = {ENV_ARTIFACTS: str(folder / "store"), ENV_JOB: json.dumps(document)}
    return {**os.environ, **ours, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def poll(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until it holds, at most for so long."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):  # it ends meanwhile
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []


def _listeners(port: int) -> set[str]:
    """The inodes of the sockets that listen on a port."""
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    fields = [line.split() for line in lines]
    return {line[9] for line in fields if line[3] == LISTENING and line[1].endswith(f":{port:04X}")}


def _sockets(pid: int) -> set[str]:
    """The inodes of a process' sockets."""
    found = set()
    with contextlib.suppress(OSError):  # it ends, or closes one
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    return found
