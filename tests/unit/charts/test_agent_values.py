"""`agent.config` of the chart pfpnas-edge-agent is the agent's own file: what Helm takes of it, the agent takes.

A name that Helm let through would end each pod of the DaemonSet at its start, on the devices.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from pfpnas_agent.config import AgentConfig, Backend, Dataset, Limits, load
from pfpnas_api.joining import Join
from pfpnas_api.quantities import SIZE
from support.charts import AGENT, Document, Rendering, config_of, refusal, rendered, schema

CHART = "pfpnas-edge-agent"
SCHEMA = schema(CHART)
CONFIG = SCHEMA["properties"]["agent"]["properties"]["config"]["properties"]

SET_BY_THE_CHART = {"pool", "joinFile", "stateDir"}
SAID_BY_THE_JOIN = {"name", "redis"}

KEYWORDS = {"type", "minimum", "maximum", "minItems", "maxLength", "enum"}
"""What both schemas say of a value; the chart's says more of sizes, and pydantic's has titles and defaults."""

JOIN = Join(name="x", pool="bench-cpu", user="agent-x", password="p" * 32, url="redis://redis.example.org:6379/0")


def test_the_chart_takes_what_is_the_owners_to_say() -> None:
    ours = AgentConfig.model_json_schema()["properties"].keys()
    assert CONFIG.keys() == ours - SET_BY_THE_CHART - SAID_BY_THE_JOIN


@pytest.mark.parametrize(
    ("place", "models"),
    [
        ("limits", (Limits,)),
        ("datasets", get_args(get_args(Dataset)[0])),
        ("backends", get_args(get_args(Backend)[0])),
    ],
)
def test_the_charts_fields_are_those_of_the_models(place: str, models: tuple[type[BaseModel], ...]) -> None:
    """Of all formats, or of all kinds, together."""
    (part,) = _by_alias(CONFIG[place]).values() or (CONFIG[place],)
    part = _followed(part, SCHEMA["definitions"])
    assert _fields([{**part, "$defs": SCHEMA["definitions"]}]) == _fields(one.model_json_schema() for one in models)


def test_aliases_and_sizes_are_the_agents() -> None:
    told = AgentConfig.model_json_schema()["properties"]
    for place in ("datasets", "backends"):
        assert told[place]["propertyNames"]["maxLength"] == 63
        assert [one.replace("*", "{0,61}") for one in told[place]["patternProperties"]] == list(
            _by_alias(CONFIG[place])
        )
    assert SCHEMA["definitions"]["size"]["pattern"] == SIZE.pattern


def _by_alias(part: Document) -> Document:
    found: Document = part.get("patternProperties", {})
    return found


def _fields(schemas: Iterable[Document]) -> dict[str, Document]:
    """Each field and what may stand there, over several closed objects."""
    found: dict[str, Document] = {}
    for one in schemas:
        assert one["additionalProperties"] is False
        for name, part in one["properties"].items():
            said = _said(part, one.get("$defs", {}))
            known = found.setdefault(name, said)
            known |= {key: _joined(known[key], value) if key in known else value for key, value in said.items()}
    return found


def _joined(one: Any, other: Any) -> Any:
    """Tags of a union and fields of its official splits are put together; anything else has to be the same."""
    if isinstance(one, set):
        return one | other
    if isinstance(one, dict):
        return {**one, **other}
    assert one == other
    return one


def _said(part: Document, definitions: Document) -> Document:
    part = _followed(part, definitions)
    said: Document = {key: part[key] for key in KEYWORDS & part.keys()}
    if tags := part.get("enum", [part["const"]] if "const" in part else []):
        return {"enum": set(tags)}
    if "items" in part:
        said["items"] = _said(part["items"], definitions)
    if "properties" in part:
        said["properties"] = _fields([{**part, "$defs": definitions}])
    return said


def _followed(part: Document, definitions: Document) -> Document:
    """Without references, and without null: in a file that Helm wrote nothing is null."""
    if "anyOf" in part:
        (part,) = (one for one in part["anyOf"] if one.get("type") != "null")
    return definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def test_a_file_with_everything_is_taken_by_helm_and_by_the_agent(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(EVERYTHING)
    whole = Rendering(name="whole", chart=CHART, sets=AGENT, files=(tmp_path / "values.yaml",))
    config = config_of(rendered(whole), "pfpnas-pfpnas-edge-agent", "agent.yaml")
    (tmp_path / "join").write_text(JOIN.encode())
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({**config, "joinFile": "join"}))
    agent = load(tmp_path / "agent.yaml")
    assert agent.limits == Limits(max_model_size="64Mi", max_seconds=60, memory="1Gi")
    for defined, tag, found in (("dataset", "format", agent.datasets), ("backend", "type", agent.backends)):
        tags = SCHEMA["definitions"][defined]["properties"][tag]["enum"]
        assert sorted(getattr(one, tag) for one in found.values()) == sorted(tags)


EVERYTHING = """
agent:
  config:
    namespaces: [team-a]
    datasets:
      digits:
        format: IDX
        images: /data/i
        labels: /data/l
        classes: 10
        validation: {images: /data/vi, labels: /data/vl}
        test: {images: /data/ti, labels: /data/tl}
      arrays: {format: NPZ, path: /data/a.npz, validation: {path: /data/v.npz}}
      folders: {format: Folder, path: /data/f, test: {path: /data/t}}
      cifar: {format: CIFARBinary, paths: [/data/1, /data/2], test: {paths: [/data/3]}}
    backends:
      gpu: {type: onnxruntime, providers: [CUDAExecutionProvider]}
      own: {type: command, argv: [/bin/true, --flag], deadlineSeconds: 60}
    limits: {maxModelSize: 64Mi, maxSeconds: 60, memory: 1Gi}
"""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("limits.memmory=1Gi", "memmory"),
        ("limits.memory=1Gb", "memory"),
        ("limits.maxSeconds=4", "maxSeconds"),
        ("datasets.digits.format=idx", "format"),
        ("datasets.digits.paths={/data/1}", "format"),
        ("datasets.Digits.format=IDX", "Digits"),
        ("datasets.digits.image=/data/i,agent.config.datasets.digits.format=IDX", "image"),
        ("datasets.digits.test.image=/data/i,agent.config.datasets.digits.format=IDX", "image"),
        ("backends.own.argv={/bin/true}", "type"),
        ("backends.own.args={/bin/true},agent.config.backends.own.type=command", "args"),
    ],
)
def test_what_the_agent_would_not_start_with_is_refused_by_name(value: str, named: str) -> None:
    said = refusal(Rendering(name="wrong", chart=CHART, sets=(*AGENT, f"agent.config.{value}")))
    assert re.search(rf"agent/config/.*\b{named}\b", said, re.DOTALL)
