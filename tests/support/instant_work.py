"""Builders that cost nothing: `instant_work.py builds | measuring_builds …`, and figures that nobody measured.

Each is a process of its own. They speak the real bus; only the work is left out. What is measured of a candidate
follows from its digest, or from its architecture's name where its image measures by itself.
"""

import hashlib
import sys
from collections.abc import Callable

from redis.exceptions import RedisError

from pfpnas_api.artifacts import open_store
from pfpnas_api.bus import WorkerBus, WorkloadBus, connect
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds.metrics import Accuracy, Latency
from pfpnas_api.messages import BuildRequest, MeasureResult, MeasureTask


def figures(task: MeasureTask) -> MeasureResult:
    """A result as a measurement would give it, drawn from the candidate's digest."""
    drawn = hashlib.sha256((task.model.sha256 if task.model else task.task_id).encode()).digest()
    p50 = 1 + drawn[0] / 256
    latency = Latency(p50=p50, p90=1.1 * p50, mad=0.01, runs=64, reference=1.0)
    return MeasureResult(
        task_id=task.task_id, latency=latency, accuracy=Accuracy(value=0.5 + drawn[1] / 1024, samples=360), seconds=0.0
    )


def model(architecture: str) -> bytes:
    """An ONNX file that says whose it is, and nothing else."""
    import onnx  # not for the agent, which needs the figures only

    return bytes(onnx.ModelProto(producer_name=architecture).SerializeToString())


def builds(url: str, experiment: str, artifacts: str, token: str = "") -> None:
    """Answer every build of an experiment: its artifact and its manifest are really written."""
    store, bell = open_store(artifacts, token or None), WorkloadBus(connect(url))

    def build(request: BuildRequest) -> None:
        artifact = store.put(model(request.architecture))
        store.write_manifest(Manifest(uid=request.uid, outcome="Done", artifacts={"model": artifact}))
        bell.push(request.pool, artifact, store)

    _serve(url, experiment, build)


def measuring_builds(url: str, experiment: str, artifacts: str, token: str = "") -> None:
    """Answer every build of an experiment as an image does that measures by itself."""
    store = open_store(artifacts, token or None)

    def measure(request: BuildRequest) -> None:
        drawn = hashlib.sha256(request.architecture.encode()).digest()
        own = {"accuracy": 0.5 + drawn[0] / 512, "latencyMilliseconds": 1 + drawn[1] / 64}
        store.write_manifest(Manifest(uid=request.uid, outcome="Done", figures=own))

    _serve(url, experiment, measure)


def _serve(url: str, experiment: str, make: Callable[[BuildRequest], None]) -> None:
    client = connect(url)
    bus, bell = WorkerBus(client, experiment=experiment, worker="instant"), WorkloadBus(client)
    while True:
        claim = bus.next()
        if claim is None:
            continue
        if claim.request is not None:
            make(claim.request)
            bell.ring(claim.request.uid)
        bus.acknowledge(claim)


WORK: dict[str, Callable[..., None]] = {work.__name__: work for work in (builds, measuring_builds)}

if __name__ == "__main__":
    try:
        WORK[sys.argv[1]](*sys.argv[2:])
    except RedisError:  # the run is over, and its server gone
        sys.exit(0)
