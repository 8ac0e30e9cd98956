"""The generated definitions: structural, bounded, and of one mind with the models."""

import copy
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from pfpnas_api.crdgen import SchemaError, definitions, rendered, structural_schema
from pfpnas_api.crdgen.__main__ import main
from pfpnas_api.crdgen.files import default_folder, reference_file
from pfpnas_api.crdgen.reference import reference
from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from support.structural import faults, violations, walk

MODELS: dict[str, type[Supernet] | type[NASExperiment] | type[Trial]] = {
    "Supernet": Supernet,
    "NASExperiment": NASExperiment,
    "Trial": Trial,
}
BY_KIND = {definition["spec"]["names"]["kind"]: definition for definition in definitions().values()}
DIGEST = "a" * 64


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = BY_KIND[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def make_document(kind: str) -> dict[str, Any]:
    specs: dict[str, dict[str, Any]] = {
        "Supernet": {"searchSpace": {"backbone": "MobileNetV2"}, "dataset": {"format": "CIFAR10", "uri": "data"}},
        "NASExperiment": {
            "supernetRef": {"name": "sn"},
            "target": {"pool": "bench-cpu", "dataset": "digits"},
            "budget": {"maxTrials": 60},
        },
        "Trial": {"experimentRef": {"name": "nas"}, "architecture": "r16-k3e2"},
    }
    return copy.deepcopy(
        {"apiVersion": "pfpnas.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": specs[kind]}
    )


def with_value(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    place = document
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = value
    return document


@pytest.mark.parametrize("kind", MODELS)
def test_schemas_are_structural_and_bounded(kind: str) -> None:
    properties = schema_of(kind)["properties"]
    assert faults(properties["spec"]) + faults(properties["status"]) == []


@pytest.mark.parametrize("kind", MODELS)
def test_specs_have_no_floats_and_bounded_integers(kind: str) -> None:
    for path, part in walk(schema_of(kind)["properties"]["spec"]):
        assert part.get("type") != "number", path
        if part.get("type") == "integer" and "enum" not in part:
            assert {"minimum", "maximum"} <= set(part), path


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_of_a_spec_is_described(kind: str) -> None:
    spec = schema_of(kind)["properties"]["spec"]
    assert [path for path, part in walk(spec) if "description" not in part and not path.endswith("[]")] == []


@pytest.mark.parametrize("kind", MODELS)
def test_only_specs_have_defaults(kind: str) -> None:
    assert [path for path, part in walk(schema_of(kind)["properties"]["status"]) if "default" in part] == []


@pytest.mark.parametrize(
    ("kind", "path", "default"),
    [
        ("Supernet", "training.epochs", 90),
        ("Supernet", "training", {}),
        ("Supernet", "searchSpace.kernelSizes", [3, 5, 7]),
        ("NASExperiment", "objective.penaltyCoefficient", "0.2"),
        ("NASExperiment", "target.head", "Fitted"),
        ("Trial", "origin", "User"),
    ],
)
def test_defaults_are_those_of_the_models(kind: str, path: str, default: Any) -> None:
    part = schema_of(kind)["properties"]["spec"]
    for name in path.split("."):
        part = part["properties"][name]
    assert part["default"] == default


@pytest.mark.parametrize("kind", MODELS)
def test_conditions_are_a_list_map_by_type(kind: str) -> None:
    conditions = schema_of(kind)["properties"]["status"]["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])


def test_names_scopes_and_subresources() -> None:
    assert {k: d["spec"]["names"]["shortNames"] for k, d in BY_KIND.items()} == {
        "Supernet": ["sn"],
        "NASExperiment": ["nas"],
        "Trial": ["nt"],
    }
    for definition in BY_KIND.values():
        spec = definition["spec"]
        assert definition["metadata"]["name"] == f"{spec['names']['plural']}.pfpnas.io"
        assert (spec["scope"], spec["names"]["categories"]) == ("Namespaced", ["pfpnas"])
        [version] = spec["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
        assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", MODELS)
def test_columns_show_fields_that_exist(kind: str) -> None:
    types = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
    for column in BY_KIND[kind]["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if path == ".metadata.creationTimestamp":
            continue
        part = schema_of(kind)
        for name in re.sub(r"\[[^]]*\]", ".items", path).strip(".").split("."):
            part = part["items"] if name == "items" else part["properties"][name]
        assert types[part["type"]] == column["type"], path


@pytest.mark.parametrize("kind", MODELS)
def test_rules_name_fields_that_exist(kind: str) -> None:
    for path, part in walk(schema_of(kind)):
        for rule in part.get("x-kubernetes-validations", ()):
            named = re.findall(r"\bself\.(\w+)(?!\w*\()", rule["rule"])
            assert set(named) - {"matches", "all"} <= set(part.get("properties", {})), (path, rule["rule"])


def test_what_a_structural_schema_cannot_say_is_refused() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(SchemaError, match=r"Either\.value: .*anyOf"):
        structural_schema(Either, defaults=True)


GOOD = [
    ("Supernet", "metadata.name", "a" * 51),
    ("Supernet", "spec.searchSpace.kernelSizes", [3]),
    ("Supernet", "spec.searchSpace.widthMultiplier", "0.25"),
    ("Supernet", "spec.dataset", {"format": "Shapes", "shapes": {"samples": 500}}),
    ("Supernet", "spec.training.precision", "BFloat16"),
    ("Supernet", "spec.suspend", True),
    ("Supernet", "spec.queueName", "gpu-team-a"),
    ("Supernet", "spec.podTemplate.resources", {"limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}}),
    ("Supernet", "spec.podTemplate.nodeSelector", {"kubernetes.io/arch": "arm64"}),
    ("Supernet", "spec.podTemplate.tolerations", [{"key": "nvidia.com/gpu", "operator": "Exists"}]),
    ("NASExperiment", "spec.trialTemplate.podTemplate.labels", {"team": "vision", "example.org/cost": "a_b.c"}),
    ("NASExperiment", "spec.trialTemplate.image", "registry.local:5000/team/builder@sha256:" + DIGEST),
    ("NASExperiment", "spec.trialTemplate.image", "builder:V1.0-RC_2"),
    ("NASExperiment", "spec.target.backend", "a.b-c"),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "Latency", "max": "85ms"}]),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "Throughput", "min": "200/s"}]),
    ("NASExperiment", "spec.budget.maxDurationSeconds", 3600),
    ("Trial", "spec.index", None),
    ("Trial", "status.metrics.latencyMilliseconds", {"p50": 1.5, "p90": 2, "mad": 0, "runs": 64}),
    ("Trial", "status.artifact", {"sha256": DIGEST, "size": 7}),
]

BAD = [
    ("Supernet", "spec.searchSpace.backbone", "ResNet50"),
    ("Supernet", "spec.searchSpace.kernelSizes", []),
    ("Supernet", "spec.searchSpace.kernelSizes", [4]),
    ("Supernet", "spec.searchSpace.depths", [0]),
    ("Supernet", "spec.searchSpace.resolutions", [33]),
    ("Supernet", "spec.searchSpace.widthMultiplier", 0.25),
    ("Supernet", "spec.searchSpace.widthMultiplier", "1/4"),
    ("Supernet", "spec.searchSpace.width", "0.25"),
    ("Supernet", "spec.training.epochs", 0),
    ("Supernet", "spec.training.epochs", "90"),
    ("Supernet", "spec.dataset.uri", ""),
    ("Supernet", "spec.podTemplate", {"volumes": []}),
    ("Supernet", "spec.podTemplate.resources", {"limits": {"nvidia.com/gpu": -1}}),
    ("Supernet", "spec.podTemplate.resources", {"limits": {"memory": "8 GB"}}),
    ("Supernet", "spec.podTemplate.resources", {"limits": {"cpu": 0.5}}),
    ("Supernet", "spec.podTemplate.resources", {"requests": {"-cpu": "1"}}),
    ("Supernet", "spec.podTemplate.labels", {"pfpnas.io/owner": "me"}),
    ("Supernet", "spec.podTemplate.annotations", {"container.apparmor.security.beta.kubernetes.io/main": "x"}),
    ("Supernet", "spec.podTemplate.labels", {"a" * 64: "x"}),
    ("Supernet", "spec.podTemplate.tolerations", [{"operator": "Exists"}] * 17),
    ("Supernet", "spec.podTemplate.nodeSelector", {f"k{n}": "x" for n in range(17)}),
    ("Supernet", "spec.podTemplate.labels", {"a..b/team": "x"}),
    ("Supernet", "spec.podTemplate.priorityClassName", "high..est"),
    ("Supernet", "spec.queueName", "GPU"),
    ("Supernet", "spec.suspend", "yes"),
    ("Supernet", "spec.deletionPolicy", "Orphan"),
    ("Supernet", "spec.training.workers", 0),
    ("NASExperiment", "spec.trialTemplate.image", "Builder"),
    ("NASExperiment", "spec.trialTemplate.image", "builder:a:b"),
    ("NASExperiment", "spec.trialTemplate.image", "https://registry.local/builder"),
    ("NASExperiment", "spec.trialTemplate.workers", 0),
    ("NASExperiment", "spec.trialTemplate.deadlineSeconds", 14_401),
    ("NASExperiment", "spec.trialTemplate.podTemplate.labels", {"Example.org/a": "x"}),
    ("NASExperiment", "spec.budget", {}),
    ("NASExperiment", "spec.budget.maxTrials", 1.5),
    ("NASExperiment", "spec.target.pool", "Bench"),
    ("NASExperiment", "spec.target.pool", "bench\n"),
    ("NASExperiment", "spec.supernetRef.name", "a" * 52),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "Speed", "max": "1"}]),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "Latency", "max": 85}]),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "Latency", "max": "-85ms"}]),
    ("NASExperiment", "spec.objective.constraints", [{"metric": "FLOPs", "max": "1M"}] * 2),
    ("NASExperiment", "spec.tuner.algorithm", "Hyperband"),
    ("Trial", "spec.architecture", "R16 K3"),
    ("Trial", "spec.origin", "Me"),
    ("Trial", "status.artifact", {"sha256": DIGEST.upper(), "size": 7}),
    ("Trial", "status.metrics.latencyMilliseconds", {"p50": 0, "p90": 2, "mad": 0, "runs": 64}),
    ("Trial", "status.metrics.accuracy", 1.5),
    ("Trial", "status.conditions", [{"type": "Built", "status": "Yes", "reason": "R"}]),
]


