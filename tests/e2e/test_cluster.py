"""The cluster itself is what the other tests take it for, and it takes our kinds at their word.

| behaviour | shown by |
| --- | --- |
| pods run, under `restricted` | a Job completes; one that wants to be root is refused |
| names, logs, exec, port-forward, volumes work | a Redis of two pods' talk |
| CRDs and examples are accepted as they are | strict validation on the server |
| bad documents are refused by the server, naming the field | an unknown field, a rule, a change of what is immutable |
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import yaml
from kubernetes import config

from cluster.kube import Cluster
from cluster.settings import ROOT
from cluster.shell import CommandError, wait_for
from pfpnas_operator.kube.api import TRIALS, Api

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_the_node_is_ready_and_of_the_version_that_was_asked_for(cluster: Cluster) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]

    conditions = {item["type"]: item["status"] for item in nodes[0]["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert nodes[0]["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.34.")


def test_a_restricted_job_runs_to_its_end(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(noop_job(cluster.noop_image())))

    cluster.kubectl("wait", "-n", namespace, "--for=condition=Complete", "--timeout=120s", "job/noop")


def test_a_namespace_of_the_tests_takes_no_privileged_pod(cluster: Cluster, namespace: str) -> None:
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "c", "image": "none", "securityContext": {"privileged": True}}],
    }
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": pod}

    with pytest.raises(CommandError, match=r'violates PodSecurity "restricted'):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))


def test_pods_reach_one_another_by_name_and_keep_what_they_write(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl(
        "apply", "-n", namespace, "-f", "-", input=yaml.safe_dump_all(redis_with_volume(cluster.redis_image()))
    )
    cluster.kubectl("rollout", "status", "-n", namespace, "--timeout=120s", "deployment/redis")
    inside = ("exec", "-n", namespace, "deploy/redis", "--")

    name = f"redis.{namespace}.svc.cluster.local"
    # A service answers a moment after its pod is ready.
    wait_for("redis", lambda: cluster.kubectl(*inside, "redis-cli", "-h", name, "SET", "key", "kept").strip() == "OK")
    cluster.kubectl("delete", "pod", "-n", namespace, "-l", "app=redis", "--timeout=60s")
    cluster.kubectl("rollout", "status", "-n", namespace, "--timeout=120s", "deployment/redis")

    wait_for("redis", lambda: cluster.kubectl(*inside, "redis-cli", "-h", "redis", "GET", "key").strip() == "kept")
    assert "Ready to accept connections" in cluster.kubectl("logs", "-n", namespace, "deploy/redis")
    with port_forward(cluster, namespace, "service/redis", 6379) as port:
        assert redis.Redis(port=port).get("key") == b"kept"


@pytest.mark.usefixtures("crds")
def test_of_objects_that_are_only_counted_the_server_sends_the_metadata(cluster: Cluster, namespace: str) -> None:
    api = Api(config.new_client_from_config(config_file=str(cluster.kubeconfig)))  # type: ignore[no-untyped-call]
    assert list(api.list(TRIALS, namespace, only_metadata=True)) == []
    spec = {"experimentRef": {"name": "none"}, "architecture": "r24-k3e3-k3e2.k3e3-k3e2-k3e3-k3e2-k5e2"}
    document = {"apiVersion": "pfpnas.io/v1alpha1", "kind": "Trial", "metadata": {"name": "lone"}, "spec": spec}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))

    (found,) = api.list(TRIALS, namespace, only_metadata=True)

    whole = api.get(TRIALS, namespace, "lone")
    assert whole is not None
    assert found["metadata"]["uid"] == whole["metadata"]["uid"]
    assert "spec" in whole
    assert "spec" not in found


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("example", ["supernet.yaml", "experiment.yaml"])
def test_the_examples_pass_strict_validation_on_the_server(cluster: Cluster, namespace: str, example: str) -> None:
    path = ROOT / "examples" / "digits" / example

    assert "created" in cluster.kubectl("apply", "-n", namespace, "--validate=strict", "-f", str(path))


@pytest.mark.usefixtures("crds")
def test_an_unknown_field_is_refused_by_its_name(cluster: Cluster, namespace: str) -> None:
    document = example("supernet.yaml")
    document["spec"]["training"]["epoch"] = 3

    with pytest.raises(CommandError, match=r'unknown field "spec\.training\.epoch"'):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))


@pytest.mark.usefixtures("crds")
def test_a_broken_rule_across_fields_is_refused_naming_the_field(cluster: Cluster, namespace: str) -> None:
    document = example("experiment.yaml")
    document["spec"]["objective"]["constraints"] = [{"metric": "Cost", "max": "3.0"}]

    with pytest.raises(CommandError, match=r"spec: Invalid value: .*Cost needs target\.pricePerHour"):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))


@pytest.mark.usefixtures("crds")
def test_a_search_space_can_not_be_changed(cluster: Cluster, namespace: str) -> None:
    document = example("supernet.yaml")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))
    document["spec"]["searchSpace"]["kernelSizes"] = [3]

    with pytest.raises(CommandError, match=r"spec\.searchSpace.*immutable"):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))


def example(name: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "examples" / "digits" / name).read_text())
    assert isinstance(content, dict)
    return content


def noop_job(image: str) -> dict[str, Any]:
    container = {"name": "noop", "image": image, "imagePullPolicy": "IfNotPresent", "securityContext": RESTRICTED}
    pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "noop"}, "spec": spec}


def redis_with_volume(image: str) -> list[dict[str, Any]]:
    labels = {"app": "redis"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    container = {
        "name": "redis",
        "image": image,
        "args": ["--appendonly", "yes", "--appendfsync", "always", "--protected-mode", "no"],
        "securityContext": RESTRICTED,
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {"fsGroup": 65532},
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "redis"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "redis"}, "spec": claim},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis"}, "spec": deployment},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "redis"},
            "spec": {"selector": labels, "ports": [{"port": 6379}]},
        },
    ]


def answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


@contextmanager
def port_forward(cluster: Cluster, namespace: str, target: str, port: int) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local_port = probe.getsockname()[1]
    words = ("port-forward", "-n", namespace, target, f"{local_port}:{port}")
    command = [str(part) for part in (cluster.kubectl_program, "--kubeconfig", cluster.kubeconfig, *words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("port-forward", lambda: answers(local_port))
            yield local_port
        finally:
            process.terminate()
