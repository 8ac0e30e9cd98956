"""How many trials a second go through the loop when neither building nor measuring costs anything.

    uv run python tests/benchmarks/loop.py [--trials 400] [--parallel 12]

Real are the driver of `pfpnas run` with its decisions, its folder and its log, the tuner (a process, RandomSearch
without pseudo trials), Redis, and the agent: it claims, fetches and checks models, keeps its journal, answers. Only its
measuring process answers at once. A process stands in for the trial worker: it writes artifact and manifest as that one
does. The rate counts from the first trial that finishes to the last, so that the processes' start is left out. A second
row compares the last quarter's rate with the first one's: nothing may grow with the trials that are finished.
There is no peer: no other program answers the same question.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

from pfpnas_api.jobs import TrialWorkerJob
from pfpnas_api.kinds import NASExperiment, SearchSpaceSpec, is_true
from pfpnas_operator.local import driver
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.logbook import Logbook
from pfpnas_operator.local.processes import Processes, _Process, spawn
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.server import RunRedis
from pfpnas_operator.reconcile import Event, ExperimentObserved, JobRequest
from support.agent_data import write_idx
from support.ready_supernet import ready_supernet

TARGET = 20.0
SUPPORT = Path(__file__).parents[1] / "support"
INSTANT = [sys.executable, str(SUPPORT / "instant_work.py")]
SPACE = SearchSpaceSpec(backbone="MobileNetV2", width_multiplier="0.35", kernel_sizes=(3, 5), expand_ratios=(2, 3, 4))
POOL = "bench"


class InstantBuilds(Processes):
    """The run's processes; in the trial worker's place stands one whose builds take no time."""

    def create(self, request: JobRequest, *, now: datetime) -> None:
        """Start a process; the trial worker's is another program."""
        if not isinstance(request.document, TrialWorkerJob):
            return super().create(request, now=now)
        log, uid = self.logs / f"{request.name}.log", request.document.uid
        argv = [*INSTANT, "builds", self.redis_url, request.document.experiment, self.artifacts]
        popen = spawn(argv, log=log, environment=os.environ)
        self._running[request.name] = _Process(popen=popen, uid=uid, log=log, since=now)
        return None


def experiment(trials: int, parallel: int) -> NASExperiment:
    """The search."""
    spec = {
        "supernetRef": {"name": "net"},
        "target": {"pool": POOL, "dataset": "private", "head": "Supernet"},
        "objective": {"constraints": [{"metric": "Latency", "maxRelative": "1.5"}]},
        "tuner": {"algorithm": "RandomSearch", "pseudoTrials": 0, "seed": 1},
        "budget": {"maxTrials": trials, "parallelTrials": parallel},
        "trialTemplate": {"mode": "Pooled"},
    }
    metadata = {"name": "loop", "uid": "loop-uid"}
    return NASExperiment.model_validate({"metadata": metadata, "spec": spec})


@contextlib.contextmanager
def instant_agent(url: str, folder: Path) -> Iterator[None]:
    """An agent of the pool, for the length of the block; what it logs is beside its configuration."""
    folder.mkdir()
    config = {"pool": POOL, "stateDir": "state", "datasets": {"private": {"format": "IDX", **write_idx(folder)}}}
    (folder / "agent.yaml").write_text(yaml.safe_dump(config))
    argv = [sys.executable, str(SUPPORT / "instant_agent.py"), str(folder / "agent.yaml"), url]
    environment = os.environ | {"PYTHONPATH": str(SUPPORT.parent)}
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@dataclass
class Searched:
    """A search that went through the loop.

    Attributes:
        records: What came of it.
        spent: After every cycle: trials finished by then, and seconds of processor time that the driver had used.
    """

    records: Records
    spent: list[tuple[int, float]] = field(default_factory=list)

    def rate(self) -> float:
        """Trials a second."""
        ends = self._ends()
        return (len(ends) - 1) / (ends[-1] - ends[0])

    def rate_held(self) -> float:
        """The last quarter's rate as a multiple of the first quarter's."""
        ends = self._ends()
        quarter = len(ends) // 4
        return (ends[quarter] - ends[0]) / (ends[-1] - ends[-1 - quarter])

    def driver_milliseconds(self) -> float:
        """The driver's own processor time a trial."""
        return 1e3 * self._driver_seconds(0.0, 1.0)

    def driver_held(self) -> float:
        """The same in the last quarter as a multiple of the first quarter's."""
        return self._driver_seconds(0.75, 1.0) / self._driver_seconds(0.0, 0.25)

    def _ends(self) -> list[float]:
        return sorted(t.status.finished_at.timestamp() for t in self.records.finished if t.status.finished_at)

    def _driver_seconds(self, start: float, end: float) -> float:
        most = len(self.records.finished)
        inside = [(done, seconds) for done, seconds in self.spent if start * most <= done <= end * most and done]
        (before, first), (after, last) = inside[0], next(one for one in inside if one[0] == inside[-1][0])
        return (last - first) / (after - before)


def searched(root: Path, *, trials: int, parallel: int) -> Searched:
    """A search, from its first trial to its end."""
    folder = RunFolder(root)
    records = Records.of(ready_supernet(folder.store, SPACE, name="net"), experiment(trials, parallel), [])
    with (
        RunRedis(None, log=folder.logs / "redis.log") as server,
        instant_agent(server.url, root / "agent"),
        Logbook(root / "log.jsonl", namespace="default", experiment="loop") as logbook,
        patch.object(driver, "Processes", InstantBuilds),
    ):
        found = Searched(records)

        def announce(event: Event) -> None:
            logbook.write(event, now=datetime.now(UTC))

        def watch(records: Records, observed: ExperimentObserved | None) -> None:
            found.spent.append((len(records.finished), time.process_time()))

        driver.run_search(
            driver.Setting(folder=folder, redis_url=server.url, agent_config=None),
            records,
            stop=threading.Event(),
            announce=announce,
            watch=watch,
        )
    if not is_true(records.experiment.status.conditions, "Succeeded"):
        raise SystemExit(f"the search failed: {records.experiment.status.conditions}")
    return found


def row(name: str, figure: float, unit: str, target: str) -> str:
    """One row."""
    fields = {"row": name, "figure": round(figure, 2), "unit": unit, "target": target}
    return json.dumps({**fields, "peer": None, "peer_figure": None})


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--parallel", type=int, default=12)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    found = []
    for _ in range(asked.repetitions):
        with tempfile.TemporaryDirectory() as root:
            found.append(searched(Path(root), trials=asked.trials, parallel=asked.parallel))
    size = f"{asked.trials} trials, {asked.parallel} parallel, builds and measuring process that take no time"
    rows: list[tuple[str, Callable[[Searched], float], str, str]] = [
        (f"loop: {size}", Searched.rate, "trials/s", f">= {TARGET:g}"),
        ("loop: last quarter's rate over the first's", Searched.rate_held, "ratio", "about 1"),
        ("loop: the driver's processor time a trial", Searched.driver_milliseconds, "ms", f"<= {1e3 / TARGET:g}"),
        ("loop: the same, last quarter over the first", Searched.driver_held, "ratio", "about 1"),
    ]
    for name, figure, unit, target in rows:
        print(row(name, statistics.median(map(figure, found)), unit, target))


if __name__ == "__main__":
    main()
