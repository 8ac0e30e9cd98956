"""A pydantic model as a structural schema of `apiextensions.k8s.io/v1`.

Structural schemas have no ``$ref``, ``const`` or ``title``, no ``anyOf`` with null, and ``exclusiveMinimum`` is a flag:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "properties",
    "items",
    "additionalProperties",
)
"""Keywords of the result, in the order in which they are written. Any other one is an error, so nothing gets lost."""

FORMATS: Final = {"integer": "int64", "number": "double"}

DATE_TIME_LENGTH: Final = 64
"""Characters of a moment, at most: with nanoseconds and an offset it has 35."""


class SchemaError(Exception):
    """A model that no structural schema can express; the message names the field."""


def structural_schema(model: type[BaseModel], *, defaults: bool) -> Schema:
    """The schema of a model.

    Args:
        model: Its fields' camelCase aliases are the names.
        defaults: Write defaults. For a spec: the API server fills them in. Not for a status: what nobody wrote is not
            known.

    Raises:
        SchemaError: a keyword that no structural schema has.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    return _Converter(source.get("$defs", {}), defaults=defaults).convert(source, path=model.__name__)


class _Converter:
    def __init__(self, shared: Mapping[str, Schema], *, defaults: bool) -> None:
        self._shared, self._defaults = shared, defaults

    def convert(self, source: Schema, *, path: str) -> Schema:
        flat = self._flat(source)
        for keyword in ("title", "$defs"):
            flat.pop(keyword, None)
        if "const" in flat:
            flat["enum"] = [flat.pop("const")]
        if flat.get("additionalProperties") is False:
            del flat["additionalProperties"]  # the API server itself prunes or refuses unknown fields
        self._set_default(flat)
        _set_keys(flat)
        _set_number(flat)
        _set_text(flat)
        self._convert_children(flat, path)
        unknown = sorted(set(flat) - set(KEPT))
        typed = "type" in flat or flat.get("x-kubernetes-int-or-string") is True
        if unknown or not typed:
            raise SchemaError(f"{path}: a structural schema can't have {', '.join(unknown) or 'a value of any type'}")
        return {keyword: flat[keyword] for keyword in KEPT if keyword in flat}

    def _flat(self, source: Schema) -> Schema:
        """The schema with its reference followed and `| None` taken off: what is optional just isn't required."""
        beside = {key: value for key, value in source.items() if key not in ("$ref", "anyOf")}
        if "$ref" in source:
            return {**self._flat(self._shared[source["$ref"].removeprefix("#/$defs/")]), **beside}
        choices = [choice for choice in source.get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            return {**self._flat(choices[0]), **beside}
        return dict(source)

    def _set_default(self, flat: Schema) -> None:
        if not self._defaults or flat.get("default") is None:
            flat.pop("default", None)
        elif flat.get("type") == "object":
            flat["default"] = {}  # the API server fills in the fields' own defaults

    def _convert_children(self, flat: Schema, path: str) -> None:
        if "properties" in flat:
            flat["properties"] = {
                name: self.convert(child, path=f"{path}.{name}") for name, child in flat["properties"].items()
            }
        for keyword in ("items", "additionalProperties"):
            if keyword in flat:
                flat[keyword] = self.convert(flat[keyword], path=f"{path}[]")


def _set_keys(flat: Schema) -> None:
    """What is said of a map's keys as a rule: structural schemas have neither patternProperties nor propertyNames."""
    patterns, names = flat.pop("patternProperties", {}), flat.pop("propertyNames", {})
    rules = list(flat.get("x-kubernetes-validations", ()))
    for pattern, value in patterns.items():
        flat["additionalProperties"] = value
        rules.append(_rule(f"key.matches(r'{pattern}')", f"keys have to match {pattern}"))
    if "maxLength" in names:
        rules.append(_rule(f"key.size() <= {names['maxLength']}", f"keys have at most {names['maxLength']} characters"))
    if rules:
        flat["x-kubernetes-validations"] = rules


def _rule(of_key: str, message: str) -> Schema:
    return {"rule": f"self.all(key, {of_key})", "message": message}


def _set_number(flat: Schema) -> None:
    if "exclusiveMinimum" in flat:
        flat["minimum"], flat["exclusiveMinimum"] = flat["exclusiveMinimum"], True
    if "enum" not in flat and flat.get("type") in FORMATS:
        flat["format"] = FORMATS[flat["type"]]


def _set_text(flat: Schema) -> None:
    if flat.get("format") == "date-time":
        flat["maxLength"] = DATE_TIME_LENGTH
    if "description" in flat:
        flat["description"] = " ".join(flat["description"].split())
