"""What the charts render: right configurations, secrets kept apart, and one message for values that can't be."""

import importlib.util
import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cluster.settings import ROOT
from cluster.shell import run
from pfpnas_agent.config import load
from pfpnas_api.joining import Join
from pfpnas_operator.kube.config import Config
from support.charts import (
    AGENT,
    CHARTS,
    RENDERINGS,
    Document,
    Rendering,
    config_of,
    fresh_template,
    helm,
    notes,
    of_kind,
    pods,
    refusal,
    rendered,
    schema,
    template,
)

SET = re.compile(r"--set '?([^\s']+)")
KEY = re.compile(r"(?:^|,)([A-Za-z][\w.*-]*)=")
QUOTED = re.compile(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)`")
TOPS = {"artifacts", "redis", "networkPolicy", "watch", "metrics", "image", "key"}
"""What values of the charts, quoted in a sentence, begin with."""

BY_NAME = {one.name: one for one in RENDERINGS}
OF_PFPNAS = [one for one in RENDERINGS if one.chart == "pfpnas"]
OF_AGENT = [one for one in RENDERINGS if one.chart == "pfpnas-edge-agent"]
ALL_CHARTS = ("pfpnas-crds", "pfpnas", "pfpnas-edge-agent")
COMBINED = ("allOf", "anyOf", "oneOf")


def _named(renderings: list[Rendering] | tuple[Rendering, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rendering", renderings, ids=lambda one: one.name)


@_named(RENDERINGS)
def test_every_object_is_there_once_and_says_where(rendering: Rendering) -> None:
    found = rendered(rendering)
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found]
    assert len(keys) == len(set(keys)) > 0
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    assert [key for key in keys if (key[1] is None) != (key[0] in cluster_wide)] == []


@pytest.mark.parametrize("chart", ALL_CHARTS)
def test_lint_is_content(chart: str) -> None:
    sets = [part for value in AGENT for part in ("--set", value)] if chart == "pfpnas-edge-agent" else []
    assert "0 chart(s) failed" in run(helm(), "lint", "--strict", CHARTS / chart, *sets)


@pytest.mark.parametrize("keep", [True, False])
def test_the_definitions_are_those_of_the_models(keep: bool) -> None:
    found = rendered(replace(BY_NAME["crds"], sets=(f"keep={str(keep).lower()}",)))
    policies = [one["metadata"].pop("annotations", {}).get("helm.sh/resource-policy") for one in found]
    assert policies == ["keep" if keep else None] * 3
    ours = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert sorted(found, key=_name) == sorted(ours, key=_name)


@_named(OF_PFPNAS)
def test_the_operator_can_read_its_configuration(rendering: Rendering) -> None:
    documents = rendered(rendering)
    (deployment,) = (name for name in pods(documents) if name.endswith("-operator"))
    config = Config.model_validate(config_of(documents, deployment.split("/")[1], "config.yaml"))
    mounts = [mount["mountPath"] for mount in pods(documents)[deployment]["spec"]["containers"][0]["volumeMounts"]]
    files = [config.key_file, config.redis.password_file, config.redis.ca_file]
    assert [str(file) for file in files if file is not None and str(file.parent) not in mounts] == []


def test_what_is_external_is_neither_run_nor_asked_for_inside() -> None:
    documents = rendered(BY_NAME["external"])
    assert list(pods(documents)) == ["Deployment/other-pfpnas-operator"]
    assert of_kind(documents, "Secret", "PersistentVolumeClaim", "StatefulSet") == []
    config = Config.model_validate(config_of(documents, "other-pfpnas-operator", "config.yaml"))
    assert config.artifacts.address == "s3://bucket/prefix"
    told = config_of(documents, "pfpnas-agents", "redisUrl")
    assert told == "rediss://redis.example.org:6380/0", "agents bring a user of their own"
    ports = [port["port"] for policy in of_kind(documents, "NetworkPolicy") for rule in policy["spec"].get("egress", [])
             for port in rule["ports"]]  # fmt: skip
    assert 6380 in ports


def test_pools_and_resources_arrive_as_they_were_written() -> None:
    config = Config.model_validate(config_of(rendered(BY_NAME["everything"]), "pfpnas-operator", "config.yaml"))
    assert config.may_use("bench-cpu", "team-a")
    assert not config.may_use("bench-cpu", "team-b")
    assert config.resources["trial"].requests == {"cpu": "1", "memory": "2Gi"}


def test_by_default_no_pool_is_open() -> None:
    config = Config.model_validate(config_of(rendered(BY_NAME["default"]), "pfpnas-operator", "config.yaml"))
    assert config.pools == {}


def test_generated_secrets_are_long_and_never_the_same() -> None:
    def secrets() -> list[str]:
        documents = _loaded(fresh_template(BY_NAME["default"]))
        return [text for one in of_kind(documents, "Secret") for text in one["data"].values()]

    first, second = secrets(), secrets()
    assert [len(text) >= 64 for text in first] == [True, True]
    assert set(first) & set(second) == set()


def test_named_namespaces_get_a_role_each_and_nothing_cluster_wide() -> None:
    documents = rendered(BY_NAME["everything"])
    assert of_kind(documents, "ClusterRole", "ClusterRoleBinding") == []
    roles = [one["metadata"]["namespace"] for one in of_kind(documents, "Role") if one["rules"][0]["apiGroups"] != [""]]
    assert roles == ["team-a", "team-b"]
    arguments = pods(documents)["Deployment/pfpnas-operator"]["spec"]["containers"][0]["args"]
    assert [word for word in arguments if "namespace" in word] == ["--namespace=team-a", "--namespace=team-b"]


@_named(OF_AGENT)
def test_the_agent_can_read_its_file(rendering: Rendering, tmp_path: Path) -> None:
    documents = rendered(rendering)
    (name,) = (one["metadata"]["name"] for one in of_kind(documents, "DaemonSet"))
    config = config_of(documents, name, "agent.yaml")
    join = Join(name="x", pool="bench-cpu", user="agent-x", password="p" * 32, url="redis://redis.example.org:6379/0")
    (tmp_path / "join").write_text(join.encode())
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({**config, "joinFile": "join"}))
    agent = load(tmp_path / "agent.yaml")
    searchers = "team-a" if rendering.name == "k3s-edge-agent" else "default"
    assert (agent.pool, agent.namespaces) == ("bench-cpu", (searchers,))
    spec = pods(documents)[f"DaemonSet/{name}"]["spec"]
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert str(Path(config["joinFile"]).parent) in mounts
    assert str(Path(config["stateDir"]).parent) in mounts, "a folder of its own, as it is closed to all others"
    assert not agent.datasets or mounts["/data"]["readOnly"]
    assert spec["nodeSelector"] == {"pfpnas.io/pool": "bench-cpu"}
    (daemons,) = of_kind(documents, "DaemonSet")
    assert daemons["spec"]["updateStrategy"] == {"type": "OnDelete"}


ISSUED = ("redis.tls.enabled=true", "redis.tls.issuer.name=authority")

WRONG = [
    ("pfpnas", ("replicas=3",), "replicas"),
    ("pfpnas", ("redis.password=x",), "password"),
    ("pfpnas", ("artifacts.size=big",), "artifacts/size"),
    ("pfpnas", ("pools.Bench=a",), "pools"),
    ("pfpnas", ("artifacts.external.url=ftp://x",), "artifacts/external/url"),
    ("pfpnas", ("redis.tls.enabled=true",), "redis.tls.existingSecret"),
    ("pfpnas", ("redis.external.url=redis://x",), "redis.external.existingSecret"),
    ("pfpnas", ("redis.external.url=rediss://operator:secret@x:6379/0",), "redis/external/url"),
    ("pfpnas", ("redis.external.url=rediss://operator@x:6379/1",), "redis/external/url"),
    ("pfpnas", ("redis.external.url=rediss://x:6379?db=1",), "redis/external/url"),
    ("pfpnas", ("redis.agents.url=rediss://x:6379/2",), "redis/agents/url"),
    ("pfpnas", ("redis.agents.service.enabled=true",), "redis.agents.service.sourceRanges"),
    ("pfpnas", ("redis.agents.service.enabled=true", "redis.agents.service.sourceRanges={1.2.3.0/24}"), "agents.url"),
    ("pfpnas", ("metrics.serviceMonitor.enabled=true",), "networkPolicy.metricsFrom"),
    ("pfpnas", ("redis.tls.enabled=true", "redis.tls.existingSecret=t", "redis.agents.url=redis://r"), "rediss://"),
    ("pfpnas", (*ISSUED, "redis.agents.url=rediss://redis.example.org:6379/0"), "redis.tls.dnsNames lacks"),
    ("pfpnas-crds", ("kept=true",), "kept"),
    ("pfpnas-edge-agent", (), "pool is missing"),
    ("pfpnas-edge-agent", ("pool=p",), "join.existingSecret is missing"),
    ("pfpnas-edge-agent", (*AGENT, "agent.config.joinFile=x"), "joinFile"),
    ("pfpnas-edge-agent", (*AGENT, "data.hostPath=/a", "data.existingClaim=b"), "data.existingClaim"),
    ("pfpnas-edge-agent", (*AGENT, "serviceAccount.create=true"), "serviceAccount"),
]


@pytest.mark.parametrize(("chart", "sets", "named"), WRONG, ids=lambda one: one if isinstance(one, str) else None)
def test_values_that_can_not_be_are_refused_by_name(chart: str, sets: tuple[str, ...], named: str) -> None:
    _, ended, said = refusal(Rendering(name="wrong", chart=chart, sets=sets)).partition("exit status")
    assert ended, "it was rendered"
    assert named in said, "the command line, before it, has the name anyway"


@pytest.mark.parametrize("name", ["redis.example.org", "*.example.org"])
def test_a_certificate_may_name_the_agents_address_or_all_beside_it(name: str) -> None:
    sets = (*ISSUED, "redis.agents.url=rediss://redis.example.org:6379/0", f"redis.tls.dnsNames={{{name}}}")
    assert refusal(Rendering(name="right", chart="pfpnas", sets=sets)) == ""


OPEN = {
    *(f"{chart}.properties.global" for chart in ALL_CHARTS),  # Helm's own: parent charts put there what they like
    # Kubernetes' own NetworkPolicyPeer and NetworkPolicyEgressRule: the API server knows them better.
    "pfpnas.properties.networkPolicy.properties.metricsFrom.items",
    "pfpnas.properties.networkPolicy.properties.extraEgress.items",
}
"""Objects that may hold anything."""


@pytest.mark.parametrize("chart", ALL_CHARTS)
def test_schemas_are_closed_everywhere(chart: str) -> None:
    assert set(_open(schema(chart), chart)) == {one for one in OPEN if one.startswith(f"{chart}.")}


@pytest.mark.parametrize(
    ("part", "places"),
    [
        ({"type": "object"}, ["x"]),
        ({"type": ["object", "null"]}, ["x"]),
        ({"type": "object", "additionalProperties": True}, ["x"]),
        ({"properties": {}}, ["x"]),
        ({}, ["x"]),
        ({"type": "object", "additionalProperties": False}, []),
        ({"type": "object", "additionalProperties": {"type": "string"}}, []),
        ({"type": "object", "additionalProperties": {"type": "object"}}, ["x.additionalProperties"]),
        ({"type": "array", "items": {"type": "object"}}, ["x.items"]),
        ({"type": "array"}, ["x"]),
        ({"allOf": [{"$ref": "#/definitions/a"}, {"type": "object"}]}, ["x.allOf[1]"]),
        ({"description": "Whatever."}, ["x"]),
        ({"enum": ["a"]}, []),
    ],
)
def test_what_counts_as_open(part: Document, places: list[str]) -> None:
    assert list(_open(part, "x")) == places


def test_a_package_holds_the_definitions_themselves(tmp_path: Path) -> None:
    run(helm(), "package", CHARTS / "pfpnas-crds", "--destination", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        packed = {Path(one.name).name: archive.extractfile(one) for one in archive if "/files/" in one.name}
        texts = {name: file.read().decode() for name, file in packed.items() if file is not None}
    assert texts == {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}


DOCS = (
    *(f"docs/{name}.md" for name in ("install", "operations", "training", "trial-image")),
    *(f"charts/{chart}/README.md" for chart in ALL_CHARTS),
    *(f"examples/{name}/README.md" for name in ("eks", "gke", "aks", "k3s-edge")),
)


@pytest.mark.parametrize("path", DOCS)
def test_values_that_the_docs_set_are_there(path: str) -> None:
    known = {key for chart in ALL_CHARTS for key in _paths(schema(chart))}
    text = (ROOT / path).read_text()
    named = [key for found in SET.findall(text) for key in KEY.findall(found)]
    named += [word for word in QUOTED.findall(text) if word.split(".")[0] in TOPS]
    assert [key for key in named if key not in known and not key.startswith("pools.")] == []


def _paths(part: Document, prefix: str = "") -> list[str]:
    found = []
    for name, inner in part.get("properties", {}).items():
        found += [f"{prefix}{name}", *_paths(inner, f"{prefix}{name}.")]
    return found


@pytest.mark.parametrize("chart", ALL_CHARTS)
def test_the_readme_has_every_value(chart: str) -> None:
    tables = _readme_script()
    assert tables.renewed(CHARTS / chart) == (CHARTS / chart / "README.md").read_text()


@_named(RENDERINGS)
def test_the_notes_say_what_to_do_next(rendering: Rendering, tmp_path: Path) -> None:
    text = notes(rendering, tmp_path)
    assert "kubectl" in text
    assert "%!" not in text
    assert ("No pool is open" in text) == (rendering.name in ("default", "external"))
    assert ("image.registry is empty" in text) == (rendering.name in ("default", "external"))


@_named(OF_PFPNAS)
def test_the_notes_say_which_authority_can_sign(rendering: Rendering, tmp_path: Path) -> None:
    """A public one can't: it signs no name of a Service, and every certificate of the chart has some."""
    certificates = of_kind(rendered(rendering), "Certificate")
    assert all(any(".svc" in name for name in one["spec"]["dnsNames"]) for one in certificates)
    assert ("authority of your own" in notes(rendering, tmp_path)) == bool(certificates)


@_named(OF_PFPNAS)
def test_the_notes_say_whom_an_object_store_trusts_and_which_images_speak_to_it(
    rendering: Rendering, tmp_path: Path
) -> None:
    text = notes(rendering, tmp_path)
    built = {"gke": "STORES=gcs", "aks": "STORES=azure"}.get(rendering.name)
    assert ("Whom a store trusts" in text) == (rendering.name in ("external", "eks", "gke", "aks"))
    assert re.findall(r"STORES=\w+", text) == ([built] if built else [])
    assert "## Whom a store trusts" in (ROOT / "docs" / "install.md").read_text()


@pytest.mark.parametrize("name", ["everything", "external"])
@pytest.mark.parametrize("changed", ["pools.p={a}", "redis.tls.ca=ANOTHER", "redis.external.ca=ANOTHER"])
def test_what_the_operator_reads_at_its_start_restarts_it_alone(name: str, changed: str) -> None:
    """The authority that is meant is the external Redis' own where there is one, else the chart's."""
    means_nothing = {"everything": "redis.external.ca", "external": "redis.tls.ca"}[name] in changed
    rendering = BY_NAME[name]
    before, after = (pods(rendered(one)) for one in (rendering, replace(rendering, sets=(*rendering.sets, changed))))
    restarted = [one for one in before if before[one] != after[one]]
    assert restarted == ([] if means_nothing else [one for one in before if one.endswith("-operator")])


def test_nothing_of_a_password_is_rendered_but_its_secret() -> None:
    text = template(BY_NAME["default"])
    values = [value for one in of_kind(_loaded(text), "Secret") for value in one["data"].values()]
    assert [text.count(value) for value in values] == [1, 1]


def _open(part: Document, path: str) -> Iterator[str]:
    """Where a schema lets anything stand."""
    kinds = part.get("type", "object" if "properties" in part else [])
    if "object" in kinds and part.get("additionalProperties", True) is True:
        yield path
    if ("array" in kinds and "items" not in part) or part.keys() <= {"description"}:
        yield path
    for key in ("properties", "patternProperties", "definitions"):
        for name, inner in part.get(key, {}).items():
            yield from _open(inner, f"{path}.{key}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(inner := part.get(key), dict):
            yield from _open(inner, f"{path}.{key}")
    for key in COMBINED:
        for number, inner in enumerate(part.get(key, ())):
            yield from _open(inner, f"{path}.{key}[{number}]")


def _loaded(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def _name(document: Document) -> str:
    return str(document["metadata"]["name"])


def _readme_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("charts_readme", CHARTS / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
