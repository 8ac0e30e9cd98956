"""The reference of the three kinds as a page: every field with type, default, bounds and meaning."""

from collections.abc import Iterator
from typing import Any

from pfpnas_api.crdgen.definition import KINDS, Kind, definition_of
from pfpnas_api.crdgen.schema import Schema
from pfpnas_api.kinds import API_VERSION
from pfpnas_api.kinds.common import DNS_LABEL, SHA256
from pfpnas_api.kinds.pods import AMOUNT, LABEL_KEY, LABEL_VALUE
from pfpnas_api.quantities import DECIMAL

HEAD = f"""\
# Reference of the three kinds

<!-- Generated from pfpnas_api.kinds by `uv run python -m pfpnas_api.crdgen`: don't edit. -->

All three are of `{API_VERSION}`, namespaced, and in the category `pfpnas` (`kubectl get pfpnas`). `kubectl explain
nas.spec` says the same. Unknown fields are refused, and so is every value outside its bounds, by `pfpnas validate` and
by the API server. There are no fractions in a spec: a quantity is text with a unit (`85ms`, `300M`, `64Mi`, `"0.92"`).

What the conditions and their reasons mean stands in [reasons.md](reasons.md).
"""

BOUNDS = (
    ("minimum", "≥ {}"),
    ("maximum", "≤ {}"),
    ("multipleOf", "multiple of {}"),
    ("minItems", "≥ {} items"),
    ("maxItems", "≤ {} items"),
    ("maxProperties", "≤ {} entries"),
    ("minLength", "≥ {} characters"),
    ("maxLength", "≤ {} characters"),
    ("pattern", "`{}`"),
)
"""Keywords of a schema, and how each is said."""


WORDS = {
    DECIMAL.pattern: "a decimal number",
    LABEL_KEY: "as a Kubernetes label's key",
    LABEL_VALUE: "as a Kubernetes label's value",
    AMOUNT: "a Kubernetes quantity",
    DNS_LABEL: "a DNS label",
    SHA256: "64 hexadecimal digits",
}
"""Patterns that have a name."""

_KEYS = ("keys have to match ", "keys have at most ")
"""How rules on a map's keys begin: the reference says so once, beside the map."""


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join([HEAD, *(_of_kind(kind) for kind in KINDS)])


def _of_kind(kind: Kind) -> str:
    root = definition_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = [
        f"## {kind.name} (`{kind.short}`)",
        kind.description,
        f"`metadata.name` has at most {kind.max_name} characters, since {kind.why_max_name}.",
        "### Spec",
        _table(root["properties"]["spec"], defaults=True),
        *_rules(root),
        "### Status",
        root["properties"]["status"]["description"],
        _table(root["properties"]["status"], defaults=False),
        f"### Columns of `kubectl get {kind.short}`",
        _columns(kind),
    ]
    return "\n\n".join(parts) + "\n"


def _table(schema: Schema, *, defaults: bool) -> str:
    head = ("Field", "Type", *(("Default",) if defaults else ()), "Bounds", "What it says")
    rows = [_row(path, part, required=required, defaults=defaults) for path, part, required in _fields(schema)]
    return "\n".join(_line(cells) for cells in (head, ["---"] * len(head), *rows))


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Every field within a schema, with its path and whether it is required; a list's items stand under its path."""
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here, part, name in schema.get("required", ())
        yield from _fields(part.get("items", part), here + ("[]" if "items" in part else ""))


def _row(path: str, part: Schema, *, required: bool, defaults: bool) -> list[str]:
    cells = [f"`{path}`", _type(part)]
    if defaults:
        cells.append("required" if required else _default(part))
    return [*cells, _bounds(part), _escaped(part.get("description", ""))]


def _type(part: Schema) -> str:
    if part.get("x-kubernetes-int-or-string"):
        return "number or text"
    if part["type"] == "array":
        return f"list of {_plural(part['items'])}"
    if "additionalProperties" in part:
        return f"map of {_plural(part['additionalProperties'])}"
    return {"string": "text", "integer": "whole number", "number": "number"}.get(part["type"], str(part["type"]))


def _plural(part: Schema) -> str:
    one = _type(part)
    return {"text": "texts", "number or text": "numbers or texts"}.get(one, f"{one}s")


def _default(part: Schema) -> str:
    default = part.get("default")
    if default is None or default in ({}, []):
        return ""
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f'`"{text}"`' if _looks_like_number(part, text) else f"`{text}`"


def _looks_like_number(part: Schema, text: str) -> bool:
    return part.get("type") == "string" and text.replace(".", "", 1).isdigit()


def _bounds(part: Schema) -> str:
    return _escaped(_said_bounds(part))


def _said_bounds(part: Schema) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    named = WORDS.get(part.get("pattern", ""))
    of_text = ("minLength", "maxLength", "pattern", "minimum") if named else ()
    said = [text.format(part[keyword]) for keyword, text in BOUNDS if keyword in part and keyword not in of_text]
    said += [named] if named else []
    keys = any(rule["message"].startswith(_KEYS) for rule in part.get("x-kubernetes-validations", ()))
    said += ["keys as Kubernetes' label keys"] if keys else []
    inner = part.get("items") or part.get("additionalProperties")
    if inner and "properties" not in inner:
        said += [f"each {bound}" for bound in [_said_bounds(inner)] if bound]
    return ", ".join(said)


def _rules(root: Schema) -> list[str]:
    """What holds across fields, and what never changes, in the words that the API server refuses with."""
    spec = root["properties"]["spec"]
    said = [*_said("", spec), *(said for path, part, _ in _fields(spec) for said in _said(path, part))]
    said += [f"- {rule['message']}" for rule in root["x-kubernetes-validations"][1:]]
    return ["Across fields:", "\n".join(dict.fromkeys(said))] if said else []


def _said(path: str, part: Schema) -> Iterator[str]:
    for place, schema in ((path, part), (f"{path}[]", part.get("items", {}))):
        for rule in schema.get("x-kubernetes-validations", ()):
            if not rule["message"].startswith(_KEYS):
                yield f"- {f'`{place}`: ' if place else ''}{rule['message']}"


def _columns(kind: Kind) -> str:
    rows = [[c.name, _escaped(c.description) + (" Only with `-o wide`." if c.priority else "")] for c in kind.columns]
    return "\n".join(_line(cells) for cells in (("Column", "What it shows"), ("---", "---"), *rows))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
