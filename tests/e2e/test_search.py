"""A search from `kubectl apply` to its model: what a user sees on the way, and what is left at the end."""

import hashlib
import json
from pathlib import Path

import onnxruntime
import pytest

from support.release import Lab, experiment

pytestmark = pytest.mark.usefixtures("agent")

LIMIT = {"constraints": [{"metric": "Latency", "maxRelative": "50"}]}


def test_a_search_by_pods_ends_with_a_model_that_its_user_fetches(lab: Lab, tiny: str, tmp_path: Path) -> None:
    wished = experiment("by-pods", of=tiny, pool="bench", trials=4, objective=LIMIT, trialTemplate={"mode": "Pod"})
    lab.apply(wished)
    lab.wait("nas", "by-pods", "Succeeded", seconds=400)

    status = lab.get("nas", "by-pods")["status"]
    assert status["trials"]["succeeded"] == 4
    assert {trial["status"]["feasible"] for trial in lab.trials("by-pods")} == {True}
    assert len(json.dumps(status)) < 64 * 1024
    lab.kubectl("wait", "--for=condition=Succeeded", "nas/by-pods", "--timeout=5s")

    model = tmp_path / "best.onnx"
    said = lab.release.pfpnas("get", "best", "-n", lab.namespace, "by-pods", "-o", str(model))
    assert status["best"]["architecture"] in said
    assert hashlib.sha256(model.read_bytes()).hexdigest() == status["best"]["artifact"]["sha256"]
    assert onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "images"


def test_columns_tell_the_story(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("told", of=tiny, pool="bench", trials=2, objective=LIMIT))
    lab.wait("nas", "told", "Succeeded")

    header, line = lab.kubectl("get", "nas", "told").splitlines()
    told = dict(zip(header.split(), line.split(), strict=True))
    assert (told["NAME"], told["STATE"], told["DONE"], told["TOTAL"], told["SUCCEEDED"]) == (
        "told", "BudgetSpent", "2", "2", "True",
    )  # fmt: skip
    assert "True" in lab.kubectl("get", "sn", tiny)
    assert {line.split()[0] for line in lab.kubectl("get", "nt").splitlines()[1:]} >= {"told-00000", "told-00001"}


def test_transitions_are_events_of_their_object(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("noted", of=tiny, pool="bench", trials=1, objective=LIMIT))
    lab.wait("nas", "noted", "Succeeded")

    events = lab.all("events", "--field-selector=involvedObject.name=noted,involvedObject.kind=NASExperiment")
    assert {event["reason"] for event in events} >= {"Searching", "BudgetSpent", "Succeeded"}


def test_nothing_of_a_search_is_left_once_it_is_deleted(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("gone", of=tiny, pool="bench", trials=1, objective=LIMIT))
    lab.wait("nas", "gone", "Succeeded")
    uid = lab.get("nas", "gone")["metadata"]["uid"]

    lab.kubectl("delete", "nas", "gone")

    owned = f"-lpfpnas.io/owner={uid}"
    lab.until("no trial is left", lambda: not lab.trials("gone"))
    children = ("get", "jobs,pods,secrets,services", owned, "-o", "name")
    lab.until("no child is left", lambda: not lab.kubectl(*children).strip())


def test_a_workload_has_no_token_and_no_more_than_its_own_secret(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("least", of=tiny, pool="bench", trials=1, objective=LIMIT))
    pods = lab.until("the tuner's pod", lambda: lab.all("pods", "-lpfpnas.io/name=least"))

    for pod in pods:
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert [v["name"] for v in spec["volumes"] if "secret" in v or "hostPath" in v or "projected" in v] == []
    lab.wait("nas", "least", "Succeeded")


def test_a_pool_in_which_nobody_is_heard_is_said(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("lonely", of=tiny, pool="digits-pool", trials=1, objective=LIMIT))

    missed = lab.wait("nas", "lonely", "AgentsAvailable", status="False")
    assert missed["reason"] == "NoHeartbeat"
    assert "digits-pool" in missed["message"]
    lab.kubectl("delete", "nas", "lonely")


def test_a_pool_that_is_not_open_to_the_namespace_is_refused(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("intruder", of=tiny, pool="closed", trials=1))

    refused = lab.wait("nas", "intruder", "Accepted", status="False")
    assert refused["reason"] == "PoolNotAllowed"
    assert "closed" in refused["message"]
    assert lab.trials("intruder") == []
    lab.kubectl("delete", "nas", "intruder")
