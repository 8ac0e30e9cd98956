"""For benchmarks: the operator as a process beside a real cluster, with a Redis and an artifact store for its pods.

Outside, its memory and processor time are a process' own, and it runs from the checkout. It needs a cluster whose pods
reach the node's address and whose node is this machine (tests/cluster's `local`).
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import yaml
from kubernetes import client, config

from cluster.kube import Cluster
from cluster.settings import ROOT
from pfpnas_api.artifacts import ArtifactStore, open_store
from pfpnas_api.kinds import GROUP, VERSION, SearchSpaceSpec, Supernet
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, Api, Object
from pfpnas_operator.store.tokens import OPERATOR, Key
from support.ready_supernet import ready_supernet
from support.redis_server import server_binary

SECRET = "a secret of the benchmarks, 32 bytes or more"
SPACE = SearchSpaceSpec(backbone="MobileNetV2", width_multiplier="0.35", kernel_sizes=(3, 5), expand_ratios=(2, 3, 4))
POOL = "bench"
DEADLINE_SECONDS = 120.0
PERIOD_SECONDS = 0.05

OPERATOR_PROGRAM = """
import sys
from pfpnas_operator.kube import metrics
metrics.serve.__defaults__ = (int(sys.argv.pop(1)),)  # a machine may run several operators
from kopf.cli import main
main(prog_name="kopf")
"""


def until(look: Callable[[], Any], what: str, *, seconds: float = DEADLINE_SECONDS) -> Any:
    """What `look` finds, once it finds something.

    Raises:
        TimeoutError: not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(PERIOD_SECONDS)
    return found


