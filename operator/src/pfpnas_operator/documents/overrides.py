"""Values set on the command line: `experiment.budget.maxTrials=12`, typed by the schema."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.documents.locations import absolute_uri
from pfpnas_operator.documents.problems import FieldPath, Problem, dotted
from pfpnas_operator.documents.reading import parse_value
from pfpnas_operator.documents.schema import alternatives, field_types, item_type, model_of, takes_text
from pfpnas_operator.documents.translation import unknown_field

_PREFIXES: dict[str, type[BaseModel]] = {
    "experiment": NASExperiment,
    "nasexperiment": NASExperiment,
    "supernet": Supernet,
}
_PART = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)((?:\[[0-9]{1,3}\])*)")


class _OverrideError(Exception):
    """An override that names no field; the message says what is wrong with it."""


@dataclass(frozen=True)
class Override:
    """One value for one field of all documents of a kind."""

    text: str
    kind: str
    path: FieldPath
    value: Any

    def apply(self, document: dict[str, Any]) -> str | None:
        """Set the value in a document's plain values; what is wrong when the place isn't there."""
        target: Any = document
        for part, following in zip(self.path[:-1], self.path[1:], strict=True):
            if isinstance(part, str):
                if not isinstance(target.get(part), dict | list):
                    target[part] = [] if isinstance(following, int) else {}
                target = target[part]
            elif part < len(target):
                target = target[part]
            else:
                return f"there is no item {part}: the list has {len(target)}"
        return _put(target, self.path[-1], self.value)


def _put(target: Any, key: str | int, value: Any) -> str | None:
    if isinstance(key, int) and (not isinstance(target, list) or key >= len(target)):
        return f"there is no item {key}: the list has {len(target)}"
    target[key] = value
    return None


def parse_overrides(texts: Sequence[str]) -> tuple[list[Override], list[Problem]]:
    """The overrides of a command line, and what is wrong with the others."""
    overrides, problems = [], []
    for text in texts:
        try:
            overrides.append(_parse(text))
        except _OverrideError as e:
            problems.append(Problem(f"--set {text}", "", (), str(e)))
    return overrides, problems


def _parse(text: str) -> Override:
    key, equals, raw = text.partition("=")
    prefix, _, rest = key.strip().partition(".")
    if not equals or not rest:
        raise _OverrideError("write it as kind.field=value, such as experiment.budget.maxTrials=12")
    model = _PREFIXES.get(prefix.lower())
    if model is None:
        raise _OverrideError(f"{prefix!r} is no kind to set; begin with experiment. or supernet.")
    path = ("spec", *_keys(rest.removeprefix("spec.")))
    value = _value(raw.strip(), _annotation(model, path))
    if path == ("spec", "dataset", "uri") and isinstance(value, str):
        value = absolute_uri(value, Path.cwd())
    return Override(text, model.model_fields["kind"].default, path, value)


def _keys(text: str) -> FieldPath:
    keys: list[str | int] = []
    for part in text.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise _OverrideError(f"{part!r} is no field's name")
        keys += [match[1], *(int(index) for index in re.findall(r"\[([0-9]+)\]", match[2]))]
    return tuple(keys)


def _annotation(root: type[BaseModel], path: FieldPath) -> Any:
    annotation: Any = root
    for depth, part in enumerate(path):
        if isinstance(part, int):
            annotation = item_type(annotation)
            if annotation is None:
                raise _OverrideError(f"{dotted(path[:depth])} is no list")
            continue
        model = model_of(annotation)
        if model is None:
            raise _OverrideError(f"{dotted(path[:depth])} has no fields of its own")
        fields = field_types(model)
        if part not in fields:
            raise _OverrideError(f"unknown field {dotted(path[: depth + 1])}; {unknown_field(part, fields)}")
        annotation = fields[part]
    return annotation


def _value(raw: str, annotation: Any) -> Any:
    """The value as the schema wants it: text as it stands (0.25 for a decimal), everything else read as YAML."""
    optional = type(None) in alternatives(annotation)
    if takes_text(annotation) and not (optional and raw in ("null", "~", "")):
        quoted = len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\""
        return raw[1:-1] if quoted else raw
    try:
        return parse_value(raw)
    except ValueError as e:
        raise _OverrideError(str(e)) from e
