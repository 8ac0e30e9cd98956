"""`pfpnas run` as a real process with all its children, on a search so small that it takes seconds."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from pfpnas_api.bus import connect
from pfpnas_api.bus.connection import Client
from pfpnas_api.kinds import NASExperiment, Supernet, Trial, is_true
from pfpnas_operator.documents import load
from pfpnas_operator.local.folder import RunFolder, begin_or_resume
from support.agent_data import write_idx

PFPNAS = str(Path(sys.executable).with_name("pfpnas"))
WAIT_SECONDS = 240.0
"""Every wait ends with an error after so long: a run takes seconds, unless the machine is busy with other things."""

MARK = "PFPNAS_TEST_MARK"
"""Set for a run, and so for all its children: they are found by it whoever has become their parent."""

SUPERNET: dict[str, Any] = {
    "apiVersion": "pfpnas.io/v1alpha1",
    "kind": "Supernet",
    "metadata": {"name": "tiny-net"},
    "spec": {
        "searchSpace": {
            "backbone": "MobileNetV2",
            "widthMultiplier": "0.1",
            "kernelSizes": [3, 5],
            "expandRatios": [1, 2],
            "depths": [1, 2],
            "resolutions": [16],
        },
        "dataset": {"format": "Shapes", "shapes": {"samples": 160, "validationSamples": 50, "resolution": 16}},
        "training": {"epochs": 1, "batchSize": 32, "calibrationImages": 64, "checkpointEvery": 1},
        "predictor": {"samples": 20, "validationImages": 50, "calibrationImages": 32},
    },
}

EXPERIMENT: dict[str, Any] = {
    "apiVersion": "pfpnas.io/v1alpha1",
    "kind": "NASExperiment",
    "metadata": {"name": "tiny"},
    "spec": {
        "supernetRef": {"name": "tiny-net"},
        "target": {"pool": "bench", "dataset": "private", "measurement": {"warmupSeconds": "0.01"}},
        "objective": {"constraints": [{"metric": "Latency", "maxRelative": "20"}]},
        "tuner": {"algorithm": "RandomSearch"},
        "budget": {"maxTrials": 4, "parallelTrials": 2},
        "trialTemplate": {"mode": "Pooled"},
    },
}


class Whole(dict[str, Any]):
    """A value that takes the place of a field as a whole."""


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, field by field."""
    both = dict(base)
    for name, value in changes.items():
        inside = both.get(name)
        if isinstance(value, Whole):
            both[name] = dict(value)
        elif isinstance(value, Mapping) and isinstance(inside, Mapping):
            both[name] = merged(inside, value)
        else:
            both[name] = value
    return both