def free_port(address: str) -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass(kw_only=True)
class Outside:
    """Everything an experiment needs.

    Attributes:
        cluster: Where its Jobs run.
        connection: To its Kubernetes API.
        namespace: The only one that the operator watches.
        folder: For configuration, logs and artifacts.
        address: Of this machine, as pods reach it.
        workloads: Our image of the workloads, for the tuner.
    """

    cluster: Cluster
    connection: client.ApiClient
    namespace: str
    folder: Path
    address: str
    workloads: str
    redis_port: int = 0
    store_port: int = 0
    metrics_port: int = 0
    operator: "subprocess.Popen[bytes] | None" = None
    _running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """The Kubernetes API, as the operator uses it."""
        return Api(self.connection)

    @property
    def redis_url(self) -> str:
        """As pods and stand-ins reach it."""
        return f"redis://{self.address}:{self.redis_port}/0"

    @property
    def store_address(self) -> str:
        """As pods and stand-ins reach it."""
        return f"http://{self.address}:{self.store_port}"

    def token(self, scope: str = OPERATOR) -> str:
        """For the store."""
        return Key(SECRET.encode()).token(scope)

    def store(self, scope: str = OPERATOR) -> ArtifactStore:
        """The artifact store as the holder of a token sees it."""
        return open_store(self.store_address, self.token(scope))

    def start(self) -> None:
        """Redis and the store."""
        self.redis_port, self.store_port, self.metrics_port = (free_port(self.address) for _ in range(3))
        (self.folder / "key").write_text(SECRET)
        place = ["--bind", self.address, "--port", str(self.redis_port), "--protected-mode", "no", "--save", ""]
        self._running.append(self._spawn([server_binary(), *place, "--dir", str(self.folder)], "redis"))
        server = [sys.executable, "-m", "pfpnas_operator.store", "--root", str(self.folder / "store")]
        where = ["--host", self.address, "--port", str(self.store_port), "--key-file", str(self.folder / "key")]
        self._running.append(self._spawn([*server, *where], "store"))
        until(lambda: _answers(redis.Redis.from_url(self.redis_url).ping), "Redis")
        until(lambda: _answers(lambda: urllib.request.urlopen(f"{self.store_address}/healthz", timeout=5)), "the store")

    def start_operator(self) -> None:
        """The operator, and wait until its metrics are served."""
        config = {
            "redis": {"url": self.redis_url, "users": "Off"},
            "artifacts": {"address": self.store_address},
            "keyFile": str(self.folder / "key"),
            "images": {"workloads": self.workloads},
            "pools": {"*": ["*"]},
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        arguments = ["run", "-m", "pfpnas_operator.kube", "-n", self.namespace]
        self.operator = self._spawn(
            [sys.executable, "-c", OPERATOR_PROGRAM, str(self.metrics_port), *arguments], "operator"
        )
        until(lambda: _answers(self.metrics), "the operator")

    def stop_operator(self) -> None:
        """End it, and wait."""
        if self.operator is not None:
            self.operator.terminate()
            self.operator.wait(60)

    def stop(self) -> None:
        """End all of it."""
        self.stop_operator()
        for process in self._running:
            process.terminate()
            process.wait(30)

    def metrics(self) -> str:
        """What Prometheus would see."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def reconciled(self, kind: str = "NASExperiment") -> tuple[float, float]:
        """Seconds spent in cycles of a kind so far, and their number."""
        found = {}
        for line in self.metrics().splitlines():
            for part in ("sum", "count"):
                if line.startswith(f"pfpnas_reconcile_seconds_{part}{{") and kind.lower() in line.lower():
                    found[part] = float(line.rsplit(" ", 1)[1])
        return found.get("sum", 0.0), found.get("count", 0.0)

    def make_supernet(self, name: str = "net") -> None:
        """A Supernet that is ready, its artifacts in the store."""
        made: Supernet = ready_supernet(self.store(), SPACE, name=name)
        document = json.loads(made.model_dump_json(by_alias=True, exclude_none=True))
        status = document.pop("status")
        document["metadata"] = {"name": name, "namespace": self.namespace}
        self.api.create(SUPERNETS, self.namespace, document)
        client.CustomObjectsApi(self.connection).patch_namespaced_custom_object_status(
            GROUP, VERSION, self.namespace, "supernets", name, {"status": status}
        )

    def make_experiment(
        self, name: str, *, trials: int, parallel: int, template: dict[str, Any], **spec: Any
    ) -> Object:
        """A search of RandomSearch without pseudo trials, as it is after `kubectl apply`."""
        whole = {
            "supernetRef": {"name": "net"},
            "target": {"pool": POOL, "dataset": "private", "head": "Supernet"},
            "tuner": {"algorithm": "RandomSearch", "pseudoTrials": 0, "seed": 1},
            "budget": {"maxTrials": trials, "parallelTrials": parallel},
            "trialTemplate": template,
            **spec,
        }
        body = {"apiVersion": "pfpnas.io/v1alpha1", "kind": "NASExperiment", "metadata": {"name": name}, "spec": whole}
        return self.api.create(EXPERIMENTS, self.namespace, body)

    def experiment(self, name: str) -> Object:
        """As it is now."""
        found = self.api.get(EXPERIMENTS, self.namespace, name)
        assert found is not None
        return found

    def ended(self, name: str) -> bool:
        """Whether a search succeeded.

        Raises:
            RuntimeError: it failed.
        """
        found = self.experiment(name)
        conditions = _true(found)
        if "Failed" in conditions:
            raise RuntimeError(f"{name} failed: {found['status']['conditions']}")
        return "Succeeded" in conditions

    def _spawn(self, argv: list[str], name: str) -> "subprocess.Popen[bytes]":
        environment = {
            **self.cluster.environment(),
            "PFPNAS_CONFIG": str(self.folder / "config.yaml"),
            "PYTHONPATH": os.pathsep.join(str(ROOT / member / "src") for member in ("crds", "operator")),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


@contextmanager
def outside_operator(cluster: Cluster, folder: Path, *, workloads: str) -> Iterator[Outside]:
    """The operator for the length of the block, with a namespace and a Supernet `net` that is ready."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    address = next(a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP")
    # Not by KUBECONFIG, which the library reads when it is imported.
    connection = config.new_client_from_config(config_file=str(cluster.kubeconfig))  # type: ignore[no-untyped-call]
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    with cluster.namespace("bench") as namespace:
        outside = Outside(
            cluster=cluster,
            connection=connection,
            namespace=namespace,
            folder=folder,
            address=address,
            workloads=workloads,
        )
        try:
            outside.start()
            outside.make_supernet()  # while no operator is there that would begin to train it
            outside.start_operator()
            yield outside
        finally:
            # Its objects go while somebody is there who takes finalizers away.
            with contextlib.suppress(Exception):
                cluster.kubectl("delete", "nas,sn", "--all", "-n", namespace, "--timeout=120s")
            outside.stop()


def _true(found: Object | None) -> set[str]:
    conditions = ((found or {}).get("status") or {}).get("conditions", ())
    return {condition["type"] for condition in conditions if condition["status"] == "True"}


def _answers(call: Callable[[], Any]) -> bool:
    try:
        call()
    except (OSError, redis.exceptions.RedisError):
        return False
    return True
