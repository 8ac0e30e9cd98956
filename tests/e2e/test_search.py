"""A search from `kubectl apply` to its model: what a user sees on the way, and what is left at the end."""

import hashlib
import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from support.lab import Document, Lab, experiment

pytestmark = pytest.mark.usefixtures("agent")

QUEUE = "kueue.x-k8s.io/queue-name"


def watched(lab: Lab, name: str, components: set[str], *, seconds: float = 240) -> list[Document]:
    """A pod of each of these components of a search that has begun: they may be gone a moment later."""
    seen: dict[str, Document] = {}

    def all_seen() -> bool:
        for pod in lab.children(name, "pods"):
            seen.setdefault(pod["metadata"]["labels"]["app.kubernetes.io/component"], pod)
        return seen.keys() >= components

    lab.until(f"pods of {components}", all_seen, seconds=seconds)
    return list(seen.values())


def secrets_of(pod: Document) -> set[str]:
    """Names of all Secrets that a pod gets, in whatever way."""
    spec = pod["spec"]
    sources = [source for container in spec["containers"] for source in container.get("envFrom", [])]
    sources += [one.get("valueFrom", {}) for container in spec["containers"] for one in container.get("env", [])]
    found = [source[kind]["name"] for source in sources for kind in source if kind.startswith("secret")]
    volumes = [volume for volume in spec["volumes"] if "secret" in volume or "projected" in volume]
    return {*found, *(volume["name"] for volume in volumes)}


def assert_least(pods: list[Document], *, secret: str) -> None:
    """No token, no part of the node, and the search's own Secret alone."""
    for pod in pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert [volume for volume in pod["spec"]["volumes"] if "hostPath" in volume] == []
        assert secrets_of(pod) == {secret}


def test_a_search_by_pods_ends_with_a_model_that_its_user_fetches(lab: Lab, tiny: str, tmp_path: Path) -> None:
    lab.apply(experiment("by-pods", of=tiny, pool="bench", trials=3, trialTemplate={"mode": "Pod"}))
    assert_least(watched(lab, "by-pods", {"tune", "trial"}), secret="by-pods-nas-pfpnas")
    lab.wait("nas", "by-pods", "Succeeded", seconds=400)

    status = lab.get("nas", "by-pods")["status"]
    assert status["trials"]["succeeded"] == 3
    assert {trial["status"]["feasible"] for trial in lab.trials("by-pods")} == {True}
    assert len(json.dumps(status)) < 64 * 1024
    lab.kubectl("wait", "--for=condition=Succeeded", "nas/by-pods", "--timeout=5s")

    model = tmp_path / "best.onnx"
    said = lab.release.pfpnas("get", "best", "-n", lab.namespace, "by-pods", "-o", str(model))
    assert status["best"]["architecture"] in said
    assert hashlib.sha256(model.read_bytes()).hexdigest() == status["best"]["artifact"]["sha256"]
    assert onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "images"


@pytest.fixture(scope="module")
def told(lab: Lab, tiny: str) -> dict[str, Any]:
    """A pooled search of two trials that has ended; `pods`: some of its pods."""
    lab.apply(experiment("told", of=tiny, pool="bench", trials=2))
    pods = watched(lab, "told", {"tune", "trial-worker"})
    lab.wait("nas", "told", "Succeeded")
    return {"pods": pods, **lab.get("nas", "told")}


def test_columns_tell_the_story(lab: Lab, tiny: str, told: dict[str, Any]) -> None:
    header, line = lab.kubectl("get", "nas", "told").splitlines()
    columns = dict(zip(header.split(), line.split(), strict=True))
    assert [columns[name] for name in ("NAME", "STATE", "DONE", "TOTAL", "SUCCEEDED")] == [
        "told", "BudgetSpent", "2", "2", "True",
    ]  # fmt: skip
    assert "True" in lab.kubectl("get", "sn", tiny)
    assert {line.split()[0] for line in lab.kubectl("get", "nt").splitlines()[1:]} >= {"told-00000", "told-00001"}


