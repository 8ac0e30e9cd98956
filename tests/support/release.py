"""PFP-NAS installed on a test cluster by its charts, and agents of it."""

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from cluster.images import Engine, build_image, redis_image
from cluster.kube import Cluster
from cluster.settings import ROOT
from cluster.shell import CommandError, run
from pfpnas_operator.access.registry import object_name
from support.agent_process import AgentProcess
from support.polling import Document, told_or_why, until

CHARTS = ROOT / "charts"
OPERATOR_NAMESPACE = "pfpnas"
CRDS_NAMESPACE = "default"
"""Of the kinds' release: they are all releases' and outlive them."""

AGENTS_PORT = 30379
"""NodePort of Redis: how agents outside the cluster reach it here."""

MEMBERS = ("pyproject.toml", "crds", "LICENSE")
"""What every image is made of beside its own folder."""

KINDS = ("supernets.pfpnas.io", "nasexperiments.pfpnas.io", "trials.pfpnas.io")

PARTS = {"operator": "deploy/pfpnas-operator", "artifacts": "deploy/pfpnas-artifacts", "redis": "sts/pfpnas-redis"}
"""What a release runs, by the label of its pods; one pod each."""

WORKLOADS = ("pretrain", "fit-predictor", "tune", "trial", "trial-worker")

OF_A_RELEASE = "deploy,sts,ds,job,pod,svc,cm,secret,sa,role,rolebinding,networkpolicy,pdb,pvc"
"""All kinds of which a release, or what it started, may leave something in a namespace."""


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


@dataclass(kw_only=True)
class OutsideAgent:
    """An agent as a process beside the cluster."""

    folder: Path
    config: Path
    process: AgentProcess | None = None

    @property
    def name(self) -> str:
        """By which it is registered."""
        return self.folder.name

    def start(self) -> None:
        """Run it, whether it ran before or not."""
        self.process = AgentProcess(self.folder, self.config, (), {"OMP_NUM_THREADS": "1"})

    def end(self) -> None:
        """As its owner stops it; nothing when it does not run."""
        if self.process is not None:
            self.process.end()


