"""PFP-NAS installed on a test cluster by its charts, and a namespace of it as a user has it before them."""

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.images import Engine, build_image, redis_image
from cluster.kube import Cluster
from cluster.settings import ROOT
from cluster.shell import CommandError, run
from support.agent_process import AgentProcess

CHARTS = ROOT / "charts"
OPERATOR_NAMESPACE = "pfpnas"
AGENTS_PORT = 30379
"""NodePort of Redis: how agents outside the cluster reach it here."""

MEMBERS = ("pyproject.toml", "crds", "LICENSE")
"""What every image is made of beside its own folder."""

WORKLOADS = ("pretrain", "fit-predictor", "tune", "trial", "trial-worker")

NOT_YET = ("NotFound", "is waiting to start", "ContainerCreating")
"""What kubectl says of what isn't there yet."""

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Images:
    """Our three images on the cluster's node."""

    operator: str
    workloads: str
    agent: str
    redis: str

    @classmethod
    def build(cls, engine: Engine, *, load: bool = True) -> "Images":
        """Built from the checkout and (unless told otherwise) loaded; what has not changed is not built again."""
        return cls(
            operator=_built(engine, "operator", "operator", load=load),
            workloads=_built(engine, "workloads", "workloads", load=load),
            agent=_built(engine, "agent", "edge-agent", load=load),
            redis=redis_image(engine, load=load),
        )


def _built(engine: Engine, name: str, folder: str, *, load: bool) -> str:
    return build_image(
        engine,
        name,
        containerfile=ROOT / folder / "Containerfile",
        context=ROOT,
        inputs=(*MEMBERS, folder),
        load=load,
    )


def image_values(reference: str) -> Document:
    """An image's reference as the charts take it."""
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    return {"registry": registry, "repository": repository, "tag": tag}


