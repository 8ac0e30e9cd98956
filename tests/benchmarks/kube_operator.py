"""What the operator itself costs on a real Kubernetes, with work that takes no time.

    uv run python tests/benchmarks/kube_operator.py --kubeconfig FILE [--rows pods pooled first result]

Real are the API server, the kubelet and its pods, the operator (a process beside the cluster, so that its memory is its
own), Redis, the artifact store and the tuner's pod (RandomSearch without pseudo trials). The trials' image does nothing
but leave figures of its own (tests/cluster/images/noop.c).

pods: 50 trials as pods at parallelTrials 12, from `apply` to Succeeded, and 50 bare Jobs of the same image and command
with 12 in flight, in turns. pooled: trials a second in mode Pooled, the worker a process that answers at once; then the
operator's memory and idle processor time with all of them finished, after a restart. first: from `apply` on a ready
Supernet to its first Trial. result: from an agent's answer in Redis to the Trial's status, as a watch sees it.

(Not called operator.py: beside it every script here would find it in the place of Python's own `operator`.)
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from kubernetes import client, watch

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

from cluster import images
from cluster.kube import Cluster
from cluster.provider import choose, provide, what_kind_lacks
from pfpnas_api.bus import AgentBus, GroupMissing, connect
from pfpnas_api.messages import Heartbeat
from pfpnas_operator.kube.api import EXPERIMENTS, JOBS
from support.instant_work import figures, model
from support.outside_operator import POOL, Outside, outside_operator, until
from support.release import Images
from support.seen_trials import SeenTrials

INSTANT = [sys.executable, str(Path(__file__).parents[1] / "support" / "instant_work.py")]
KATIB = "Katib 0.19, measured by us on such a machine"
SEARCH_SECONDS = 900.0
ROWS = ("pods", "pooled", "first", "result")

Row = dict[str, Any]


def row(name: str, figure: float, unit: str, target: str, *, peer: str | None = None, peer_figure: Any = None) -> Row:
    """One row."""
    rounded = round(peer_figure, 3) if isinstance(peer_figure, float) else peer_figure
    return {
        "row": name, "figure": round(figure, 3), "unit": unit, "target": target, "peer": peer, "peer_figure": rounded,
    }  # fmt: skip


class Bench:
    """The rows, on one operator."""

    def __init__(self, outside: Outside, asked: argparse.Namespace) -> None:
        self.outside, self.asked = outside, asked
        self.connection = outside.connection
        self.noop = outside.cluster.noop_image()
        self.pause = images.static_image(outside.cluster.engine, "pause")

    # -- trials as pods ----------------------------------------------------------------------------------------

    def pods(self) -> Iterator[Row]:
        """Trials as pods against bare Jobs."""
        ours, searching, bare = [], [], []
        for turn in range(self.asked.repetitions):
            whole, from_first = self._trial_pods(f"pods-{turn}")
            ours.append(whole)
            searching.append(from_first)
            bare.append(self._bare_jobs(f"bare-{turn}"))
        count, parallel, peer = self.asked.trials, self.asked.parallel, statistics.median(bare)
        name = f"operator: {count} trials of a no-op image as pods, {parallel} parallel"
        jobs = f"{count} bare Jobs, {parallel} in flight, s"
        yield row(name, statistics.median(ours), "s", "-", peer=jobs, peer_figure=peer)
        yield row(
            f"{name}, over bare Jobs",
            statistics.median(ours) / peer,
            "ratio",
            "<= 1.3",
            peer=KATIB,
            peer_figure="1.8 to 2.2",
        )
        ratio = statistics.median(searching) / peer
        yield row(f"{name}, from the first Trial on, over bare Jobs", ratio, "ratio", "-", peer=jobs, peer_figure=peer)

    def _trial_pods(self, name: str) -> tuple[float, float]:
        """Seconds from apply, and from the first Trial, to the search's end."""
        outside = self.outside
        with SeenTrials(self.connection, outside.namespace, prefix=name) as seen:
            start = time.time()
            template = {"mode": "Pod", "image": self.noop}
            outside.make_experiment(name, trials=self.asked.trials, parallel=self.asked.parallel, template=template)
            until(lambda: outside.ended(name), name, seconds=SEARCH_SECONDS)
            end = time.time()
        self._forget(name)
        return end - start, end - min(seen.began.values())

    def _bare_jobs(self, name: str) -> float:
        """Seconds from the first Job's creation to the last one's end, with so many in flight."""
        batch, namespace = client.BatchV1Api(self.connection), self.outside.namespace
        made, done = 0, set()
        start = time.time()
        for made in range(self.asked.parallel):
            batch.create_namespaced_job(namespace, self._bare_job(name, made))
        looking: Any = watch.Watch  # the library has no annotations
        stream = looking().stream(batch.list_namespaced_job, namespace, label_selector=f"bench={name}")
        for event in stream:
            job = event["object"]
            if not job.status.succeeded or job.metadata.name in done:
                continue
            done.add(job.metadata.name)
            if made + 1 < self.asked.trials:
                made += 1
                batch.create_namespaced_job(namespace, self._bare_job(name, made))
            if len(done) == self.asked.trials:
                break
        end = time.time()
        batch.delete_collection_namespaced_job(
            namespace, label_selector=f"bench={name}", propagation_policy="Background"
        )
        self._wait_for_no_jobs()
        return end - start

    def _bare_job(self, name: str, index: int) -> Any:
        tight = {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
        }  # fmt: skip
        container = {"name": "main", "image": self.noop, "args": ["trial", "--trial"], "securityContext": tight}
        pod = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container | {"imagePullPolicy": "IfNotPresent"}],
        }
        metadata = {"name": f"{name}-{index}", "labels": {"bench": name}}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }

    # -- a worker that answers at once -------------------------------------------------------------------------

    def pooled(self) -> Iterator[Row]:
        """Trials a second, then what the operator takes with all of them finished."""
        outside, name, trials = self.outside, "pooled", self.asked.pooled_trials
        with (
            SeenTrials(self.connection, outside.namespace, prefix=name) as seen,
            self.stand_in(name, "measuring_builds", trials=trials, parallel=self.asked.parallel),
        ):
            until(lambda: outside.ended(name), name, seconds=SEARCH_SECONDS)
            until(lambda: len(seen.ended) >= trials, "every Trial's end", seconds=60)
        ends = sorted(seen.ended.values())
        what = f"operator: Pooled, no-op trials ({trials}, {self.asked.parallel} parallel)"
        yield row(what, (len(ends) - 1) / (ends[-1] - ends[0]), "trials/s", ">= 10")
        yield from self._at_rest(trials)
        self._forget(name)

    def _at_rest(self, trials: int) -> Iterator[Row]:
        outside = self.outside
        outside.stop_operator()
        outside.start_operator()
        assert outside.operator is not None
        process = psutil.Process(outside.operator.pid)
        time.sleep(30)  # not a wait for something: what it does while it starts is no idling
        before, since = process.cpu_times(), time.time()
        time.sleep(self.asked.idle_seconds)
        after, seconds = process.cpu_times(), time.time() - since
        used = (after.user + after.system) - (before.user + before.system)
        katib = f"{KATIB}: 57 to 70 MB, and 138 MB a running experiment"
        memory = process.memory_info().rss / 1e6
        yield row(
            f"operator: memory at {trials} finished trials", memory, "MB", "<= 200", peer=katib, peer_figure="57-208"
        )
        yield row(
            f"operator: idle processor time at {trials} finished trials", 100 * used / seconds, "% of a core", "<= 2"
        )

    @contextmanager
    def stand_in(self, name: str, work: str, *, trials: int, parallel: int) -> Iterator[None]:
        """A search in mode Pooled whose worker is a process beside the cluster; its pod only waits."""
        outside, template = self.outside, {"mode": "Pooled", "image": self.pause}
        made = outside.make_experiment(name, trials=trials, parallel=parallel, template=template)
        uid = made["metadata"]["uid"]
        argv = [*INSTANT, work, outside.redis_url, uid, outside.store_address, outside.token(uid)]
        process = subprocess.Popen(argv, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    # -- the first Trial, and an agent's answers -----------------------------------------------------------------

    def first(self) -> Iterator[Row]:
        """From apply to the first Trial."""
        took = []
        for turn in range(self.asked.first_repetitions):
            name = f"first-{turn}"
            with SeenTrials(self.connection, self.outside.namespace, prefix=name) as seen:
                start = time.time()
                template = {"mode": "Pod", "image": self.noop}
                self.outside.make_experiment(name, trials=1, parallel=1, template=template)
                until(seen.any_began, name)
                took.append(min(seen.began.values()) - start)
                until(partial(self.outside.ended, name), name)
            self._forget(name)
        what = f"operator: from apply to the first Trial, median of {len(took)}"
        yield row(what, statistics.median(took), "s", "<= 5", peer=KATIB, peer_figure=12.6)
        yield row(f"operator: from apply to the first Trial, slowest of {len(took)}", max(took), "s", "-")

    def result(self) -> Iterator[Row]:
        """From an agent's answer to the Trial's status."""
        outside, name, trials = self.outside, "result", self.asked.result_trials
        answered: dict[str, float] = {}
        with (
            _agent(outside.redis_url, answered),
            SeenTrials(self.connection, outside.namespace, prefix=name) as seen,
            self.stand_in(name, "builds", trials=trials, parallel=4),
        ):
            until(lambda: len(seen.ended) >= trials, name, seconds=SEARCH_SECONDS)
        digests = {trial: hashlib.sha256(model(name)).hexdigest() for trial, name in seen.architectures.items()}
        waits = sorted(seen.ended[trial] - answered[one] for trial, one in digests.items() if one in answered)
        self._forget(name)
        what = f"operator: an agent's result to Trial.status ({len(waits)} trials)"
        yield row(f"{what}, p95", statistics.quantiles(waits, n=20)[18], "s", "<= 1")
        yield row(f"{what}, median", statistics.median(waits), "s", "-")

    def _forget(self, name: str) -> None:
        self.outside.api.delete(EXPERIMENTS, self.outside.namespace, name)
        until(lambda: self.outside.api.get(EXPERIMENTS, self.outside.namespace, name) is None, f"{name} is gone")
        self._wait_for_no_jobs()

    def _wait_for_no_jobs(self) -> None:
        """What is still being deleted would slow down what is timed next."""
        pods = client.CoreV1Api(self.connection)
        outside = self.outside
        until(lambda: not list(outside.api.list(JOBS, outside.namespace)), "no Jobs")
        until(lambda: not pods.list_namespaced_pod(outside.namespace).items, "no pods")


@contextmanager
def _agent(url: str, answered: dict[str, float]) -> Iterator[None]:
    """An agent of the pool that answers one task after the other, at random moments, and notes when."""
    bus, stop, rng = AgentBus(connect(url), pool=POOL, agent="bench"), threading.Event(), random.Random(0)

    def serve() -> None:
        while not stop.is_set():
            bus.beat(Heartbeat(state="Idle"))
            claim = None
            with contextlib.suppress(GroupMissing):
                claim = bus.next()
            if claim is None or claim.task is None:
                continue
            time.sleep(rng.uniform(0.1, 0.5))  # results fall at any moment of the operator's rounds
            answered[claim.task.model.sha256 if claim.task.model else ""] = time.time()
            bus.answer(figures(claim.task))
            bus.acknowledge(claim)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def bench_cluster(kubeconfig: Path | None) -> Iterator[Cluster]:
    """The cluster of a kubeconfig, else the one that the end-to-end tests would take."""
    environment = dict(os.environ)
    if kubeconfig is not None:
        environment |= {"PFPNAS_E2E": "existing", "KUBECONFIG": str(kubeconfig)}
        os.environ["KUBECONFIG"] = str(kubeconfig)
    choice = choose(environment, is_root=os.geteuid() == 0, kind_lacks=what_kind_lacks)
    if choice.provider is None:
        raise SystemExit(choice.reason)
    with provide(choice) as cluster:
        labels = "app.kubernetes.io/name=pfpnas,app.kubernetes.io/component=operator"
        others = cluster.kubectl("get", "pods", "--all-namespaces", "-l", labels, "-o", "name").split()
        if others:
            raise SystemExit(f"another operator works in this cluster ({others[0]}): it would take part; uninstall it")
        yield cluster


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--workloads-image", help="reference on the node; built where left out")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=12)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--pooled-trials", type=int, default=1000)
    parser.add_argument("--first-repetitions", type=int, default=7)
    parser.add_argument("--result-trials", type=int, default=100)
    parser.add_argument("--idle-seconds", type=float, default=60)
    asked = parser.parse_args()
    with bench_cluster(asked.kubeconfig) as cluster, tempfile.TemporaryDirectory() as folder:
        workloads = asked.workloads_image or Images.build(cluster.engine).workloads
        with outside_operator(cluster, Path(folder), workloads=workloads) as outside:
            bench = Bench(outside, asked)
            for name in asked.rows:
                rows: Callable[[], Iterator[Row]] = getattr(bench, name)
                for found in rows():
                    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