def test_transitions_are_events_of_their_object(lab: Lab, told: dict[str, Any]) -> None:
    assert told["status"]["trials"]["succeeded"] == 2
    of_it = "--field-selector=involvedObject.name=told,involvedObject.kind=NASExperiment"
    wanted = {"Searching", "BudgetSpent", "Succeeded"}
    lab.until("its Events", lambda: {event["reason"] for event in lab.all("events", of_it)} >= wanted)


def test_a_workload_has_no_token_and_no_more_than_its_own_secret(told: dict[str, Any]) -> None:
    assert_least(told["pods"], secret="told-nas-pfpnas")


def test_the_operator_meters_what_it_keeps(lab: Lab, told: dict[str, Any]) -> None:
    search = lab.release.metrics(namespace=lab.namespace, experiment="told")
    assert search == {
        "pfpnas_trials pending": 0,
        "pfpnas_trials running": 0,
        "pfpnas_trials succeeded": 2,
        "pfpnas_trials failed": 0,
        "pfpnas_trials infeasible": 0,
        "pfpnas_best_score": pytest.approx(told["status"]["best"]["score"]),
    }
    whole = lab.release.metrics()
    assert whole["pfpnas_redis_up"] == 1
    assert whole["pfpnas_resources Supernet"] >= 1
    assert whole["pfpnas_reconcile_seconds_count NASExperiment"] >= 1
    assert whole["pfpnas_decide_seconds_count Supernet"] >= 1


def test_nothing_of_a_search_is_left_once_it_is_deleted(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("gone", of=tiny, pool="bench", trials=1))
    lab.wait("nas", "gone", "Succeeded")
    uid = lab.get("nas", "gone")["metadata"]["uid"]
    lab.until("it is metered", lambda: lab.release.metrics(namespace=lab.namespace, experiment="gone"))

    lab.kubectl("delete", "nas", "gone")

    owned = f"-lpfpnas.io/owner={uid}"
    lab.until("no trial is left", lambda: not lab.trials("gone"))
    children = ("get", "jobs,pods,secrets,services", owned, "-o", "name")
    lab.until("no child is left", lambda: not lab.kubectl(*children).strip())
    lab.until("no series", lambda: not lab.release.metrics(namespace=lab.namespace, experiment="gone"))


def test_a_search_in_a_queue_waits_for_its_turn(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("in-turn", of=tiny, pool="bench", trials=1, queueName="team"))
    waiting = lab.wait("nas", "in-turn", "Searching", status="False", reason="Queued")
    assert "in-turn-" in waiting["message"]
    labels = set()

    def admitted() -> bool:
        for job in lab.children("in-turn"):
            labels.add(job["metadata"]["labels"].get(QUEUE))
            if job["spec"].get("suspend"):
                lab.patch("job", job["metadata"]["name"], {"suspend": False})
        condition = lab.condition("nas", "in-turn", "Succeeded")
        return condition is not None and condition["status"] == "True"

    lab.until("it is admitted and ends", admitted, seconds=240)
    assert labels == {"team"}


def test_an_image_that_is_nowhere_is_told_by_the_kubelets_own_reason(lab: Lab, tiny: str) -> None:
    template = {"mode": "Pod", "image": "localhost/pfpnas-e2e/nowhere:1"}
    lab.apply(experiment("imageless", of=tiny, pool="bench", trials=1, trialTemplate=template))

    waiting = lab.wait("nas", "imageless", "Searching", status="False", reason="ImagePullBackOff")
    assert "pfpnas-e2e/nowhere:1" in waiting["message"]
    lab.kubectl("delete", "nas", "imageless")


def test_a_pool_that_is_not_open_to_the_namespace_is_refused(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("intruder", of=tiny, pool="closed", trials=1))

    refused = lab.wait("nas", "intruder", "Accepted", status="False")
    assert refused["reason"] == "PoolNotAllowed"
    assert "closed" in refused["message"]
    assert lab.trials("intruder") == []
    lab.kubectl("delete", "nas", "intruder")
