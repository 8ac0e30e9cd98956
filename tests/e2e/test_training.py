"""Supernets trained by pods: together, and what keeps them from it. What interrupts them: `test_interruptions.py`."""

from support.lab import Document, Lab, admit, supernet
from support.release import without
from support.tiny_supernet import TINY


def test_two_workers_train_one_supernet(lab: Lab) -> None:
    training = {**TINY["training"], "workers": 2}
    lab.apply(supernet("pair", {**TINY, "training": training}))
    job = lab.until("the Job", lambda: lab.get("job", "pair-pretrain"))
    assert (job["spec"]["completionMode"], job["spec"]["parallelism"]) == ("Indexed", 2)

    lab.wait("sn", "pair", "Ready", seconds=400)

    status = lab.get("sn", "pair")["status"]
    assert 0 <= status["checkpoint"]["largestAccuracy"] <= 1
    assert status["predictor"]["samples"] == TINY["predictor"]["samples"]


def test_bad_data_fail_at_once_by_the_jobs_own_policy_and_with_the_reason(lab: Lab) -> None:
    wrong = {**TINY, "dataset": {"format": "NPZ", "uri": "/nowhere/data.npz"}, "queueName": "team"}
    lab.apply(supernet("no-data", wrong))
    lab.wait("sn", "no-data", "Trained", status="False", reason="Queued")

    # Who hears what the pod found deletes its Job, so nobody hears it until the Job has ended by itself.
    with without(lab.cluster, "operator", namespace=lab.release.namespace):
        admit(lab, "no-data")
        ended = lab.until("its Job's end", lambda: end_of(lab, "no-data-pretrain"))
        assert (ended["type"], ended["reason"]) == ("Failed", "PodFailurePolicy")

    failed = lab.wait("sn", "no-data", "Failed")
    assert failed["reason"] == "BadInput"
    assert "/nowhere/data.npz" in failed["message"]
    assert lab.get("sn", "no-data")["status"].get("attempts", {}) == {}


def end_of(lab: Lab, job: str) -> Document | None:
    """The condition that says how a Job ended, once it has."""
    conditions = lab.get("job", job)["status"].get("conditions", [])
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def test_a_pod_that_no_node_takes_is_told_by_the_schedulers_own_reason(lab: Lab) -> None:
    lab.apply(supernet("greedy", {**TINY, "podTemplate": {"nodeSelector": {"no-such": "node"}}}))

    waiting = lab.wait("sn", "greedy", "Trained", status="False", reason="Unschedulable")
    assert "node" in waiting["message"]
    lab.kubectl("delete", "sn", "greedy")
