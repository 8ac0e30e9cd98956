"""A search from `kubectl apply` to its model: what a user sees and changes on the way, and what is left at the end."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from support.lab import Document, Lab, assert_whole, experiment, succeeded, table

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


@dataclass(frozen=True, kw_only=True)
class ByPods:
    """A search by pods that has ended."""

    name: str
    pods: list[Document]
    """One of each component."""
    at_once: set[str]
    """Uids of the builds' pods that ran side by side when it was told to have one at a time."""


@pytest.fixture(scope="module")
def by_pods(lab: Lab, tiny: str) -> ByPods:
    """Four trials at once; while they are built one at a time and a fifth, and while that is under way a sixth."""
    name, four = "by-pods", {"maxTrials": 4, "parallelTrials": 4}
    lab.apply(experiment(name, of=tiny, pool="bench", trials=4, budget=four, trialTemplate={"mode": "Pod"}))
    pods = watched(lab, name, {"tune", "trial"})

    at_once = lab.until("builds side by side", lambda: len(found := builds(lab, name)) > 1 and found, seconds=240)
    lab.patch("nas", name, {"budget": {"maxTrials": 5, "parallelTrials": 1}})
    lab.until("a fifth trial", lambda: len(lab.trials(name)) == 5, seconds=240)
    lab.patch("nas", name, {"budget": {"maxTrials": 6, "parallelTrials": 4}})

    lab.wait("nas", name, "Succeeded", seconds=400)
    return ByPods(name=name, pods=pods, at_once=at_once)


def builds(lab: Lab, name: str) -> set[str]:
    """Uids of the pods that build a trial now."""
    found = lab.children(name, "pods")
    trials = [pod for pod in found if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "trial"]
    return {pod["metadata"]["uid"] for pod in trials if pod["status"]["phase"] == "Running"}


def test_a_search_by_pods_ends_with_a_model_that_its_user_fetches(lab: Lab, by_pods: ByPods, tmp_path: Path) -> None:
    assert_least(by_pods.pods, secret=f"{by_pods.name}-nas-pfpnas")
    status = lab.get("nas", by_pods.name)["status"]
    assert {trial["status"]["feasible"] for trial in lab.trials(by_pods.name)} == {True}
    assert len(json.dumps(status)) < 64 * 1024
    lab.kubectl("wait", "--for=condition=Succeeded", f"nas/{by_pods.name}", "--timeout=5s")

    model = tmp_path / "best.onnx"
    said = lab.release.pfpnas("get", "best", "-n", lab.namespace, by_pods.name, "-o", str(model))
    assert status["best"]["architecture"] in said
    assert hashlib.sha256(model.read_bytes()).hexdigest() == status["best"]["artifact"]["sha256"]
    assert onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "images"


def test_fewer_trials_at_once_end_none_that_runs_and_only_hold_back_the_next(lab: Lab, by_pods: ByPods) -> None:
    # A container that the kubelet stops gets an Event of that; one that ends by itself gets none.
    stopped = {event["involvedObject"]["uid"] for event in lab.all("events", "--field-selector=reason=Killing")}
    assert by_pods.at_once & stopped == set()
    trials = sorted(lab.trials(by_pods.name), key=lambda trial: trial["spec"]["index"])
    assert {trial["status"]["buildAttempts"] for trial in trials} == {1}
    assert moment(trials[4], "createdAt") >= max(moment(trial, "finishedAt") for trial in trials[:4])


def test_a_budget_that_is_raised_in_mid_search_counts_at_once(lab: Lab, by_pods: ByPods) -> None:
    assert_whole(lab, by_pods.name, trials=6)
    # Which is said of one that had ended.
    of_it = f"--field-selector=involvedObject.name={by_pods.name},reason=BudgetRaised"
    assert lab.all("events", of_it) == [], "it never ended in between"


def moment(trial: Document, name: str) -> datetime:
    return datetime.fromisoformat(trial["status"][name])


