"""The quick start's own documents, measured by a DaemonSet of agents on labelled nodes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from cluster.settings import ROOT
from support.lab import Lab
from support.polling import Document
from support.release import OPERATOR_NAMESPACE, Release

EXAMPLE = ROOT / "examples" / "digits"
SHORTER = {"epochs": 2, "checkpointEvery": 100}
"""The example trains for minutes; what is shown here is the way, not the accuracy."""


def documents() -> list[Document]:
    """Supernet and experiment of the example; the net trains shorter, the search measures eight."""
    net, search = (yaml.safe_load((EXAMPLE / name).read_text()) for name in ("supernet.yaml", "experiment.yaml"))
    net["spec"]["training"].update(SHORTER)
    net["spec"]["dataset"]["shapes"].update(samples=3000, validationSamples=500)
    net["spec"]["predictor"].update(samples=30, validationImages=500)
    search["spec"]["budget"].update(maxTrials=8)
    search["spec"]["target"]["pool"] = "digits-pool"
    return [net, search]


@pytest.fixture
def digits_on_a_volume(release: Release) -> Iterator[str]:
    """A claim in the agents' namespace that holds the private digits, as a device's owner puts them there."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "digits"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
    }
    kubectl, where = release.cluster.kubectl, ("-n", OPERATOR_NAMESPACE)
    try:
        kubectl("apply", *where, "-f", "-", input=json.dumps(claim))
        kubectl("apply", *where, "-f", "-", input=json.dumps(loader(release.images.agent)))
        kubectl("wait", *where, "--for=condition=Ready", "pod/loader", "--timeout=90s")
        for file in sorted((EXAMPLE / "digits").glob("*ubyte")):
            kubectl("cp", str(file), f"{OPERATOR_NAMESPACE}/loader:/data/{file.name}")
        kubectl("delete", *where, "pod/loader", "--grace-period=1")
        yield "digits"
    finally:
        # In the release's namespace, of which nothing may be left when the release is gone.
        kubectl("delete", *where, "pod/loader", "pvc/digits", "--ignore-not-found", "--grace-period=1")


def loader(image: str) -> Document:
    """A pod that waits, with the claim mounted."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "digits"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loader"}, "spec": spec}


@contextmanager
def labelled_node(release: Release) -> Iterator[None]:
    """A node that the DaemonSet of the pool selects."""
    nodes = release.cluster.kubectl("get", "nodes", "-o", "name").split()
    release.cluster.kubectl("label", "--overwrite", nodes[0], "pfpnas.io/pool=digits-pool")
    try:
        yield
    finally:
        release.cluster.kubectl("label", nodes[0], "pfpnas.io/pool-")


def test_the_digits_example_is_searched_by_a_daemonset(release: Release, digits_on_a_volume: str) -> None:
    with release.cluster.namespace("digits") as name, labelled_node(release):
        lab = Lab(release=release, namespace=name)
        private = {"format": "IDX", "images": "/data/images-idx3-ubyte", "labels": "/data/labels-idx1-ubyte"}
        values = {
            "pool": "digits-pool",
            "agent": {"config": {"namespaces": [name], "datasets": {"digits": {**private, "classes": 10}}}},
            "data": {"existingClaim": digits_on_a_volume},
        }
        release.install_agent("digits-agent", values=values)
        try:
            lab.apply(*documents())
            lab.wait("nas", "digits", "Succeeded", seconds=500)
        finally:
            release.uninstall_agent("digits-agent")

        status = lab.get("nas", "digits")["status"]
        assert status["trials"]["succeeded"] == 8
        assert status["best"]["metrics"]["accuracy"] > 0.5
        scored = [evaluation["name"] for evaluation in status["evaluations"] if "accuracy" in evaluation]
        assert {"best", "rawPixels"} <= set(scored)
