"""The examples for clouds and k3s: what they promise in words holds for what they render."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.settings import ROOT
from pfpnas_agent.config import load
from pfpnas_api.joining import Join
from support.charts import RENDERINGS, Document, Rendering, config_of, of_kind, pods, rendered

EXAMPLES = ROOT / "examples"
BY_NAME = {one.name: one for one in RENDERINGS}
ISSUED = [one for one in RENDERINGS if one.name in ("eks", "gke", "aks")]
HUB = {"node-role.kubernetes.io/control-plane": "true"}
TAINT = re.compile(r"kubectl taint node \S+ (?P<key>[^=\s]+)=(?P<value>[^:\s]*):(?P<effect>\w+)")
INSTALL = ROOT / "docs" / "install.md"
JOIN = {"name": "bench-1", "user": "agent-bench-1", "password": "p" * 32, "url": "redis://redis.example.org:6379/0"}
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
DELETES = ("s3:DeleteObject", "/blobs/delete", "s3:*")


@pytest.mark.parametrize("rendering", ISSUED, ids=lambda one: one.name)
def test_the_authority_is_the_one_that_the_docs_make(rendering: Rendering) -> None:
    """A public one would sign none of the certificate's names, and Redis would never start."""
    (certificate,) = of_kind(rendered(rendering), "Certificate")
    asked = certificate["spec"]["issuerRef"]
    made = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in _manifests(INSTALL)}
    assert made[asked["kind"], asked["name"]].keys() == {"ca"}
    authority = made["Certificate", "pfpnas-ca"]
    assert authority["isCA"] is True
    assert authority["secretName"] == made[asked["kind"], asked["name"]]["ca"]["secretName"]
    assert made[authority["issuerRef"]["kind"], authority["issuerRef"]["name"]] == {"selfSigned": {}}


def test_the_first_agent_of_the_docs_serves_the_first_search(tmp_path: Path) -> None:
    (values,) = (one for one in _documents(INSTALL) if "join" in one)
    (tmp_path / "agents.yaml").write_text(yaml.safe_dump(values))
    documents = rendered(
        Rendering(name="docs", chart="pfpnas-edge-agent", release="bench-1", files=(tmp_path / "agents.yaml",))
    )
    (tmp_path / "join").write_text(Join(**JOIN, pool="bench-cpu").encode())
    config = config_of(documents, "bench-1-pfpnas-edge-agent", "agent.yaml")
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({**config, "joinFile": "join"}))
    agent = load(tmp_path / "agent.yaml")
    search = yaml.safe_load((EXAMPLES / "digits" / "experiment.yaml").read_text())
    assert set(agent.datasets) == {search["spec"]["target"]["dataset"]}
    told = INSTALL.read_text().partition("## 5. A search")[2]
    assert f"sed s/{search['spec']['target']['pool']}/{agent.pool}/" in told
    assert [f"-n {one} apply" in told for one in agent.namespaces] == [True]


def _manifests(path: Path) -> list[Document]:
    return [one for one in _documents(path) if "metadata" in one]


def _documents(path: Path) -> list[Document]:
    found = [one for block in YAML.findall(path.read_text()) for one in yaml.safe_load_all(block)]
    return [one for one in found if isinstance(one, dict)]


def test_devices_are_kept_free_of_all_but_the_agent() -> None:
    readme = (EXAMPLES / "k3s-edge" / "README.md").read_text()
    found = TAINT.search(readme)
    assert found is not None
    assert found.start() < readme.index("helm upgrade"), "before anything can be scheduled onto them"
    (agent,) = pods(rendered(BY_NAME["k3s-edge-agent"])).values()
    assert [one for one in agent["spec"]["tolerations"] if _tolerates(one, found.groupdict())]
    hub = pods(rendered(BY_NAME["k3s-edge"]))
    assert len(hub) == 3
    assert {name: pod["spec"].get("nodeSelector") for name, pod in hub.items()} == dict.fromkeys(hub, HUB)
    assert not [one for pod in hub.values() for one in pod["spec"].get("tolerations", ())]


def _tolerates(toleration: Document, taint: dict[str, str]) -> bool:
    same_value = toleration["operator"] == "Exists" or toleration.get("value") == taint["value"]
    return bool(same_value and (toleration["key"], toleration["effect"]) == (taint["key"], taint["effect"]))


def test_workloads_may_delete_nothing_that_the_operator_sweeps() -> None:
    operator = _allowed(EXAMPLES / "eks" / "policy-operator.json")
    workloads = _allowed(EXAMPLES / "eks" / "policy-workloads.json")
    azure = json.loads((EXAMPLES / "aks" / "role-workloads.json").read_text())["DataActions"]
    assert operator - workloads == {"s3:DeleteObject"}
    assert workloads < operator
    assert [one for one in (*workloads, *azure) if one.endswith(DELETES)] == []


def test_policies_speak_of_the_bucket_that_the_values_name() -> None:
    values = yaml.safe_load((EXAMPLES / "eks" / "values.yaml").read_text())
    bucket, _, prefix = values["artifacts"]["external"]["url"].removeprefix("s3://").partition("/")
    for name in ("policy-operator.json", "policy-workloads.json"):
        resources = {one["Resource"] for one in _statements(EXAMPLES / "eks" / name)}
        assert resources == {f"arn:aws:s3:::{bucket}/{prefix}/*", f"arn:aws:s3:::{bucket}"}


def _statements(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["Statement"]
    return found


def _allowed(path: Path) -> set[str]:
    actions = [one["Action"] for one in _statements(path) if one["Effect"] == "Allow"]
    return {word for one in actions for word in ([one] if isinstance(one, str) else one)}


def test_the_metadata_server_is_reached_at_both_of_its_addresses() -> None:
    policies = of_kind(rendered(BY_NAME["gke"]), "NetworkPolicy")
    (operator,) = (one["spec"] for one in policies if one["metadata"]["name"] == "pfpnas-operator")
    open_to = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in operator["egress"]
        for peer in rule.get("to", ())
        for port in rule["ports"]
        if "ipBlock" in peer
    }
    assert open_to == {("169.254.169.252/32", 988), ("169.254.169.254/32", 80)}


@pytest.mark.parametrize("rendering", [*ISSUED, BY_NAME["k3s-edge"]], ids=lambda one: one.name)
def test_agents_come_by_their_own_addresses(rendering: Rendering) -> None:
    """Redis' NetworkPolicy lets in the networks of the sites: a balancer's own address is none of them."""
    (service,) = (one for one in of_kind(rendered(rendering), "Service") if "externalTrafficPolicy" in one["spec"])
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    kinds = {text for key, text in service["metadata"]["annotations"].items() if key.endswith("nlb-target-type")}
    assert kinds <= {"instance"}, "a target of type ip is asked in the balancer's name"
