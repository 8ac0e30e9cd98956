"""Quantities: what is read, what is refused, and that a refusal names what is allowed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pfpnas_api.kinds import METRIC_UNITS, Constraint
from pfpnas_api.quantities import (
    COUNT,
    DECIMAL,
    DURATION,
    ENERGY,
    RATE,
    SIZE,
    AnyQuantity,
    Between,
    Decimal,
    Quantity,
    QuantityError,
)

FAMILIES = [DURATION, COUNT, SIZE, RATE, ENERGY, DECIMAL]


@pytest.mark.parametrize(
    ("family", "text", "number"),
    [
        (DURATION, "85ms", 85.0),
        (DURATION, "1.5s", 1500.0),
        (DURATION, "250us", 0.25),
        (COUNT, "300M", 300e6),
        (COUNT, "1.2G", 1.2e9),
        (COUNT, "42", 42.0),
        (SIZE, "64Mi", 64 * 2**20),
        (SIZE, "12M", 12e6),
        (SIZE, "1Ki", 1024),
        (RATE, "200/s", 200.0),
        (ENERGY, "12mJ", 12.0),
        (ENERGY, "0.5J", 500.0),
        (DECIMAL, "0.92", 0.92),
        (DECIMAL, "3", 3.0),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(family: Quantity, text: str, number: float) -> None:
    assert family.parse(text) == pytest.approx(number)
    assert re.fullmatch(family.pattern, text)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "ms",
        "-1",
        "+1",
        "1e3",
        "1,5",
        ".5",
        "5.",
        " 5",
        "5 ",
        "5\n",
        "0x10",
        "1__0",
        "١٢",
        "5Zi",
        "5 ms",
        "inf",
        "nan",
    ],
)
def test_what_is_no_quantity_is_refused_with_what_is_allowed(family: Quantity, text: str) -> None:
    with pytest.raises(QuantityError, match=re.escape(family.allowed)) as caught:
        family.parse(text)
    assert repr(text) in str(caught.value)
    assert not re.fullmatch(family.pattern, text)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_units_of_other_families_are_refused_with_all_of_its_own(family: Quantity) -> None:
    others = {unit for other in FAMILIES for unit in other.units} - set(family.units)
    for unit in others:
        with pytest.raises(QuantityError) as caught:
            family.parse(f"5{unit}")
        assert all(own in family.allowed for own in family.units)
        assert family.allowed in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_examples_are_quantities(family: Quantity) -> None:
    for example in family.examples:
        family.parse(example.strip('"'))


@given(st.from_regex(r"[0-9]{1,14}(\.[0-9]{0,10})?[a-zA-Z/]{0,3}", fullmatch=True), st.sampled_from(FAMILIES))
def test_pattern_and_parser_agree(text: str, family: Quantity) -> None:
    try:
        family.parse(text)
    except QuantityError:
        assert not re.fullmatch(family.pattern, text)
    else:
        assert re.fullmatch(family.pattern, text)


@pytest.mark.parametrize("value", [0.92, 3, True])
@pytest.mark.parametrize("kind", [Decimal, AnyQuantity])
def test_bare_numbers_are_refused_with_how_to_write_them(kind: object, value: object) -> None:
    with pytest.raises(ValidationError, match=f'write it as a string, "{value}"'):
        TypeAdapter(kind).validate_python(value)


def test_bounds_hold_at_both_ends() -> None:
    bounds = Between(0.1, 60)
    assert [bounds.check(text) for text in ("0.1", "60", "60.0")] == ["0.1", "60", "60.0"]
    for text in ("0.09", "60.1"):
        with pytest.raises(ValueError, match=f'is {text}: allowed is "0.1" to "60"'):
            bounds.check(text)


@pytest.mark.parametrize("metric", METRIC_UNITS)
def test_every_metric_refuses_a_wrong_unit_by_name(metric: str) -> None:
    field = "min" if metric == "Throughput" else "max"
    with pytest.raises(ValidationError) as caught:
        Constraint.model_validate({"metric": metric, field: "5Zi"})
    assert METRIC_UNITS[metric].allowed in str(caught.value)


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ({"metric": "Latency"}, "exactly one of max, min and maxRelative"),
        ({"metric": "Latency", "max": "1ms", "maxRelative": "2"}, "exactly one of max, min and maxRelative"),
        ({"metric": "Latency", "min": "1ms"}, "min is for Throughput"),
        ({"metric": "Throughput", "max": "1/s"}, "Throughput takes only min"),
        ({"metric": "Energy", "maxRelative": "2"}, "maxRelative is for Cost, FLOPs, Latency"),
        ({"metric": "FLOPs", "max": "0M"}, "a limit of 0 can't be met"),
        ({"metric": "MACs", "maxRelative": "0.0"}, "a limit of 0 can't be met"),
    ],
)
def test_impossible_limits_are_refused(constraint: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Constraint.model_validate(constraint)


def test_a_quantity_stays_what_its_author_wrote() -> None:
    constraint = Constraint.model_validate({"metric": "Latency", "max": "085.50ms"})
    assert constraint.limit == 85.5
    assert constraint.document() == {"metric": "Latency", "max": "085.50ms"}