@dataclass(frozen=True, kw_only=True)
class Release:
    """The chart `pfpnas` in a namespace, with small volumes and small requests."""

    cluster: Cluster
    images: Images
    folder: Path
    """For the values of the charts and the files of agents."""

    namespace: str = OPERATOR_NAMESPACE
    agents_port: int = AGENTS_PORT
    values: Mapping[str, Any] = field(default_factory=dict)
    """What is different from the others', part by part."""

    def install(self, *, pools: Mapping[str, list[str]]) -> None:
        """Both charts, as a user installs them; waits until every pod is ready."""
        self.cluster.helm(
            "upgrade", "--install", "pfpnas-crds", str(CHARTS / "pfpnas-crds"), "-n", CRDS_NAMESPACE,
            "--take-ownership",
        )  # fmt: skip
        self._written("pfpnas", merged(self._values(pools), self.values))
        self.upgrade()

    def upgrade(self, *words: str) -> None:
        """With the values of `install` and some more arguments; what went wrong is told with the state of the pods."""
        where = ("pfpnas", str(CHARTS / "pfpnas"), *self._where(), "-f", str(self._path("pfpnas")))
        try:
            self.cluster.helm("upgrade", "--install", *where, *words, "--wait", "--timeout=5m")
        except CommandError as e:
            raise AssertionError(f"{e}\n{self.story()}") from e

    def uninstall(self) -> None:
        """The operator's chart; the kinds stay. Nothing when it is not installed."""
        if "pfpnas" in self.cluster.helm("list", "-q", *self._where()).split():
            self.cluster.helm("uninstall", "pfpnas", *self._where(), "--wait", "--timeout=3m")

    def assert_gone(self, *, but: frozenset[str] = frozenset()) -> None:
        """Of an uninstalled release there is nothing but what is named; a volume takes a moment to go."""

        def left() -> set[str]:
            return named_in(self.cluster, self.namespace) | self._cluster_wide()

        try:
            until(f"nothing but {set(but)} is left", lambda: left() == but, seconds=120)
        except AssertionError as e:
            raise AssertionError(f"{e}; there is {sorted(left())}") from e

    def assert_kinds_outlive_their_release(self) -> None:
        """Their own chart is uninstalled, and by its policy they stay."""
        self.cluster.helm("uninstall", "pfpnas-crds", "-n", CRDS_NAMESPACE)
        found = json.loads(self.cluster.kubectl("get", "crd", *KINDS, "-o", "json"))["items"]
        leaving = [one["metadata"]["name"] for one in found if "deletionTimestamp" in one["metadata"]]
        assert (len(found), leaving) == (len(KINDS), [])

    def _cluster_wide(self) -> set[str]:
        found = self.cluster.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name").split()
        return {name for name in found if name.endswith(f"-operator-{self.namespace}")}

    def install_agent(self, name: str, *, values: Document) -> None:
        """A DaemonSet of agents that joins by a string of its own."""
        join = self.join_string(name, pool=values["pool"])
        secret: Document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-join"}}
        secret["stringData"] = {"join": join}
        self.cluster.kubectl("apply", *self._where(), "-f", "-", input=json.dumps(secret))
        image = image_values(self.images.agent)
        whole = {"image": image, "join": {"existingSecret": f"{name}-join"}, **values}
        path = self._written(name, whole)
        chart = str(CHARTS / "pfpnas-edge-agent")
        self.cluster.helm("upgrade", "--install", name, chart, *self._where(), "-f", path, "--wait", "--timeout=3m")

    def uninstall_agent(self, name: str) -> None:
        """The DaemonSet, the user that it joined as, and its Secret; as much of it as an installation came to."""
        self.cluster.helm("uninstall", name, *self._where(), "--ignore-not-found", "--wait", "--timeout=2m")
        self.forget_agent(name)
        self.cluster.kubectl("delete", "secret", f"{name}-join", *self._where(), "--ignore-not-found")

    def forget_agent(self, name: str) -> None:
        """Strike an agent off the register, if it is there, as `pfpnas agents remove` does."""
        self.cluster.kubectl("delete", "configmap", object_name(name), *self._where(), "--ignore-not-found")

    def join_string(self, name: str, *, pool: str) -> str:
        """A new agent's, as `pfpnas agents add` prints it."""
        return self.pfpnas("agents", "add", name, "--pool", pool, *self._where()).strip().splitlines()[-1]

    def pfpnas(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """The command line on a user's machine; its standard output."""
        environment = {**self.cluster.environment(), **(env or {})}
        return run(sys.executable, "-m", "pfpnas_operator.cli", *words, env=environment)

    @contextmanager
    def outside_agent(self, name: str, *, pool: str, config: Document) -> Iterator[OutsideAgent]:
        """An agent as a process beside the cluster: added, joined by its string, running."""
        name = f"{name}-{secrets.token_hex(3)}"  # what a killed run left registered is another's
        folder = self.folder / name
        folder.mkdir(parents=True)
        path = folder / "agent.yaml"
        path.write_text(yaml.safe_dump({"stateDir": "state", **config}))
        agent = (sys.executable, "-m", "pfpnas_agent")
        outside = OutsideAgent(folder=folder, config=path)
        try:
            run(*agent, "join", "-", "--config", path, input=self.join_string(name, pool=pool))
            outside.start()
            yield outside
        finally:
            outside.end()
            self.forget_agent(name)

    def in_operator(self, script: str, *words: str) -> str:
        """What a Python script says in the operator's pod."""
        pod = ("exec", *self._where(), "deploy/pfpnas-operator", "--")
        return self.cluster.kubectl(*pod, "python", "-c", script, *words)

    def pod(self, component: str) -> Document:
        """The pod of a component that is not leaving.

        Raises:
            CommandError: kubectl's; also where there is none, as "NotFound".
        """
        label = f"-lapp.kubernetes.io/instance=pfpnas,app.kubernetes.io/component={component}"
        found = json.loads(self.cluster.kubectl("get", "pods", *self._where(), label, "-o", "json"))["items"]
        there: list[Document] = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        if not there:
            raise CommandError(f"NotFound: no pod of {component} in {self.namespace}")
        return there[0]

    def metrics(self, **labels: str) -> dict[str, float]:
        """What the operator tells Prometheus under these labels: `name` and the values of its other labels → value."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.pod('operator')['metadata']['name']}:9090/proxy/metrics"
        families = text_string_to_metric_families(self.cluster.kubectl("get", "--raw", path))
        samples = [sample for family in families for sample in family.samples]
        return {
            " ".join(
                [sample.name, *(value for label, value in sample.labels.items() if label not in labels)]
            ): sample.value
            for sample in samples
            if labels.items() <= sample.labels.items()
        }

    def story(self) -> str:
        """What a person would look at: pods, the end of the Events, of the operator's log and of the agents' logs."""
        parts = [
            ("get", "pods", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "deploy/pfpnas-operator", "--tail=80"),
        ]
        told = [told_or_why(self.cluster, *words, *self._where()) for words in parts]
        logs = sorted(self.folder.glob("*/agent-*.log"), key=lambda path: path.stat().st_mtime)[-2:]
        told += [f"{log.parent.name}: {log.read_text(errors='replace')[-2500:]}" for log in logs]
        return "\n".join(told)

    def _where(self) -> tuple[str, ...]:
        return ("-n", self.namespace)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}-values.yaml"

    def _written(self, name: str, values: Document) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path(name).write_text(yaml.safe_dump(values))
        return str(self._path(name))

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
                    "url": f"redis://{node_address(self.cluster)}:{self.agents_port}/0",
                    "service": {
                        "enabled": True,
                        "type": "NodePort",
                        "nodePort": self.agents_port,
                        "sourceRanges": ["0.0.0.0/0"],
                    },
                },
            },
        }


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Document:
    """The first with what the second says, mapping by mapping."""
    both = dict(first)
    for name, value in second.items():
        known = both.get(name)
        both[name] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return both


@contextmanager
def without(cluster: Cluster, component: str, *, namespace: str) -> Iterator[None]:
    """While the block runs, nothing of a release's component does; afterwards it is ready again."""
    part = (PARTS[component], "-n", namespace)
    pods = ("get", "pods", "-n", namespace, f"-lapp.kubernetes.io/component={component}", "-o", "name")
    cluster.kubectl("scale", *part, "--replicas=0")
    try:
        until(f"no {component} runs", lambda: not cluster.kubectl(*pods).strip(), seconds=120)
        yield
    finally:
        cluster.kubectl("scale", *part, "--replicas=1")
        cluster.kubectl("rollout", "status", *part, "--timeout=180s")


def named_in(cluster: Cluster, namespace: str) -> set[str]:
    """`Kind/name` of all that is in a namespace and that not every namespace has."""
    found = json.loads(cluster.kubectl("get", OF_A_RELEASE, "-n", namespace, "-o", "json"))["items"]
    every = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
    return {f"{one['kind']}/{one['metadata']['name']}" for one in found} - every


def node_address(cluster: Cluster) -> str:
    """Where the node's ports are."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    addresses: list[Document] = nodes[0]["status"]["addresses"]
    return str(next(one["address"] for one in addresses if one["type"] == "InternalIP"))
