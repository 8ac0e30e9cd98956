"""Structural schemas in Python: the rules that the API server has for them, and what it says of a document.

Only the keywords that `pfpnas_api.crdgen` writes are known here; of the CEL rules only those about a map's keys are
evaluated.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

Schema = dict[str, Any]

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
FOREIGN = frozenset({"$ref", "anyOf", "oneOf", "allOf", "const", "title"})
UNBOUNDED = {"string": {"maxLength"}, "array": {"maxItems"}}


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """A schema and all within it, with their paths."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from walk(schema[keyword], f"{path}[]")


def faults(schema: Schema) -> list[str]:
    """What the API server, or our own rule that everything is bounded, has against a schema."""
    return [f"{path}: {fault}" for path, part in walk(schema) for fault in _part_faults(part)]


def _part_faults(part: Schema) -> Iterator[str]:
    kind = part.get("type")
    if part.get("x-kubernetes-int-or-string") is True:
        yield from (f"{word} is missing" for word in {"maxLength", "pattern", "minimum"} - set(part))
        if kind is not None:
            yield "type and x-kubernetes-int-or-string exclude each other"
        return
    if kind not in TYPES:
        yield f"type is {kind}"
    yield from (
        f"{word} is not structural" for word in {"$ref", "anyOf", "oneOf", "allOf", "const", "title"} & set(part)
    )
    yield from (f"{word} is missing" for word in UNBOUNDED.get(str(kind), set()) - set(part) if "enum" not in part)
    if kind == "object" and "properties" in part and "additionalProperties" in part:
        yield "properties and additionalProperties exclude each other"
    if "additionalProperties" in part and "maxProperties" not in part:
        yield "maxProperties is missing"
    if kind == "array" and "items" not in part:
        yield "items is missing"
    if kind in ("integer", "number") and "enum" not in part and "format" not in part:
        yield "format is missing"
    yield from (
        f"required {name} is no property" for name in part.get("required", ()) if name not in part["properties"]
    )
    if "default" in part and (wrong := list(violations(part, part["default"]))) and kind != "object":
        yield f"default breaks its own schema: {wrong}"
    if part.get("x-kubernetes-list-type") == "map":
        yield from _list_map_faults(part)
    yield from (
        f"rule {rule} has no message" for rule in part.get("x-kubernetes-validations", ()) if not rule["message"]
    )


def _list_map_faults(part: Schema) -> Iterator[str]:
    for key in part.get("x-kubernetes-list-map-keys", ()) or [None]:
        if key is None or key not in part["items"].get("required", ()):
            yield f"the key {key} of a list-map has to be required"


def violations(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Where a document breaks a schema, unknown fields included (as with strict field validation)."""
    kind = _kind(schema, value)
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not in {schema['enum']}"
    yield from (f"{path}: {fault}" for fault in _CHECKS.get(kind, _nothing)(schema, value))
    if kind == "object":
        yield from _fields(schema, value, path)
    if kind == "array":
        for index, item in enumerate(value):
            yield from violations(schema["items"], item, f"{path}.{index}")


def _kind(schema: Schema, value: Any) -> str:
    """The type of a value; where whole numbers and texts are allowed, of these the one it is."""
    if schema.get("x-kubernetes-int-or-string"):
        return "integer" if isinstance(value, int) else "string"
    return str(schema["type"])


def _fields(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is missing"
    for name, field in value.items():
        child = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if child is None and path in ("", ".metadata"):
            continue  # ObjectMeta is the API server's own
        if child is None:
            yield f"{path}.{name}: is unknown"
        else:
            yield from violations(child, field, f"{path}.{name}")


def _nothing(schema: Schema, value: Any) -> Iterator[str]:
    yield from ()


def _number(schema: Schema, value: float) -> Iterator[str]:
    low = schema.get("minimum")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        yield f"{value} is too small"
    if value > schema.get("maximum", float("inf")):
        yield f"{value} is too large"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"{value} is no multiple of {schema['multipleOf']}"


def _text(schema: Schema, value: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"].removesuffix("$") + r"\Z", value):
        yield f"{value!r} doesn't match {schema['pattern']}"
    if schema.get("format") == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            yield f"{value!r} is no moment"


def _list(schema: Schema, value: list[Any]) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{len(value)} items"
    keys = schema.get("x-kubernetes-list-map-keys", ())
    named = [tuple(item.get(key) for key in keys) for item in value] if keys else []
    if len(named) != len(set(named)):
        yield f"{keys} repeats"


def _map(schema: Schema, value: dict[str, Any]) -> Iterator[str]:
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{len(value)} fields"
    for rule in schema.get("x-kubernetes-validations", ()):
        found = _KEY_RULE.fullmatch(rule["rule"])
        yield from (f"{key}: {rule['message']}" for key in value if found and not _holds(found, key))


_KEY_RULE = re.compile(
    r"self\.all\(key, (?:(?P<no>!?)key\.matches\(r'(?P<pattern>.*)'\)|key\.size\(\) <= (?P<size>\d+))\)"
)
"""What crdgen writes about a map's keys: in CEL, since structural schemas have no keyword for them."""


def _holds(rule: re.Match[str], key: str) -> bool:
    if rule["size"]:
        return len(key) <= int(rule["size"])
    if rule["no"]:
        return re.search(rule["pattern"], key) is None
    return re.search(rule["pattern"].removesuffix("$") + r"\Z", key) is not None


_CHECKS: Any = {"integer": _number, "number": _number, "string": _text, "array": _list, "object": _map}
