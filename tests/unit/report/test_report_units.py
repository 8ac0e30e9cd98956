"""Figures as text."""

import pytest

from pfpnas_operator.report.scales import Scale, latency_scale, scale_for
from pfpnas_operator.report.units import count, milliseconds, of_metric, percent_error, seconds, significant, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.500"), (0.0123456, "0.0123"), (0.000001234, "0.00000123"), (12.345, "12.3"), (1234.5, "1234")],
)
def test_three_significant_digits_without_exponent(value: float, text: str) -> None:
    assert significant(value) == text


def test_units_fit_the_size_of_the_figure() -> None:
    assert [milliseconds(value) for value in (0.05, 1.234, 85, 20_000, None)] == [
        "50.0 µs",
        "1.23 ms",
        "85.0 ms",
        "20.0 s",
        "–",
    ]
    assert [count(value) for value in (512, 47_754, 3_240_000, 1.2e9)] == ["512", "47.8 k", "3.24 M", "1.20 G"]
    assert [size(value) for value in (12, 274_844, 3 * 2**20)] == ["12 B", "268 KiB", "3.00 MiB"]
    assert [seconds(value) for value in (4.5, 59.96, 202, 3725)] == ["4.50 s", "60.0 s", "3 min 22 s", "1 h 02 min"]
    assert percent_error(0.969, 0.0095) == "96.9 ± 0.9 %"
    assert of_metric("Throughput", 1234.0) == "1234 images/s"


def test_linear_axis_holds_its_values_and_round_ticks() -> None:
    scale = scale_for([0.91, 0.98], (400, 40))
    assert scale(0.91) < 400
    assert scale(0.98) > 40
    assert scale.ticks() == pytest.approx((0.92, 0.94, 0.96, 0.98))


def test_one_value_has_an_axis_too() -> None:
    scale = scale_for([0.5], (0, 100))
    assert scale(0.5) == pytest.approx(50)


def test_wide_latencies_get_a_logarithmic_axis() -> None:
    scale = latency_scale([1.0, 100.0], (0, 100))
    assert scale.logarithmic
    assert scale(10.0) == pytest.approx(50)
    assert set(scale.ticks()) == {1, 2, 5, 10, 20, 50, 100}
    assert not latency_scale([1.0, 2.0], (0, 100)).logarithmic


def test_an_upward_axis_starts_at_the_bottom() -> None:
    assert Scale(0, 1, 400, 40)(1) == 40
