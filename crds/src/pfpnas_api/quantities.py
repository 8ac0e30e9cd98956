"""Quantities as strings with a unit, the way Kubernetes writes them: ``85ms``, ``300M``, ``64Mi``, ``"0.92"``.

A spec holds no floats, since a float changes on its way through YAML, JSON and Go. A quantity stays the string its
author wrote; `Quantity.parse` gives the number, in the base unit that the quantity's name says.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"


class QuantityError(ValueError):
    """A quantity that can't be read; the message says what is allowed."""


@dataclass(frozen=True)
class Quantity:
    """One family of quantities: its units, each with its factor to the base unit."""

    name: str
    units: Mapping[str, float]
    examples: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The regular expression of the CRD schema; anchored."""
        named = "|".join(re.escape(unit) for unit in self.units if unit)
        optional = "?" if "" in self.units else ""
        return f"^{_NUMBER}({named}){optional}$" if named else f"^{_NUMBER}$"

    def parse(self, text: str) -> float:
        """The number in the base unit.

        Raises:
            QuantityError: `text` is no quantity of this family.
        """
        found = re.fullmatch(rf"({_NUMBER})([A-Za-z/]*)", text)
        if found is None or found.group(2) not in self.units:
            raise QuantityError(f"{text!r} is no {self.name}: {self.allowed}")
        return float(found.group(1)) * self.units[found.group(2)]

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        if not any(self.units):
            return f"write a plain number, such as {' or '.join(self.examples)}"
        units = ", ".join(unit or "no unit" for unit in self.units)
        return f"write a number with one of the units {units}, such as {' or '.join(self.examples)}"


DURATION = Quantity("duration", {"us": 1e-3, "ms": 1.0, "s": 1e3}, ("85ms", "1.5s"))
"""Base unit: milliseconds."""

COUNT = Quantity("count", {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}, ("300M", "1.2G"))
"""Base unit: one (operation or parameter)."""

SIZE = Quantity(
    "size", {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}, ("64Mi", "12M")
)
"""Base unit: bytes."""

RATE = Quantity("rate", {"/s": 1.0}, ("200/s",))
"""Base unit: images per second."""

ENERGY = Quantity("energy", {"uJ": 1e-3, "mJ": 1.0, "J": 1e3}, ("12mJ",))
"""Base unit: millijoules."""

DECIMAL = Quantity("decimal", {"": 1.0}, ('"0.92"', '"3.0"'))
"""A plain number, written as a string."""


def _must_be_text(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise ValueError(f'{value!r} is a bare number: write it as a string, "{value}" (a float changes on its way)')
    return value


def _checked(quantity: Quantity) -> Callable[[str], str]:
    def check(text: str) -> str:
        quantity.parse(text)
        return text

    return check


Decimal = Annotated[
    str,
    BeforeValidator(_must_be_text),
    AfterValidator(_checked(DECIMAL)),
    Field(json_schema_extra={"pattern": DECIMAL.pattern}, max_length=24),
]
"""A number in a string, such as ``"0.92"``."""


@dataclass(frozen=True)
class Between:
    """Bounds of a `Decimal`, both allowed: checked by pydantic, and in the CRD by the API server."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        """The bounds in words."""
        return f'allowed is "{self.low:g}" to "{self.high:g}"'

    def check(self, text: str) -> str:
        """The decimal itself.

        Raises:
            ValueError: it is out of bounds.
        """
        if not self.low <= DECIMAL.parse(text) <= self.high:
            raise ValueError(f"is {text}: {self.allowed}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = f"double(self) >= {float(self.low)!r} && double(self) <= {float(self.high)!r}"
        return {**handler(schema), "x-kubernetes-validations": [{"rule": rule, "message": self.allowed}]}


AnyQuantity = Annotated[
    str,
    BeforeValidator(_must_be_text),
    Field(json_schema_extra={"pattern": rf"^{_NUMBER}[A-Za-z/]{{0,2}}$"}, max_length=24),
]
"""A quantity whose family is decided by a field beside it."""
