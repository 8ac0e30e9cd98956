"""Supernets trained by pods: together, interrupted by their user, their node and their queue, and what keeps them."""

import json
import re

from support.lab import Document, Lab, supernet
from support.tiny_supernet import TINY

LONG = {**TINY, "training": {**TINY["training"], "epochs": 1000, "checkpointEvery": 5}}
"""Trains until it is deleted."""

QUEUE = "kueue.x-k8s.io/queue-name"


def trains(lab: Lab, name: str) -> None:
    """It has a checkpoint to go on from: ten steps are an epoch."""
    lab.until("progress", lambda: lab.get("sn", name).get("status", {}).get("progress", {}).get("epoch", 0) > 1)


def pods(lab: Lab, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in lab.children(name, "pods")}


def running(lab: Lab, name: str) -> list[Document]:
    return [pod for pod in lab.children(name, "pods") if pod["status"]["phase"] == "Running"]


def step_begun_at(lab: Lab, name: str) -> int:
    """Where the newest pod began; called once the one before it is gone."""
    found = re.search(r"starts at step (\d+) of", lab.logs(name, "pretrain", says="starts at step"))
    assert found
    return int(found[1])


def evict(lab: Lab, pod: str) -> None:
    """As `kubectl drain` does it: the API server asks the pod to go, and marks it as disrupted."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": lab.namespace}}
    path = f"/api/v1/namespaces/{lab.namespace}/pods/{pod}/eviction"
    lab.cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))


def admit(lab: Lab, name: str) -> list[Document]:
    """Start the Jobs that wait in their queue, as Kueue does; which they were."""
    waiting = [job for job in lab.children(name) if job["spec"].get("suspend")]
    for job in waiting:
        lab.patch("job", job["metadata"]["name"], {"suspend": False})
    return waiting


def test_two_workers_train_one_supernet(lab: Lab) -> None:
    training = {**TINY["training"], "workers": 2}
    lab.apply(supernet("pair", {**TINY, "training": training}))
    job = lab.until("the Job", lambda: lab.get("job", "pair-pretrain"))
    assert (job["spec"]["completionMode"], job["spec"]["parallelism"]) == ("Indexed", 2)

    lab.wait("sn", "pair", "Ready", seconds=400)

    status = lab.get("sn", "pair")["status"]
    assert 0 <= status["checkpoint"]["largestAccuracy"] <= 1
    assert status["predictor"]["samples"] == TINY["predictor"]["samples"]


def test_an_evicted_and_then_suspended_training_goes_on_from_its_checkpoint(lab: Lab) -> None:
    lab.apply(supernet("halted", LONG))
    trains(lab, "halted")

    evicted = pods(lab, "halted")
    for pod in evicted:
        evict(lab, pod)
    lab.until("another pod", lambda: (there := pods(lab, "halted")) and not there & evicted)
    first = step_begun_at(lab, "halted")
    assert first > 0
    assert lab.get("sn", "halted")["status"].get("attempts", {}) == {}, "an eviction is no failure"

    lab.patch("sn", "halted", {"suspend": True})
    lab.wait("sn", "halted", "Suspended")
    lab.until("its Job and its pods are gone", lambda: not lab.children("halted", "jobs,pods"))
    lab.patch("sn", "halted", {"suspend": False})
    assert step_begun_at(lab, "halted") >= first
    assert lab.get("sn", "halted")["status"].get("attempts", {}) == {}
    lab.kubectl("delete", "sn", "halted")


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


def test_bad_data_fail_at_once_with_the_reason(lab: Lab) -> None:
    wrong = {**TINY, "dataset": {"format": "NPZ", "uri": "/nowhere/data.npz"}}
    lab.apply(supernet("no-data", wrong))

    failed = lab.wait("sn", "no-data", "Failed")
    assert failed["reason"] == "BadInput"
    assert "/nowhere/data.npz" in failed["message"]
    assert lab.get("sn", "no-data")["status"].get("attempts", {}) == {}


def test_a_pod_that_no_node_takes_is_told_by_the_schedulers_own_reason(lab: Lab) -> None:
    lab.apply(supernet("greedy", {**TINY, "podTemplate": {"nodeSelector": {"no-such": "node"}}}))

    waiting = lab.wait("sn", "greedy", "Trained", status="False", reason="Unschedulable")
    assert "node" in waiting["message"]
    lab.kubectl("delete", "sn", "greedy")
