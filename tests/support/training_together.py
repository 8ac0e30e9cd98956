"""Several ranks of a training as real processes: one torchrun each, as one in each pod of an Indexed Job."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB
from support.training_process import DEADLINE_SECONDS, wait_until


class Together:
    """Launchers, one a pod, and where each one's words are."""

    def __init__(self, document: dict[str, Any], folder: Path, *, pods: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.logs = [folder / f"pod-{index}-{port}.log" for index in range(pods)]
        self.pods = [
            _start(_torchrun(index, pods, port), document, folder, log=log) for index, log in enumerate(self.logs)
        ]

    def wait(self) -> list[int]:
        """The exit codes, once all have ended."""
        return [pod.wait(DEADLINE_SECONDS) for pod in self.pods]

    def words(self) -> str:
        """What all of them wrote."""
        return "".join(log.read_text() for log in self.logs)

    def until(self, condition: Any) -> None:
        """Poll until `condition` holds, as long as the first pod lives."""
        wait_until(condition, self.pods[0])

    def rank(self, pod: int) -> int:
        """Process id of the rank that a pod's torchrun started."""
        children = Path(f"/proc/{self.pods[pod].pid}/task/{self.pods[pod].pid}/children").read_text().split()
        (child,) = children
        return int(child)


@contextmanager
def together(document: dict[str, Any], folder: Path, *, pods: int = 2) -> Iterator[Together]:
    """A training by several pods with the store in ``folder/store``, for the length of the block."""
    training = Together(document, folder, pods=pods)
    try:
        yield training
    finally:
        for pod in training.pods:
            pod.terminate()  # it takes its rank with it; a killed one would leave it behind
        training.wait()


def _torchrun(index: int, pods: int, port: int) -> list[str]:
    shape = [f"--nnodes={pods}", "--nproc-per-node=1", f"--node-rank={index}"]
    place = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    return ["-m", "pfpnas_workloads.torchrun", *shape, *place, "-m", "pfpnas_workloads", "pretrain"]


def environment(document: dict[str, Any], folder: Path) -> dict[str, str]:
    """What a pod of the training finds in its environment."""
    ours = {ENV_ARTIFACTS: str(folder / "store"), ENV_JOB: json.dumps(document)}
    return {**os.environ, **ours, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def _start(arguments: list[str], document: dict[str, Any], folder: Path, *, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *arguments], env=environment(document, folder), stdout=output, stderr=output
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
