"""Least privilege, as the charts render it: rights, pods, tokens, traffic."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pfpnas_operator.kube.api
from support.charts import RENDERINGS, Document, Rendering, containers, of_kind, pods, rendered

KINDS = ("supernets", "nasexperiments", "trials")
CALL = re.compile(r"api\.(get|list|create|merge|delete)\(\s*([A-Z_]+),")
"""A request of the operator, as its code writes it."""

every_rendering = pytest.mark.parametrize("rendering", RENDERINGS, ids=lambda one: one.name)
SAFE_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""What Pod Security `restricted` admits and the charts use."""


def _rules(documents: list[Document]) -> Iterator[Document]:
    for role in of_kind(documents, "Role", "ClusterRole"):
        yield from role["rules"]


@every_rendering
def test_rights_are_listed_one_by_one(rendering: Rendering) -> None:
    for rule in _rules(rendered(rendering)):
        words = [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
        assert [word for word in words if "*" in word] == []
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])


@every_rendering
def test_secrets_are_made_and_changed_neither_listed_nor_fetched(rendering: Rendering) -> None:
    verbs = {verb for rule in _rules(rendered(rendering)) if "secrets" in rule["resources"] for verb in rule["verbs"]}
    assert verbs <= {"create", "patch"}


def test_rights_are_those_that_the_operators_code_uses() -> None:
    (default,) = (one for one in RENDERINGS if one.name == "default")
    granted = {
        (verb, resource)
        for rule in _rules(rendered(default))
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }
    watched = {(verb, kind) for verb in ("list", "watch") for kind in (*KINDS, "jobs")}
    # Of a Trial nothing is a child.
    owners = {("update", f"{kind}/finalizers") for kind in ("supernets", "nasexperiments")}
    statuses = {("patch", f"{kind}/status") for kind in KINDS}
    assert granted == _used() | watched | owners | statuses


def _used() -> set[tuple[str, str]]:
    """(verb, resource) of the calls that name their resource."""
    package = Path(pfpnas_operator.kube.api.__file__).parent
    texts = [path.read_text() for path in package.glob("*.py") if path.name != "api.py"]
    calls = [found for text in texts for found in CALL.findall(text)]
    verbs = {"merge": "patch"}
    return {(verbs.get(verb, verb), getattr(pfpnas_operator.kube.api, place).plural) for verb, place in calls}


@every_rendering
def test_nothing_of_other_peoples_pods_is_opened(rendering: Rendering) -> None:
    asked = {resource for rule in _rules(rendered(rendering)) for resource in rule["resources"]}
    assert not {"pods/log", "pods/exec", "pods/attach", "pods/portforward", "serviceaccounts/token", "nodes"} & asked


@every_rendering
def test_only_the_operator_has_a_token(rendering: Rendering) -> None:
    documents = rendered(rendering)
    with_token = [name for name, pod in pods(documents).items() if pod["spec"]["automountServiceAccountToken"]]
    assert [name for name in with_token if not name.endswith("-operator")] == []
    accounts = of_kind(documents, "ServiceAccount")
    assert [one["metadata"]["name"] for one in accounts if one["automountServiceAccountToken"]] == []
    named = {pod["spec"]["serviceAccountName"] for pod in pods(documents).values()}
    assert named == {one["metadata"]["name"] for one in accounts}


@every_rendering
def test_every_pod_is_restricted(rendering: Rendering) -> None:
    host_path = rendering.name == "k3s-edge-agent"  # its data lie on the device; its README says what that takes
    for name, pod in pods(rendered(rendering)).items():
        found = [*_beyond_restricted(pod["spec"]), *(_loose(pod))]
        assert [one for one in found if not (host_path and one.startswith("volume"))] == [], name


def _beyond_restricted(spec: Document) -> Iterator[str]:
    yield from (f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= SAFE_VOLUMES:
            yield f"volume {volume['name']}: {kinds}"
    for container in containers({"spec": spec}):
        security: dict[str, Any] = container["securityContext"]
        wanted = {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        yield from (f"{container['name']}: {key}" for key, value in wanted.items() if security.get(key) != value)
        yield from (f"{container['name']}: hostPort" for port in container.get("ports", []) if "hostPort" in port)


def _loose(pod: Document) -> Iterator[str]:
    for container in containers(pod):
        security = container["securityContext"]
        if not security.get("readOnlyRootFilesystem"):
            yield f"{container['name']} may write its root"
        if not security.get("runAsUser", 0) >= 10_000:
            yield f"{container['name']} has no user of its own"
        missing = {"cpu", "memory"} - set(container["resources"].get("requests", {}))
        if missing or "memory" not in container["resources"].get("limits", {}):
            yield f"{container['name']} has no bounds: {missing or 'memory limit'}"


@every_rendering
def test_every_pod_is_denied_what_no_policy_names(rendering: Rendering) -> None:
    documents = rendered(rendering)
    denied = [one["spec"] for one in of_kind(documents, "NetworkPolicy") if _is_both_ways(one["spec"])]
    for name, pod in pods(documents).items():
        labels = pod["metadata"]["labels"].items()
        assert [one for one in denied if one["podSelector"]["matchLabels"].items() <= labels], name
    for policy in of_kind(documents, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            assert rule.get("from"), "an ingress rule without peers is open to everybody"
            assert rule.get("ports")


def _is_both_ways(spec: Document) -> bool:
    return set(spec["policyTypes"]) == {"Ingress", "Egress"}


@every_rendering
def test_services_and_budgets_find_a_pod(rendering: Rendering) -> None:
    documents = rendered(rendering)
    labels = [pod["metadata"]["labels"].items() for pod in pods(documents).values()]
    selectors = [one["spec"]["selector"] for one in of_kind(documents, "Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(documents, "PodDisruptionBudget")]
    assert [one for one in selectors if sum(one.items() <= found for found in labels) != 1] == []


@every_rendering
def test_named_ports_are_ports_of_the_pods(rendering: Rendering) -> None:
    documents = rendered(rendering)
    there = {
        port["name"] for pod in pods(documents).values() for one in containers(pod) for port in one.get("ports", [])
    }
    asked = [port["targetPort"] for one in of_kind(documents, "Service") for port in one["spec"]["ports"]]
    for policy in of_kind(documents, "NetworkPolicy"):
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            asked += [port["port"] for port in rule["ports"] if isinstance(port["port"], str)]
    assert [port for port in asked if port not in there] == []


def test_an_open_redis_takes_named_networks_only() -> None:
    (everything,) = (one for one in RENDERINGS if one.name == "everything")
    documents = rendered(everything)
    (policy,) = (one for one in of_kind(documents, "NetworkPolicy") if one["metadata"]["name"] == "pfpnas-redis")
    peers = policy["spec"]["ingress"][0]["from"]
    assert [one["ipBlock"]["cidr"] for one in peers if "ipBlock" in one] == ["203.0.113.0/24", "2001:db8::/32"]
    workloads = [one for one in peers if one["podSelector" if "podSelector" in one else "ipBlock"].get("matchLabels") ==
                 {"app.kubernetes.io/managed-by": "pfpnas"}]  # fmt: skip
    assert workloads[0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-a", "team-b"]