@dataclass
class Place:
    """A folder with the documents of a tiny search, its private data, and the run's own folder `out`."""

    folder: Path
    experiment: dict[str, Any] = field(default_factory=dict)
    supernet: dict[str, Any] = field(default_factory=dict)
    classes: int = 4

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = write_idx(self.folder, classes=self.classes)
        self.agent: dict[str, Any] = {"pool": "bench", "datasets": {"private": {"format": "IDX", **self.data}}}
        self.write()

    def write(self) -> None:
        """The documents as they stand now."""
        documents = [merged(SUPERNET, self.supernet), merged(EXPERIMENT, self.experiment)]
        (self.folder / "search.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))
        (self.folder / "agent.yaml").write_text(yaml.safe_dump(self.agent))

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def paths(self) -> list[str]:
        return [str(self.folder / "search.yaml"), str(self.folder / "agent.yaml")]

    def adopt_supernet(self, trained: Path) -> None:
        """Begin with the Supernet that another run has trained, so that only the search is left to do."""
        shutil.copytree(trained / "artifacts", self.out / "artifacts")
        shutil.copy(trained / "supernet.yaml", self.out / "supernet.yaml")
        self.write_experiment()

    def write_experiment(self, *, uid: str | None = None) -> None:
        """The experiment as a run that has just begun would leave it beside its Supernet; with a uid of its own."""
        documents = load([Path(self.paths[0])])
        _, experiment, _ = begin_or_resume(
            RunFolder(self.folder / "new"), documents.supernets[0], documents.experiments[0]
        )
        metadata = experiment.metadata.model_copy(update={} if uid is None else {"uid": uid})
        RunFolder(self.out).write_experiment(experiment.model_copy(update={"metadata": metadata}))

    @contextmanager
    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator["RunProcess"]:
        """`pfpnas run` on these documents; whatever is left of it is killed at the end."""
        process = RunProcess([*self.paths, "--out", str(self.out), *arguments], environment or {})
        try:
            yield process
        finally:
            process.kill_all()
            process.forget()

    @contextmanager
    def agent_elsewhere(self, url: str) -> Iterator[None]:
        """A real agent with these data, started by itself as on a device of its own."""
        command = [sys.executable, "-m", "pfpnas_agent", "run", "--config", self.paths[1], "--redis", url]
        command += ["--state", str(self.folder / "agent")]
        with (self.folder / "agent.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()

    def assert_whole(self, *, trials: int) -> None:
        """Every trial of the budget was measured in the end, and is counted once."""
        found = self.trials()
        assert sorted(trial.spec.index or 0 for trial in found.values()) == list(range(trials))
        assert [name for name, trial in found.items() if not is_true(trial.status.conditions, "Succeeded")] == []
        counts = self.documents()[1].status.trials
        assert (counts.created, counts.succeeded, counts.failed) == (trials, trials, 0)

    def trials(self) -> dict[str, Trial]:
        """The trials' documents, by name."""
        read = [load_trial(path) for path in sorted((self.out / "trials").glob("*.yaml"))]
        return {trial.metadata.name: trial for trial in read}

    def documents(self) -> tuple[Supernet, NASExperiment]:
        """The two documents in the run's folder."""
        supernet, experiment, _ = RunFolder(self.out).read()
        return supernet, experiment

    def journal(self) -> dict[str, bytes]:
        """What the agent has finished, by file name, sent or not."""
        found = (self.out / "agent" / "journal").glob("*/*.json")
        # Those that begin with a dot are being written.
        return {path.name: path.read_bytes() for path in found if not path.name.startswith(".")}

    def measured(self) -> Counter[str]:
        """How often the agent came to the end of measuring each task."""
        log = self.out / "logs" / "agent.log"
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return Counter(line["task"] for line in lines if line["event"] == "measured")


def load_trial(path: Path) -> Trial:
    return Trial.model_validate_json(json.dumps(yaml.safe_load(path.read_text())), strict=True, by_alias=True)


class RunProcess:
    """One `pfpnas run`, in a session of its own, with what it prints in two files."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._mark = uuid4().hex
        # Its own Redis listens on a socket in here, and the path of a socket has to be short.
        self._scratch = Path(tempfile.mkdtemp(prefix=f"r{self._mark[:6]}"))
        self._out, self._err = self._scratch / "stdout", self._scratch / "stderr"
        inherited = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TMPDIR": str(self._scratch)}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [PFPNAS, "run", *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env={**inherited, MARK: self._mark, **environment},
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Its exit code; what it printed stays readable."""
        try:
            return self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {WAIT_SECONDS} s\n{self.stdout}\n{self.stderr}") from None

    def limit_files(self, size: int) -> None:
        """From now on nothing of it can write a file of more than `size` bytes, as on a disk that is full."""
        for pid in (self.pid, *self.children()):
            try:
                _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
            except ProcessLookupError:
                continue

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """Look again and again until there is something; an error when the run ends before."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            ended = self._process.poll()
            found = look()
            if found:
                return found
            assert ended is None, f"ended with {ended} before {what}\n{self.stdout}\n{self.stderr}"
            time.sleep(0.01)
        raise AssertionError(f"waited {WAIT_SECONDS} s in vain for {what}\n{self.stdout}\n{self.stderr}")

    def children(self) -> dict[int, str]:
        """Command lines of all processes that belong to this run and still live, without itself."""
        return {pid: line for pid, line in _alive(self._mark, str(self._scratch)) if pid != self.pid}

    def child(self, words: str) -> int:
        """The process id of a child, once there is one, by words of its command line."""

        def look() -> int | None:
            return next((pid for pid, line in self.children().items() if words in line), None)

        found: int = self.until(look, f"a process {words!r}")
        return found

    def kill_child(self, words: str) -> int:
        """Kill -9 a child once there is one."""
        pid = self.child(words)
        os.kill(pid, signal.SIGKILL)
        return pid

    def redis(self) -> Client:
        """A client of the Redis that the run has started for itself, once it is there."""
        socket = self.until(lambda: next(self._scratch.glob("pfpnas-*/redis.sock"), None), "its Redis")
        return connect(f"unix://{socket}")

    def kill(self) -> None:
        """Kill -9 the run alone."""
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """Kill -9 the run and everything it has started, itself first so that it starts nothing new."""
        if self._process.poll() is None:
            self.kill()
        deadline = time.monotonic() + WAIT_SECONDS
        while self.children() and time.monotonic() < deadline:
            for pid in self.children():
                _kill(pid)
            time.sleep(0.01)

    def await_no_children(self) -> None:
        """An error when something that the run has started goes on without it."""
        deadline = time.monotonic() + 60
        while self.children():
            assert time.monotonic() < deadline, f"left behind: {self.children()}"
            time.sleep(0.02)

    def forget(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _alive(mark: str, scratch: str) -> Iterator[tuple[int, str]]:
    """Processes with the mark in their environment, or the folder in their command line (as Redis shows itself)."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if not zombie and (f"{MARK}={mark}".encode() in environment or scratch in line):
            yield int(entry.name), line
