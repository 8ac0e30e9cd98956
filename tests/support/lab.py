"""A user's namespace on a test cluster, and the documents that tests apply in it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from cluster.kube import Cluster
from support.polling import Document, told_or_why, until
from support.release import Release

LABEL_NAME = "pfpnas.io/name"
"""On every child: the name of its Supernet or experiment."""

API = "pfpnas.io/v1alpha1"

CONDITIONS = (
    "jsonpath={range .items[*]}{.kind}/{.metadata.name}:{range .status.conditions[*]}"
    ' {.type}={.status}/{.reason} ({.message}){end}{"\\n"}{end}'
)
"""kubectl's template: a line for each object, with all of its conditions."""

LIMIT = {"constraints": [{"metric": "Latency", "maxRelative": "50"}]}
"""An objective that every architecture meets, so that no test depends on how fast it is."""


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

        met: Document = self.until(f"{which}={status} of {kind}/{name}", there, seconds=seconds)
        return met

    def until(self, what: str, ready: Callable[[], Any], *, seconds: float = 120) -> Any:
        """Poll until something is true, and return it; time that runs out tells all that is known."""
        return until(what, ready, seconds=seconds, told=self.story)

    def logs(self, name: str, component: str, *, says: str, seconds: float = 120) -> str:
        """The log of the newest pod of a Supernet's or experiment's component, once it says something."""

        def said() -> str | None:
            found = self.all("pods", f"-l{LABEL_NAME}={name},app.kubernetes.io/component={component}")
            there = [pod["metadata"] for pod in found if "deletionTimestamp" not in pod["metadata"]]
            if not there:
                return None
            newest = max(there, key=lambda metadata: metadata["creationTimestamp"])
            log = self.kubectl("logs", newest["name"])
            return log if says in log else None

        found: str = self.until(f"{says!r} in the log of {name}'s {component}", said, seconds=seconds)
        return found

    def children(self, name: str, kinds: str = "jobs") -> list[Document]:
        """What a Supernet or experiment has of some kinds."""
        return self.all(kinds, f"-l{LABEL_NAME}={name}")

    def story(self) -> str:
        """What a person would look at: the kinds with their conditions, Jobs, pods, Events; and the release's own."""
        told = [
            told_or_why(self.cluster, *words, "-n", self.namespace)
            for words in (
                ("get", "sn,nas,nt,jobs,pods", "-o", "wide"),
                ("get", "sn,nas,nt", "-o", CONDITIONS),
                ("get", "events", "--sort-by=.lastTimestamp"),
            )
        ]
        return "\n".join([*told, self.release.story()])

    def trials(self, experiment: str) -> list[Document]:
        """An experiment's Trials."""
        return [trial for trial in self.all("nt") if trial["spec"]["experimentRef"]["name"] == experiment]


def supernet(name: str, spec: Document) -> Document:
    """A Supernet's document."""
    return {"apiVersion": API, "kind": "Supernet", "metadata": {"name": name}, "spec": spec}


def experiment(name: str, *, of: str, pool: str, trials: int, **spec: Any) -> Document:
    """A NASExperiment's document: quick measurements of the private data `quadrants`, random search unless said."""
    measurement = {"warmupSeconds": "0.05", "maxSeconds": "2", "deadlineSeconds": 60}
    wished = {
        "supernetRef": {"name": of},
        "target": {"pool": pool, "dataset": "quadrants", "measurement": measurement},
        "objective": LIMIT,
        "tuner": {"algorithm": "RandomSearch"},
        "budget": {"maxTrials": trials, "parallelTrials": 2},
        "trialTemplate": {"mode": "Pooled"},
        **spec,
    }
    return {"apiVersion": API, "kind": "NASExperiment", "metadata": {"name": name}, "spec": wished}


def trial(name: str, *, of: str, architecture: str) -> Document:
    """A Trial's document, as a user writes it."""
    spec = {"experimentRef": {"name": of}, "architecture": architecture}
    return {"apiVersion": API, "kind": "Trial", "metadata": {"name": name}, "spec": spec}


def admit(lab: Lab, name: str) -> list[Document]:
    """Start the Jobs of a Supernet or experiment that wait in their queue, as Kueue does; which they were."""
    waiting = [job for job in lab.children(name) if job["spec"].get("suspend")]
    for job in waiting:
        lab.patch("job", job["metadata"]["name"], {"suspend": False})
    return waiting


def table(printed: str) -> list[dict[str, str]]:
    """The lines that `kubectl get` or `pfpnas` print under a header, by column; an empty cell is an empty text."""
    header, *lines = printed.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", header)]
    columns = [slice(start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return [{header[one].strip(): line[one].strip() for one in columns} for line in lines]


def succeeded(lab: Lab, experiment: str) -> int:
    """How many trials of an experiment are measured and scored."""
    return int(lab.get("nas", experiment).get("status", {}).get("trials", {}).get("succeeded", 0))


def assert_whole(lab: Lab, experiment: str, *, trials: int) -> None:
    """Every trial of the budget was measured, and is counted once."""
    found = lab.trials(experiment)
    assert sorted(one["spec"]["index"] for one in found) == list(range(trials))
    assert all(one["status"]["score"] is not None for one in found)
    counts = lab.get("nas", experiment)["status"]["trials"]
    assert (counts["created"], counts["succeeded"], counts.get("failed", 0)) == (trials, trials, 0)
