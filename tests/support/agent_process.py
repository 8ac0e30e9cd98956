"""A real agent process, the operator's side of its bus, and what both need in a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import OperatorBus, connect, keys
from pfpnas_api.messages import MeasureResult, MeasureTask, ModelRef
from support.agent_data import write_idx
from support.agent_models import pushed, tiny_model

POOL = "bench"
WAIT_SECONDS = 60.0

Found = TypeVar("Found")


@dataclass
class World:
    """One device (config, data, state) and the Redis that it is told of."""

    folder: Path
    url: str
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = connect(self.url)
        self.operator = OperatorBus(self.client)
        self.store = FolderStore(self.folder / "store")
        private = self.folder / "private"
        private.mkdir(parents=True)
        self.config = {
            "pool": POOL,
            "redis": {"url": self.url},
            "stateDir": "state",
            "datasets": {"quadrants": {"format": "IDX", **write_idx(private)}},
            **self.config,
        }

    @property
    def config_path(self) -> Path:
        path = self.folder / "agent.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def push(self, content: bytes) -> ModelRef:
        return pushed(self.client, POOL, content, self.store)

    def task(self, **changes: Any) -> MeasureTask:
        fields: dict[str, Any] = {
            "experiment": "e1",
            "namespace": "default",
            "dataset": "quadrants",
            "head": "Fitted",
            "backend": "onnxruntime",
            "measurement": {"warmup_seconds": 0.05, "max_seconds": 2.0, "deadline_seconds": 60},
        }
        if "model" not in changes:
            fields["model"] = self.push(tiny_model(seed=1))
        if "reference" not in changes:
            fields["reference"] = self.push(tiny_model(seed=2, features=8))
        return MeasureTask.identified(**{**fields, **changes})

    def publish(self, task: MeasureTask) -> None:
        self.operator.ensure_pool(POOL)
        self.operator.publish_task(POOL, task)

    def results(self) -> list[MeasureResult]:
        received = self.operator.results(POOL)
        assert all(one.result is not None for one in received), "the agent wrote something that is no result"
        return [one.result for one in received if one.result is not None]

    def result_of(self, task: MeasureTask) -> MeasureResult:
        return eventually(lambda: next((r for r in self.results() if r.task_id == task.task_id), None), "a result")

    def measured(self, task: MeasureTask) -> MeasureResult:
        """Publish a task and wait for its result; an agent must be running."""
        self.publish(task)
        return self.result_of(task)

    def pending(self) -> int:
        """Tasks that were claimed and not acknowledged yet."""
        return int(self.client.xpending(keys.tasks(POOL), keys.AGENTS_GROUP)["pending"])

    def await_nothing_pending(self) -> None:
        """Wait for the last acknowledgement: it comes a moment after the result."""
        eventually(lambda: self.pending() == 0 or None, "the acknowledgement")

    @contextmanager
    def agent(self, *arguments: str, environment: dict[str, str] | None = None) -> Iterator["AgentProcess"]:
        with agent_process(self.folder, self.config_path, *arguments, environment=environment) as process:
            yield process


class AgentProcess:
    """`pfpnas-agent run`, with its log in a file."""

    def __init__(self, folder: Path, config: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._log = folder / f"agent-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "pfpnas_agent", "run", "--config", str(config), *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As `kill -9` does: nothing is told to its children."""
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.returncode

    def wait(self) -> int:
        return self._process.wait(30)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def wait_for(self, event: str, *, times: int = 1) -> None:
        eventually(lambda: len(self.events(event)) >= times or None, f"{event!r} in the log", lambda: self.output)


@contextmanager
def agent_process(
    folder: Path, config: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[AgentProcess]:
    """An agent with that config, its log in the folder; it is stopped at the end."""
    process = AgentProcess(folder, config, arguments, environment or {})
    try:
        yield process
    finally:
        process.end()


def eventually(look: Callable[[], Found | None], what: str, shown: Callable[[], str] = lambda: "") -> Found:
    """Look again and again until there is something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {WAIT_SECONDS:.0f} s in vain for {what}\n{shown()}")


def children(pid: int) -> list[int]:
    """Process ids of the children that run."""
    stats = [_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [stat[0] for stat in stats if stat is not None and stat[2] == pid and stat[1] != "Z"]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, for which nobody waits in a bare container, doesn't."""
    stat = _stat(pid)
    return stat is not None and stat[1] != "Z"


def _stat(pid: int) -> tuple[int, str, int] | None:
    """Process id, state, parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return pid, fields[0], int(fields[1])
