"""How many trials a second go through the loop when neither building nor measuring costs anything.

    uv run python tests/benchmarks/loop.py [--trials 400] [--parallel 12]

Real are the driver of `pfpnas run` with its decisions, its folder and its log, the tuner (a process, RandomSearch
without pseudo trials), and Redis. Two processes stand in for the rest: one answers builds (it writes artifact and
manifest as the trial worker does), one answers tasks as an agent whose backend takes no time. The rate counts from the
first trial that finishes to the last, so that the processes' start is left out. A second row compares the last
quarter's rate with the first one's: nothing may grow with the trials that are finished.
There is no peer: no other program answers the same question.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.kinds import ArtifactRef, NASExperiment, Supernet, is_true
from pfpnas_operator.local import driver
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.logbook import Logbook
from pfpnas_operator.local.observer import Records
from pfpnas_operator.local.processes import Processes, _Process, spawn
from pfpnas_operator.local.server import RunRedis
from pfpnas_operator.reconcile import Event, JobRequest
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.encoding import width
from pfpnas_workloads.prediction.predictor import Layer

TARGET = 20.0
INSTANT = [sys.executable, str(Path(__file__).parents[1] / "support" / "instant_work.py")]
SPACE = {"backbone": "MobileNetV2", "widthMultiplier": "0.35", "kernelSizes": [3, 5], "expandRatios": [2, 3, 4]}
POOL = "bench"


class InstantBuilds(Processes):
    """The run's processes; in the trial worker's place stands one whose builds take no time."""

    def create(self, request: JobRequest, *, now: datetime) -> None:
        """Start a process; the trial worker's is another program."""
        if request.workload != "trial-worker":
            return super().create(request, now=now)
        log, uid = self.logs / f"{request.name}.log", request.document.uid
        argv = [*INSTANT, "builds", self.redis_url, request.document.experiment, self.artifacts]
        popen = spawn(argv, log=log, environment=os.environ)
        self._running[request.name] = _Process(popen=popen, uid=uid, log=log, since=now, progressed_at=now)
        return None


def trained(store: FolderStore) -> Supernet:
    """A Supernet as it is after training; nobody opens its checkpoint here, but the tuner opens its predictor."""
    documents = {"searchSpace": SPACE, "dataset": {"format": "Shapes"}}
    supernet = Supernet.model_validate({"metadata": {"name": "net", "uid": "net-uid"}, "spec": documents})
    checkpoint, calibration = store.put(b"checkpoint"), store.put(b"calibration")
    predictor = store.put(untrained_predictor(supernet, checkpoint))
    status: dict[str, Any] = {
        "conditions": [
            {"type": kind, "status": "True", "reason": "Benchmark", "lastTransitionTime": datetime.now(UTC)}
            for kind in ("Trained", "PredictorReady", "Ready")
        ],
        "checkpoint": {**of(checkpoint), "calibration": calibration.document(), "classes": 10},
        "predictor": {
            **of(predictor), "samples": 1, "kendallTau": 0, "meanAbsoluteError": 0, "constantMeanAbsoluteError": 0,
        },
    }  # fmt: skip
    return Supernet.model_validate({**supernet.document(), "status": status})


def of(artifact: ArtifactRef) -> dict[str, Any]:
    """An artifact as a status names it."""
    return {"uri": f"sha256:{artifact.sha256}", "sha256": artifact.sha256, "size": artifact.size}


def untrained_predictor(supernet: Supernet, checkpoint: ArtifactRef) -> bytes:
    """A predictor of the usual size that always says a half."""
    sizes = [width(supernet.space()), 400, 400, 400, 1]
    layers = [
        Layer(np.zeros((inputs, outputs), np.float32), np.full(outputs, 0.5, np.float32))
        for inputs, outputs in zip(sizes, sizes[1:], strict=False)
    ]
    return AccuracyPredictor(supernet.space(), checkpoint.sha256, tuple(layers)).save()


def experiment(trials: int, parallel: int) -> NASExperiment:
    """A search whose baselines are few: with the supernet's own head there are no raw pixels."""
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
def instant_agent(url: str) -> Iterator[None]:
    """An agent of the pool, for the length of the block."""
    process = subprocess.Popen([*INSTANT, "measurements", url, POOL])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def searched(root: Path, *, trials: int, parallel: int) -> Records:
    """The records of a search that went through the loop."""
    folder = RunFolder(root)
    records = Records.of(trained(folder.store), experiment(trials, parallel), [])
    with (
        RunRedis(None, log=folder.logs / "redis.log") as server,
        instant_agent(server.url),
        Logbook(root / "log.jsonl", namespace="default", experiment="loop") as logbook,
        patch.object(driver, "Processes", InstantBuilds),
    ):

        def announce(event: Event) -> None:
            logbook.write(event, now=datetime.now(UTC))

        driver.run_search(
            driver.Setting(folder=folder, redis_url=server.url, agent_config=None),
            records,
            stop=threading.Event(),
            announce=announce,
            watch=lambda records, observed: None,
        )
    if not is_true(records.experiment.status.conditions, "Succeeded"):
        raise SystemExit(f"the search failed: {records.experiment.status.conditions}")
    return records


def rates(records: Records) -> tuple[float, float]:
    """Trials a second over the whole, and the last quarter's rate as a multiple of the first quarter's."""
    ends = sorted(t.status.finished_at.timestamp() for t in records.finished if t.status.finished_at is not None)
    quarter = len(ends) // 4
    first, last = ends[quarter] - ends[0], ends[-1] - ends[-1 - quarter]
    return (len(ends) - 1) / (ends[-1] - ends[0]), first / last


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
            found.append(rates(searched(Path(root), trials=asked.trials, parallel=asked.parallel)))
    rate, steadiness = (float(np.median(figures)) for figures in zip(*found, strict=True))
    size = f"{asked.trials} trials, {asked.parallel} parallel"
    print(row(f"loop: {size}", rate, "trials/s", f">= {TARGET:g}"))
    print(row("loop: last quarter's rate over the first's", steadiness, "ratio", "about 1"))


if __name__ == "__main__":
    main()
