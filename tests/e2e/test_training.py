"""Supernets trained by pods."""

from support.release import Lab, supernet
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


def test_a_suspended_training_goes_on_from_its_checkpoint(lab: Lab) -> None:
    training = {**TINY["training"], "epochs": 400, "checkpointEvery": 5}
    lab.apply(supernet("halted", {**TINY, "training": training}))
    lab.until("progress", lambda: lab.get("sn", "halted").get("status", {}).get("progress", {}).get("epoch", 0) > 1)

    lab.patch("sn", "halted", {"suspend": True})
    lab.wait("sn", "halted", "Suspended")
    lab.until("its Job is gone", lambda: lab.all("jobs", "-lpfpnas.io/name=halted") == [])
    lab.patch("sn", "halted", {"suspend": False})

    log = lab.until(
        "the second attempt's first words",
        lambda: "starts at step" in (said := lab.kubectl("logs", "job/halted-pretrain")) and said,
    )
    assert "starts at step 0 of" not in log
    lab.kubectl("delete", "sn", "halted")


def test_bad_data_fail_at_once_with_the_reason(lab: Lab) -> None:
    wrong = {**TINY, "dataset": {"format": "NPZ", "uri": "/nowhere/data.npz"}}
    lab.apply(supernet("no-data", wrong))

    failed = lab.wait("sn", "no-data", "Failed")
    assert failed["reason"] == "BadInput"
    assert "/nowhere/data.npz" in failed["message"]
    assert lab.get("sn", "no-data")["status"].get("attempts", {}) == {}


def test_a_pod_that_no_node_takes_is_told_by_the_schedulers_own_reason(lab: Lab) -> None:
    lab.apply(supernet("greedy", {**TINY, "podTemplate": {"nodeSelector": {"no-such": "node"}}}))

    waiting = lab.wait("sn", "greedy", "Trained", status="False", reason="Unschedulable", seconds=60)
    assert "node" in waiting["message"]
    lab.kubectl("delete", "sn", "greedy")