@dataclass(frozen=True, kw_only=True)
class Release:
    """The chart `pfpnas` in its namespace."""

    cluster: Cluster
    images: Images
    folder: Path
    """For the values of the charts and the files of agents."""

    def install(self, *, pools: Mapping[str, list[str]]) -> None:
        """Both charts, as a user installs them; waits until every pod is ready."""
        self.cluster.helm(
            "upgrade", "--install", "pfpnas-crds", str(CHARTS / "pfpnas-crds"), *self._where(), "--take-ownership"
        )
        values = self._written("pfpnas", self._values(pools))
        self.cluster.helm(
            "upgrade", "--install", "pfpnas", str(CHARTS / "pfpnas"), *self._where(), "-f", values, "--wait",
            "--timeout=5m",
        )  # fmt: skip

    def uninstall(self) -> None:
        """The operator's chart; the kinds stay."""
        self.cluster.helm("uninstall", "pfpnas", "-n", OPERATOR_NAMESPACE, "--wait", "--timeout=3m")

    def install_agent(self, name: str, *, values: Document) -> None:
        """A DaemonSet of agents that joins by a string of its own."""
        join = self.join_string(name, pool=values["pool"])
        secret: Document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-join"}}
        secret["stringData"] = {"join": join}
        self.cluster.kubectl("apply", "-n", OPERATOR_NAMESPACE, "-f", "-", input=json.dumps(secret))
        image = image_values(self.images.agent)
        whole = {"image": image, "join": {"existingSecret": f"{name}-join"}, **values}
        path = self._written(name, whole)
        chart = str(CHARTS / "pfpnas-edge-agent")
        self.cluster.helm("upgrade", "--install", name, chart, *self._where(), "-f", path, "--wait", "--timeout=3m")

    def join_string(self, name: str, *, pool: str) -> str:
        """A new agent's, as `pfpnas agents add` prints it."""
        return self.pfpnas("agents", "add", name, "--pool", pool, "-n", OPERATOR_NAMESPACE).strip().splitlines()[-1]

    def pfpnas(self, *words: str) -> str:
        """The command line on a user's machine; its standard output."""
        return run(sys.executable, "-m", "pfpnas_operator.cli", *words, env=self.cluster.environment())

    @contextmanager
    def outside_agent(self, name: str, *, pool: str, config: Document) -> Iterator[AgentProcess]:
        """An agent as a process beside the cluster: added, joined by its string, running."""
        name = f"{name}-{secrets.token_hex(3)}"  # what a killed run left registered is another's
        folder = self.folder / name
        folder.mkdir(parents=True)
        path = folder / "agent.yaml"
        path.write_text(yaml.safe_dump({"stateDir": "state", **config}))
        agent = (sys.executable, "-m", "pfpnas_agent")
        run(*agent, "join", "-", "--config", path, input=self.join_string(name, pool=pool))
        process = AgentProcess(folder, path, (), {"OMP_NUM_THREADS": "1"})
        try:
            yield process
        finally:
            process.end()
            self.pfpnas("agents", "remove", name, "-n", OPERATOR_NAMESPACE)

    def operator_log(self) -> str:
        """The last lines of the operator."""
        return self.cluster.kubectl("logs", "-n", OPERATOR_NAMESPACE, "deploy/pfpnas-operator", "--tail=60")

    def _where(self) -> tuple[str, ...]:
        return ("-n", OPERATOR_NAMESPACE)

    def _written(self, name: str, values: Document) -> str:
        path = self.folder / f"{name}-values.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    def _values(self, pools: Mapping[str, list[str]]) -> Document:
        operator, workloads = image_values(self.images.operator), image_values(self.images.workloads)
        redis = image_values(self.images.redis)
        small = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "2Gi"}}
        return {
            "image": {
                "registry": operator.pop("registry"),
                "pullPolicy": "IfNotPresent",
                "operator": operator,
                "workloads": {k: v for k, v in workloads.items() if k != "registry"},
            },
            "pools": dict(pools),
            "workloads": {"resources": dict.fromkeys(WORKLOADS, small)},
            "artifacts": {"size": "1Gi", "keep": False},
            "redis": {
                "image": redis,
                "size": "1Gi",
                "agents": {
                    "url": f"redis://{self.node_address()}:{AGENTS_PORT}/0",
                    "service": {
                        "enabled": True,
                        "type": "NodePort",
                        "nodePort": AGENTS_PORT,
                        "sourceRanges": ["0.0.0.0/0"],
                    },
                },
            },
        }

    def node_address(self) -> str:
        """Where the node's ports are."""
        nodes = json.loads(self.cluster.kubectl("get", "nodes", "-o", "json"))["items"]
        return next(a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP")


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A user's namespace."""

    release: Release
    namespace: str

    @property
    def cluster(self) -> Cluster:
        """The cluster it is in."""
        return self.release.cluster

    def kubectl(self, *words: str, input: str | None = None) -> str:
        """`kubectl -n` this namespace."""
        return self.cluster.kubectl(*words, "-n", self.namespace, input=input)

    def apply(self, *documents: Document) -> None:
        """`kubectl apply` in strict validation."""
        self.kubectl("apply", "--validate=strict", "-f", "-", input=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str) -> Document:
        """One object."""
        found: Document = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def all(self, kind: str, *words: str) -> list[Document]:
        """All objects of a kind."""
        found: list[Document] = json.loads(self.kubectl("get", kind, "-o", "json", *words))["items"]
        return found

    def patch(self, kind: str, name: str, spec: Document) -> None:
        """Merge into an object's spec."""
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def condition(self, kind: str, name: str, which: str) -> Document | None:
        """A condition of an object."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == which), None)

    def wait(self, kind: str, name: str, which: str, *, status: str = "True", reason: str | None = None,
             seconds: float = 240) -> Document:  # fmt: skip
        """Wait for a condition; an object that fails meanwhile, or time that runs out, tells all that is known."""

        def there() -> Document | None:
            found = self.condition(kind, name, which)
            good = found and found["status"] == status and reason in (None, found["reason"])
            failed = None if which == "Failed" else self.condition(kind, name, "Failed")
            if not good and failed and failed["status"] == "True":
                raise AssertionError(f"{kind}/{name} failed: {failed}\n{self.story()}")
            return found if good else None

        return self.until(f"{which}={status} of {kind}/{name}", there, seconds=seconds)

    def until(self, what: str, ready: Callable[[], Any], *, seconds: float = 120) -> Any:
        """Poll until something is true, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := ready():
                    return found
            except CommandError as e:
                if not any(passing in str(e) for passing in NOT_YET):
                    raise
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {seconds:.0f} s\n{self.story()}")

    def story(self) -> str:
        """What a person would look at: the kinds, Jobs, pods, Events, and the operator's log."""
        parts = [("get", "sn,nas,nt,jobs,pods", "-o", "wide"), ("get", "events", "--sort-by=.lastTimestamp")]
        told = []
        for words in parts:
            try:
                told.append(self.kubectl(*words)[-6000:])
            except CommandError as e:
                told.append(str(e))
        for document in (*self.all("sn"), *self.all("nas")):
            told.append(yaml.safe_dump(document.get("status", {}).get("conditions", [])))
        told.append(self.release.operator_log()[-6000:])
        return "\n".join(told)

    def trials(self, experiment: str) -> list[Document]:
        """An experiment's Trials."""
        return [trial for trial in self.all("nt") if trial["spec"]["experimentRef"]["name"] == experiment]


def supernet(name: str, spec: Document) -> Document:
    """A Supernet's document."""
    return {"apiVersion": "pfpnas.io/v1alpha1", "kind": "Supernet", "metadata": {"name": name}, "spec": spec}


def experiment(name: str, *, of: str, pool: str, trials: int, **spec: Any) -> Document:
    """A NASExperiment's document: quick measurements of the private data `quadrants`, random search unless said."""
    measurement = {"warmupSeconds": "0.05", "maxSeconds": "2", "deadlineSeconds": 60}
    wished = {
        "supernetRef": {"name": of},
        "target": {"pool": pool, "dataset": "quadrants", "measurement": measurement},
        "tuner": {"algorithm": "RandomSearch"},
        "budget": {"maxTrials": trials, "parallelTrials": 2},
        "trialTemplate": {"mode": "Pooled"},
        **spec,
    }
    return {"apiVersion": "pfpnas.io/v1alpha1", "kind": "NASExperiment", "metadata": {"name": name}, "spec": wished}