@pytest.fixture(scope="module")
def told(lab: Lab, tiny: str) -> dict[str, Any]:
    """A pooled search of two trials that has ended; `pods`: some of its pods."""
    lab.apply(experiment("told", of=tiny, pool="bench", trials=2))
    pods = watched(lab, "told", {"tune", "trial-worker"})
    lab.wait("nas", "told", "Succeeded")
    return {"pods": pods, **lab.get("nas", "told")}


def columns(lab: Lab, kind: str, *names: str) -> dict[str, dict[str, str]]:
    """What `kubectl get` shows of each object, but for its age."""
    rows = table(lab.kubectl("get", kind, *names))
    assert all(row.pop("AGE") for row in rows)
    return {row.pop("NAME"): row for row in rows}


def test_columns_of_a_search_tell_its_story(lab: Lab, told: dict[str, Any]) -> None:
    best = told["status"]["best"]
    assert columns(lab, "nas", "told") == {
        "told": {
            "STATE": "BudgetSpent",
            "DONE": "2",
            "TOTAL": "2",
            "SCORE": shown(best["score"]),
            "P50": shown(best["metrics"]["latencyMilliseconds"]["p50"]),
            "FRONT": shown(told["status"].get("hypervolume")),
            "SUCCEEDED": "True",
        }
    }


@pytest.mark.usefixtures("told")
def test_columns_of_trials_tell_their_figures(lab: Lab) -> None:
    statuses = {trial["metadata"]["name"]: trial["status"] for trial in lab.trials("told")}
    assert statuses.keys() == {"told-00000", "told-00001"}
    assert columns(lab, "nt", *statuses) == {
        name: {
            "STATE": "Scored",
            "SCORE": shown(status["score"]),
            "P50": shown(status["metrics"]["latencyMilliseconds"]["p50"]),
            "ACCURACY": shown(status["metrics"]["accuracy"]),
            "FEASIBLE": "true",
        }
        for name, status in statuses.items()
    }


def test_columns_of_a_supernet_tell_that_it_is_ready(lab: Lab, tiny: str) -> None:
    accuracy = lab.get("sn", tiny)["status"]["checkpoint"]["largestAccuracy"]
    assert columns(lab, "sn", tiny) == {
        tiny: {"STATE": "Ready", "PERCENT": "", "READY": "True", "ACCURACY": shown(accuracy)}
    }


def shown(figure: float | None) -> str:
    """As kubectl prints a number: a whole one without a point, and nothing where there is none."""
    if figure is None:
        return ""
    return str(int(figure)) if figure == int(figure) else str(figure)


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


def test_a_quota_of_trials_is_told_and_waited_out_while_those_there_are_measured(lab: Lab, tiny: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few-trials"},
        "spec": {"hard": {"count/trials.pfpnas.io": str(len(lab.all("nt")) + 2)}},
    }
    lab.apply(quota)
    lab.until("the quota counts", lambda: lab.get("resourcequota", "few-trials").get("status", {}).get("used"))
    lab.apply(experiment("few", of=tiny, pool="bench", trials=4))

    refused = lab.wait("nas", "few", "Searching", status="False", reason="TrialRefused")
    assert "exceeded quota: few-trials" in refused["message"]
    lab.until("what is there is measured", lambda: succeeded(lab, "few") == 2)
    lab.wait("nas", "few", "Searching", status="False", reason="TrialRefused")

    lab.kubectl("delete", "resourcequota", "few-trials")
    lab.wait("nas", "few", "Succeeded")
    assert_whole(lab, "few", trials=4)


def test_a_pool_that_is_not_open_to_the_namespace_is_refused(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("intruder", of=tiny, pool="closed", trials=1))

    refused = lab.wait("nas", "intruder", "Accepted", status="False")
    assert refused["reason"] == "PoolNotAllowed"
    assert "closed" in refused["message"]
    assert lab.trials("intruder") == []
    lab.kubectl("delete", "nas", "intruder")
