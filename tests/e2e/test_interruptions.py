"""Trainings that are interrupted: by their queue, their node, a pod that goes before them, and their user."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.lab import Document, Lab, admit, supernet
from support.tiny_supernet import TINY

LONG = {**TINY, "training": {**TINY["training"], "epochs": 1000, "checkpointEvery": 5}}
"""Trains until it is deleted."""

QUEUE = "kueue.x-k8s.io/queue-name"

ROOM = 400
"""Thousandths of a CPU that the training asks for, when others may take them from it."""


def trains(lab: Lab, name: str) -> None:
    """It has a checkpoint to go on from: ten steps are an epoch."""
    lab.until("progress", lambda: lab.get("sn", name).get("status", {}).get("progress", {}).get("epoch", 0) > 1)


def pods(lab: Lab, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in lab.children(name, "pods")}


def running(lab: Lab, name: str) -> list[Document]:
    found = [pod for pod in lab.children(name, "pods") if "deletionTimestamp" not in pod["metadata"]]
    return [pod for pod in found if pod["status"]["phase"] == "Running"]


def step_begun_at(lab: Lab, name: str) -> int:
    """Where the newest pod began; called once the one before it is gone."""
    found = re.search(r"starts at step (\d+) of", lab.logs(name, "pretrain", says="starts at step"))
    assert found
    return int(found[1])


def job_of(lab: Lab, name: str) -> str:
    """The uid of a training's Job: another one, where the operator had to make it again."""
    return str(lab.get("job", f"{name}-pretrain")["metadata"]["uid"])


def assert_nothing_counted(lab: Lab, name: str) -> None:
    """An interruption is no failure; and none was the operator's to deal with."""
    status = lab.get("sn", name)["status"]
    assert (status.get("attempts", {}), status.get("interruptions", {})) == ({}, {})


def test_a_training_waits_in_its_queue_and_goes_back_there_without_a_loss(lab: Lab) -> None:
    lab.apply(supernet("in-line", {**LONG, "queueName": "team"}))
    waiting = lab.wait("sn", "in-line", "Trained", status="False", reason="Queued")
    assert "in-line-pretrain" in waiting["message"]
    (job,) = admit(lab, "in-line")
    assert job["metadata"]["labels"][QUEUE] == "team"
    assert "startTime" not in job["status"], "its time does not run yet"
    trains(lab, "in-line")
    assert lab.condition("sn", "in-line", "Trained")["reason"] == "Training"

    before = pods(lab, "in-line")
    lab.patch("job", "in-line-pretrain", {"suspend": True})  # somebody else's turn
    lab.wait("sn", "in-line", "Trained", status="False", reason="Queued")
    lab.until("its pods are gone", lambda: not pods(lab, "in-line") & before)

    def runs_again() -> list[Document]:
        admit(lab, "in-line")
        return running(lab, "in-line")

    lab.until("it is admitted and runs again", runs_again)

    assert step_begun_at(lab, "in-line") > 0
    assert lab.get("sn", "in-line")["status"].get("attempts", {}) == {}, "to wait is no failure"
    lab.kubectl("delete", "sn", "in-line")


@pytest.fixture(scope="module")
def lowly(lab: Lab) -> Iterator[str]:
    """A PriorityClass below that of every other pod: whoever lacks room gets it from these, and from nobody else."""
    name = f"lowly-{secrets.token_hex(3)}"
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": -1000}
    lab.cluster.kubectl("create", "-f", "-", input=json.dumps(kind))
    yield name
    lab.cluster.kubectl("delete", "priorityclass", name)


@pytest.fixture(scope="module")
def halted(lab: Lab, lowly: str) -> Iterator[str]:
    """A training that the next tests interrupt, each in its way; it goes on after each."""
    requests = {"cpu": f"{ROOM}m", "memory": "64Mi"}
    template = {"priorityClassName": lowly, "resources": {"requests": requests}}
    lab.apply(supernet("halted", {**LONG, "podTemplate": template}))
    trains(lab, "halted")
    yield "halted"
    lab.kubectl("delete", "sn", "halted")


