"""Accuracy against latency: every measured trial, the front, and the limit."""

from pfpnas_operator.report.frame import (
    Area,
    grid_x,
    grid_y,
    key_box,
    key_dot,
    key_line,
    key_triangle,
    legend,
    point_kind,
    radius,
    tip,
    triangle,
)
from pfpnas_operator.report.markup import Markup, circle, details, figure, joined, line, path, rect, table, text
from pfpnas_operator.report.scales import Scale, latency_scale, scale_for
from pfpnas_operator.report.schema import Point, Report
from pfpnas_operator.report.units import count, milliseconds, percent_error

# Room for the limit's label between the name of the axis and the top.
_AREA = Area(left=64, top=60, right=936, bottom=414, title_gap=36)
_HEIGHT = 466


def draw_scatter(report: Report) -> Markup | None:
    """The figure with its table, or None while no trial has both figures."""
    rated = [point for point in report.points if point.accuracy is not None and point.latency_p50 is not None]
    if not rated:
        return None
    skipped = [point for point in report.points if point.accuracy is None and point.latency_p50 is not None]
    limit = report.threshold.milliseconds if report.threshold else None
    x = latency_scale([*_latencies([*rated, *skipped]), *([limit] if limit else [])], (_AREA.left, _AREA.right))
    y = _accuracy_scale(rated)
    front = [point for name in report.front for point in rated if point.trial == name]
    shapes = [
        _limit(x, limit) if limit else "",
        grid_x(_AREA, x, lambda value: f"{value:g}", title="latency p50, ms"),
        grid_y(_AREA, y, lambda value: f"{value * 100:g} %", title="accuracy on the private validation split"),
        _front(front, x, y),
        *_marks(rated, skipped, x, y),
    ]
    limited = f"; the latency limit is {milliseconds(limit)}" if limit else ""
    description = (
        f"{len(rated)} measured trials; {len(front)} of them are on the Pareto front{limited}. "
        "The table below has the front's figures."
    )
    drawn = figure(
        "scatter",
        "Accuracy against latency",
        description,
        joined(shapes),
        height=_HEIGHT,
        legend=_legend(report, skipped=bool(skipped), limit=limit is not None),
    )
    return joined([drawn, details("The front as a table", _table(front))])


def _marks(rated: list[Point], skipped: list[Point], x: Scale, y: Scale) -> list[Markup]:
    """The trials: the best above the others, and what has no accuracy at the lower edge."""
    return [
        *(
            circle(x(p.latency_p50 or 0), y(p.accuracy or 0), radius(len(rated)), kind=point_kind(p), tip=tip(p))
            for p in sorted(rated, key=lambda p: (p.best, p.outcome == "Feasible"))
        ),
        *(triangle(x(p.latency_p50 or 0), _AREA.bottom - 7, tip(p)) for p in skipped),
        *(_best(p, x, y) for p in rated if p.best),
    ]


def _latencies(points: list[Point]) -> list[float]:
    return [point.latency_p50 for point in points if point.latency_p50 is not None]


def _accuracy_scale(rated: list[Point]) -> Scale:
    values = [point.accuracy for point in rated if point.accuracy is not None]
    errors = [
        end
        for point in rated
        if point.on_front and point.accuracy is not None and point.standard_error
        for end in (point.accuracy - point.standard_error, min(1.0, point.accuracy + point.standard_error))
    ]
    return scale_for([*values, *errors], (_AREA.bottom, _AREA.top), floor=0.0)


def _limit(x: Scale, limit: float) -> Markup:
    at = x(limit)
    left = at > (_AREA.left + _AREA.right) / 2
    label = text(
        at + (-8 if left else 8),
        _AREA.top - 10,
        f"limit {milliseconds(limit)}",
        kind="limit-label",
        anchor="end" if left else "start",
    )
    over = rect(at, _AREA.top, _AREA.right - at, _AREA.bottom - _AREA.top, kind="over")
    return joined([over, line((at, _AREA.top - 4), (at, _AREA.bottom), kind="limit"), label])


def _front(front: list[Point], x: Scale, y: Scale) -> Markup:
    """A staircase: between two points of the front only what the faster one reaches is known to be possible.

    By multiples of the reference model the order may be another one than by milliseconds: it never steps back or down.
    """
    places = sorted((x(p.latency_p50 or 0), y(p.accuracy or 0)) for p in front)
    if not places:
        return Markup("")
    stairs = [places[0]]
    for place in places[1:]:
        if place[1] < stairs[-1][1]:
            stairs += [(place[0], stairs[-1][1]), place]
    stairs.append((_AREA.right, stairs[-1][1]))
    whiskers = [_whisker(point, x, y) for point in front]
    return joined([path(stairs, kind="front"), *whiskers])


def _whisker(point: Point, x: Scale, y: Scale) -> Markup:
    if point.accuracy is None or not point.standard_error or point.latency_p50 is None:
        return Markup("")
    at = x(point.latency_p50)
    low, high = point.accuracy - point.standard_error, min(1.0, point.accuracy + point.standard_error)
    return line((at, y(low)), (at, y(high)), kind="whisker")


def _best(point: Point, x: Scale, y: Scale) -> Markup:
    at, height = x(point.latency_p50 or 0), y(point.accuracy or 0)
    label = "best" if point.outcome == "Feasible" else "closest"
    right = at < (_AREA.left + _AREA.right) / 2
    ring = circle(at, height, 10, kind="ring")
    above = height - 16 > _AREA.top + 18
    return joined(
        [
            ring,
            text(
                at + (4 if right else -4),
                height + (-16 if above else 26),
                label,
                kind="best-label",
                anchor="start" if right else "end",
            ),
        ]
    )


def _legend(report: Report, *, skipped: bool, limit: bool) -> Markup:
    outcomes = {point.outcome for point in report.points}
    entries = [(key_dot("dot feasible"), "meets every limit")] if "Feasible" in outcomes else []
    entries += [(key_dot("dot infeasible"), "breaks a limit")] if "Infeasible" in outcomes else []
    entries.append((key_line("front"), "Pareto front, ± 1 standard error"))
    entries += [(key_box("over"), "over the latency limit")] if limit else []
    entries += [(key_triangle(), "accuracy skipped (far over the limit)")] if skipped else []
    return legend(entries)


def _table(front: list[Point]) -> Markup:
    rows = [
        (
            p.trial,
            (percent_error(p.accuracy, p.standard_error), p.accuracy),
            (milliseconds(p.latency_p50), p.latency_p50),
            (f"{p.latency_relative:.2f} ×" if p.latency_relative else "–", p.latency_relative),
            (count(p.flops), p.flops),
            (count(p.parameters), p.parameters),
            "yes" if p.outcome == "Feasible" else "no",
            p.architecture,
        )
        for p in front
    ]
    head = ("Trial", "Accuracy", "Latency p50", "of reference", "FLOPs", "Parameters", "Meets limits", "Architecture")
    return table(head, rows, caption="Measured Pareto front, by rising latency")
