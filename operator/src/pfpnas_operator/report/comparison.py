"""The best against its baselines on the private test split: a dot each, with its standard errors."""

from collections.abc import Sequence

from pfpnas_operator.report.frame import Area, grid_x, key_line, legend
from pfpnas_operator.report.markup import Markup, circle, figure, joined, line, rect, table, text
from pfpnas_operator.report.scales import Scale, scale_for
from pfpnas_operator.report.schema import Baseline, Report
from pfpnas_operator.report.units import milliseconds, percent, percent_error

_ROW = 46


def draw_comparison(report: Report) -> Markup | None:
    """The figure and its table, or None while nothing was scored on the test split."""
    if not report.baselines:
        return None
    rows = _table(report.baselines)
    rated = [row for row in report.baselines if row.accuracy is not None]
    if not rated:
        return rows
    area = Area(left=190, top=20, right=670, bottom=24 + _ROW * len(rated))
    x = _scale(rated, area)
    best = next((row for row in rated if row.name == "best"), None)
    shapes = [
        grid_x(area, x, lambda value: f"{value * 100:g} %", title="accuracy on the private test split"),
        _band(best, x, area) if best else "",
        *(_row(row, x, area.top + 4 + _ROW * (index + 0.5), area) for index, row in enumerate(rated)),
    ]
    description = "; ".join(f"{row.label} {percent_error(row.accuracy, row.standard_error)}" for row in rated) + "."
    drawn = figure(
        "comparison",
        "The best against its baselines",
        description,
        joined(shapes),
        height=int(area.bottom) + 52,
        legend=legend([(key_line("error"), "± 1 standard error"), (key_line("error-two"), "± 2 standard errors")]),
    )
    return joined([drawn, rows])


def _scale(rated: Sequence[Baseline], area: Area) -> Scale:
    ends = [
        end
        for row in rated
        for end in (
            (row.accuracy or 0) - 2 * (row.standard_error or 0),
            (row.accuracy or 0) + 2 * (row.standard_error or 0),
        )
    ]
    return scale_for([max(0.0, min(1.0, end)) for end in ends], (area.left, area.right), padding=0.05, floor=0.0)


def _band(best: Baseline, x: Scale, area: Area) -> Markup:
    at = x(best.accuracy or 0)
    return line((at, area.top), (at, area.bottom), kind="best-line")


def _row(row: Baseline, x: Scale, y: float, area: Area) -> Markup:
    value, error = row.accuracy or 0.0, row.standard_error or 0.0
    best = row.name == "best"
    tip = f"{row.label}\n{percent_error(row.accuracy, row.standard_error)} of {row.samples} images"
    if row.latency is not None:
        tip += f"\nlatency {milliseconds(row.latency)}"
    return joined(
        [
            text(area.left - 16, y + 4, row.label, kind="row best-row" if best else "row", anchor="end"),
            _whisker(x, value, 2 * error, y=y, kind="error-two"),
            _whisker(x, value, error, y=y, kind="error"),
            circle(x(value), y, 7 if best else 6, kind="dot best" if best else "dot baseline", tip=tip),
            text(area.right + 18, y + 4, _verdict(row), kind="row best-row" if best else "row"),
        ]
    )


def _whisker(x: Scale, value: float, reach: float, *, y: float, kind: str) -> Markup:
    low, high = max(x.low, value - reach), min(1.0, x.high, value + reach)
    return rect(x(low), y - (3 if kind == "error" else 1), x(high) - x(low), 6 if kind == "error" else 2, kind=kind)


def _verdict(row: Baseline) -> str:
    figure_ = percent(row.accuracy)
    if row.difference is None or row.difference_in_errors is None:
        return figure_
    return f"{figure_} · best {_points(row.difference)} ({_signed(row.difference_in_errors)} SE)"


def _points(difference: float) -> str:
    return f"{_signed(difference * 100)} points"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _table(baselines: Sequence[Baseline]) -> Markup:
    rows = [
        (
            row.label,
            (
                percent_error(row.accuracy, row.standard_error) if row.missing is None else f"– ({row.missing})",
                row.accuracy,
            ),
            (str(row.samples) if row.samples else "–", row.samples),
            (milliseconds(row.latency), row.latency),
            (_points(row.difference) if row.difference is not None else "–", row.difference),
            (f"± {(row.difference_error or 0) * 100:.1f}" if row.difference_error else "–", row.difference_error),
            (
                _signed(row.difference_in_errors) if row.difference_in_errors is not None else "–",
                row.difference_in_errors,
            ),
        )
        for row in baselines
    ]
    head = ("Net", "Test accuracy", "Images", "Latency p50", "Best ahead by", "Standard error", "In standard errors")
    return table(head, rows, caption="On the private test split, scored once at the end")