def evict(lab: Lab, pod: str) -> None:
    """As `kubectl drain` does it: the API server asks the pod to go, and marks it as disrupted."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": lab.namespace}}
    path = f"/api/v1/namespaces/{lab.namespace}/pods/{pod}/eviction"
    lab.cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))


def test_an_evicted_training_goes_on_from_its_checkpoint_in_the_same_job(lab: Lab, halted: str) -> None:
    job, evicted = job_of(lab, halted), pods(lab, halted)
    for pod in evicted:
        evict(lab, pod)
    lab.until("another pod", lambda: (there := pods(lab, halted)) and not there & evicted)

    assert step_begun_at(lab, halted) > 0
    assert job_of(lab, halted) == job, "its own policy passes over an eviction"
    assert_nothing_counted(lab, halted)


def test_a_preempted_training_waits_for_room_in_the_same_job_and_runs_again(lab: Lab, halted: str) -> None:
    job = job_of(lab, halted)
    (victim,) = lab.until("it runs", lambda: running(lab, halted))

    with a_neighbour(lab):
        lab.until("it is preempted", lambda: victim["metadata"]["uid"] in told(lab, "Preempted"))
        waiting = lab.wait("sn", halted, "Trained", status="False", reason="Unschedulable")
        assert "cpu" in waiting["message"]

    (again,) = lab.until("it runs again", lambda: running(lab, halted))
    assert again["metadata"]["uid"] != victim["metadata"]["uid"]
    assert job_of(lab, halted) == job, "its own policy passes over a preemption"
    assert_nothing_counted(lab, halted)


def told(lab: Lab, reason: str) -> set[str]:
    """Uids of all that an Event of this reason is about."""
    return {event["involvedObject"]["uid"] for event in lab.all("events", f"--field-selector=reason={reason}")}


@contextmanager
def a_neighbour(lab: Lab) -> Iterator[None]:
    """A pod of ordinary priority that asks for all the CPU that is left and half of what the training has."""
    container = {
        "name": "main",
        "image": lab.release.images.agent,
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "resources": {"requests": {"cpu": f"{cpu_left(lab) + ROOM // 2}m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neighbour"}, "spec": spec}
    lab.kubectl("create", "-f", "-", input=json.dumps(pod))
    try:
        yield
    finally:
        lab.kubectl("delete", "pod", "neighbour", "--grace-period=1")


def cpu_left(lab: Lab) -> int:
    """Thousandths of a CPU of the one node that no pod asks for."""
    kubectl = lab.cluster.kubectl
    (node,) = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    there = "--field-selector=spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
    found = json.loads(kubectl("get", "pods", "-A", there, "-o", "json"))["items"]
    return millicores(node["status"]["allocatable"]["cpu"]) - sum(asked_for(pod["spec"]) for pod in found)


def asked_for(spec: Document) -> int:
    """By a pod: by its containers together, or by the one of those before them that asks for most."""
    first, then = (
        [millicores(one.get("resources", {}).get("requests", {}).get("cpu", "0")) for one in spec.get(kind, [])]
        for kind in ("initContainers", "containers")
    )
    return max(sum(then), *first, 0)


def millicores(amount: str) -> int:
    return int(amount.removesuffix("m")) if amount.endswith("m") else round(1000 * float(amount))


def test_a_suspended_training_goes_on_where_it_was(lab: Lab, halted: str) -> None:
    first = step_begun_at(lab, halted)
    lab.patch("sn", halted, {"suspend": True})
    lab.wait("sn", halted, "Suspended")
    lab.until("its Job and its pods are gone", lambda: not lab.children(halted, "jobs,pods"))

    lab.patch("sn", halted, {"suspend": False})

    assert step_begun_at(lab, halted) >= max(first, 1)
    assert lab.get("sn", halted)["status"].get("attempts", {}) == {}