@pytest.mark.parametrize(("kind", "path", "value"), GOOD)
def test_good_documents_are_good_to_both(kind: str, path: str, value: Any) -> None:
    document = make_document(kind)
    if value is not None:
        document = with_value(document, path, value)
    read = MODELS[kind].model_validate_json(_json(document), strict=True)
    assert list(violations(schema_of(kind), document)) == []
    assert list(violations(schema_of(kind), read.document())) == []


@pytest.mark.parametrize(("kind", "path", "value"), BAD)
def test_bad_documents_are_bad_to_both(kind: str, path: str, value: Any) -> None:
    document = with_value(make_document(kind), path, value)
    with pytest.raises(ValidationError):
        MODELS[kind].model_validate_json(_json(document), strict=True)
    assert list(violations(schema_of(kind), document)) != []


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document)


def test_written_definitions_are_those_of_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_rendering_is_the_same_every_time_and_parses_back() -> None:
    first = rendered()
    assert first == rendered()
    assert [yaml.safe_load(text) for text in first.values()] == list(definitions().values())
    assert sorted(first) == sorted(path.name for path in default_folder().glob("pfpnas.io_*.yaml"))
    for text in first.values():
        assert "don't edit" in text.splitlines()[0]
        assert "&id" not in text


def test_drift_is_named_with_the_command_that_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0
    changed, missing = tmp_path / "pfpnas.io_trials.yaml", tmp_path / "pfpnas.io_supernets.yaml"
    changed.write_text(changed.read_text() + "# by hand\n")
    missing.unlink()
    capsys.readouterr()
    assert main(["--check", "--out", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" is not ")[0] for line in lines] == [str(missing), str(changed)]
    assert all("run `uv run python -m pfpnas_api.crdgen`" in line for line in lines)
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "crds")]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_the_reference_names_every_field_with_its_default_and_what_never_changes() -> None:
    page = reference()
    for kind in MODELS:
        for part in ("spec", "status"):
            for path, _ in walk(schema_of(kind)["properties"][part]):
                if path and not path.endswith("[]"):
                    assert f"| `{path.lstrip('.')}` |" in page
    assert '| `objective.penaltyCoefficient` | text | `"0.2"` | a decimal number |' in page
    assert "| `budget.maxTrials` | whole number | required | ≥ 1, ≤ 100000 |" in page
    for fixed in (
        "spec.training: is immutable once",
        "searchSpace is immutable",
        "supernetRef is immutable",
        "a Trial's spec is immutable",
    ):
        assert fixed in page


