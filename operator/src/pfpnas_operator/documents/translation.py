"""pydantic's messages in words for the person who wrote the document."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pfpnas_api.kinds import METRIC_UNITS
from pfpnas_operator.documents.problems import FieldPath, shown
from pfpnas_operator.documents.schema import field_types, model_at

_LABEL = "must be lower-case letters, digits and '-', with a letter or digit at both ends"
_PATTERNS = {
    "pool": f"{_LABEL} ('.' is allowed inside)",
    "dataset": f"{_LABEL} ('.' is allowed inside)",
    "backend": f"{_LABEL} ('.' is allowed inside)",
    "name": _LABEL,
    "namespace": _LABEL,
    "architecture": "must be an architecture's id, such as r24-k3e4.k5e6-k3e2",
    "sha256": "must be a SHA-256: 64 hexadecimal digits in lower case",
}
_ITEMS = {
    "kernelSizes": "must be one of 3, 5, 7 (odd)",
    "expandRatios": "must be one of 1 to 8",
    "depths": "must be one of 1 to 8",
    "resolutions": "must be a multiple of 4, 16 to 512",
}
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (quote it)",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "dict_type": "a mapping of fields",
}
_FIELD_FIRST = re.compile(r"([a-zA-Z][\w.]*)(?:: | (?=is |belongs ))(.*)", re.DOTALL)


def translate(error: ValidationError, model: type[BaseModel], value: Any) -> list[tuple[FieldPath, str]]:
    """Field and message of every error; `value` is the document that was validated against `model`."""
    details = error.errors(include_url=False)
    wrong_items = {detail["loc"][:-1] for detail in details if detail["loc"] and isinstance(detail["loc"][-1], int)}
    # pydantic counts only the valid items, so a list with one wrong item is said to be too short besides.
    return [_one(d, model, value) for d in details if not (d["type"] == "too_short" and d["loc"] in wrong_items)]


def unknown_field(name: str, allowed: Iterable[str]) -> str:
    """What to say of a field that doesn't exist: the nearest name, or all of them."""
    names = list(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    # `latency` for `Latency`, `pooll` for `pool`: letters count, not their case.
    close = close or [known for known in names if known.lower() == name.lower().replace("_", "").replace("-", "")]
    return f"did you mean {close[0]}?" if close else f"allowed: {', '.join(names)}"


def _one(detail: Mapping[str, Any], model: type[BaseModel], value: Any) -> tuple[FieldPath, str]:
    path: FieldPath = tuple(detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        owner = model_at(model, path[:-1])
        names = field_types(owner) if owner else {}
        return path, f"unknown field; {unknown_field(str(path[-1]), names)}"
    if kind == "missing":
        return path, "is required, but missing"
    if kind == "value_error":
        return _own(path, str(detail["ctx"]["error"]), model=model, value=value)
    return path, _standard(kind, path, found=detail["input"], context=detail.get("ctx", {}), message=detail["msg"])


def _own(path: FieldPath, message: str, *, model: type[BaseModel], value: Any) -> tuple[FieldPath, str]:
    """An error of the contract's own validators: the field they name joins the path."""
    constraint = _constraint_at(path, value)
    if constraint and path[-1] in ("max", "min"):
        quantity = METRIC_UNITS.get(str(constraint.get("metric")))
        number = constraint[path[-1]]
        return path, f"{shown(number)} is a bare number: {quantity.allowed}" if quantity else message
    if constraint and " is no " in message:
        given = next((name for name in ("max", "min", "maxRelative") if name in constraint), None)
        return ((*path, given) if given else path), message
    owner = model_at(model, path)
    match = _FIELD_FIRST.fullmatch(message)
    if owner and match and match[1].split(".")[0] in field_types(owner):
        return (*path, *match[1].split(".")), match[2]
    return path, message


def _constraint_at(path: FieldPath, value: Any) -> dict[str, Any] | None:
    """The constraint that a path is, or lies in; None for other paths."""
    if "constraints" not in path[:-1]:
        return None
    depth = path.index("constraints") + 2
    for part in path[:depth]:
        value = value[part]
    return value if isinstance(value, dict) else None


def _standard(kind: str, path: FieldPath, *, found: Any, context: Mapping[str, Any], message: str) -> str:
    describe = _DESCRIBED.get(kind)
    field = str(path[-1]) if path else ""
    if path and isinstance(path[-1], int) and len(path) > 1 and str(path[-2]) in _ITEMS and not _is_list(found):
        return f"is {shown(found)}, {_ITEMS[str(path[-2])]}"
    if kind in _KINDS:
        return f"is {shown(found)}, must be {_KINDS[kind]}"
    if kind == "literal_error":
        return f"is {shown(found)}, {_choice(found, str(context['expected']))}"
    if kind == "string_pattern_mismatch":
        return f"is {shown(found)}, {_PATTERNS.get(field, 'must match ' + str(context['pattern']))}"
    if describe:
        return f"is {shown(found)}, {describe(context)}"
    return f"is {shown(found)}: {message}"


def _is_list(found: Any) -> bool:
    return isinstance(found, list | dict)


def _choice(found: Any, expected: str) -> str:
    names = re.findall(r"'([^']*)'", expected)
    must = f"must be {names[0]}" if len(names) == 1 else f"must be one of {', '.join(names)}"
    close = difflib.get_close_matches(str(found), names, n=1, cutoff=0.6)
    close = close or [name for name in names if name.lower() == str(found).lower()]
    return f"{must}; did you mean {close[0]}?" if close else must


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_DESCRIBED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda c: f"must be at least {_number(c['ge'])}",
    "greater_than": lambda c: f"must be more than {_number(c['gt'])}",
    "less_than_equal": lambda c: f"must be at most {_number(c['le'])}",
    "less_than": lambda c: f"must be less than {_number(c['lt'])}",
    "multiple_of": lambda c: f"must be a multiple of {_number(c['multiple_of'])}",
    "string_too_short": lambda c: f"must have at least {c['min_length']} character{'s' * (c['min_length'] != 1)}",
    "string_too_long": lambda c: f"must have at most {c['max_length']} characters",
    "too_short": lambda c: f"must have at least {c['min_length']} item{'s' * (c['min_length'] != 1)}",
    "too_long": lambda c: f"must have at most {c['max_length']} items",
}