def test_the_reference_is_a_page_of_whole_tables() -> None:
    lines = reference().splitlines()
    for before, line in pairwise(lines):
        if line.startswith("|") and before.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", before)), line


def test_the_reference_lies_among_the_docs() -> None:
    assert reference_file(default_folder()) == default_folder().parent / "docs" / "reference.md"
    assert reference_file(default_folder()).read_text() == reference()


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        (
            {"limits": {"cpu": 1}, "requests": {"cpu": "1500m"}},
            "requests.cpu is 1500m, more than limits.cpu, which is 1",
        ),
        ({"limits": {"memory": "1G"}, "requests": {"memory": "1Gi"}}, "requests.memory is 1Gi, more than"),
        ({"requests": {"nvidia.com/gpu": 1}}, "devices are asked for by limits.nvidia.com/gpu"),
        ({"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}}, "devices are asked for by limits"),
        ({"limits": {"nvidia.com/gpu": "500m"}}, "limits.nvidia.com/gpu is 500m, but devices are whole"),
    ],
)
def test_resources_that_no_pod_can_have_are_refused_by_the_models(resources: dict[str, Any], says: str) -> None:
    document = with_value(make_document("Supernet"), "spec.podTemplate.resources", resources)
    with pytest.raises(ValidationError, match=re.escape(says)):
        Supernet.model_validate_json(_json(document), strict=True)
    assert list(violations(schema_of("Supernet"), document)) == []  # only the operator can know


def test_resources_that_a_pod_can_have_are_taken() -> None:
    resources = {
        "limits": {"cpu": "1.5", "memory": "2Gi", "nvidia.com/gpu": 1},
        "requests": {"cpu": "1500m", "memory": "2000M", "nvidia.com/gpu": "1", "ephemeral-storage": "1Ti"},
    }
    document = with_value(make_document("Supernet"), "spec.podTemplate.resources", resources)
    Supernet.model_validate_json(_json(document), strict=True)
