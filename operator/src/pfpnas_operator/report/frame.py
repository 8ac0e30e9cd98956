"""The frame of a chart: axes with grid and labels, legends, and how trials are marked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pfpnas_operator.report.markup import Markup, circle, element, joined, line, path, rect, text
from pfpnas_operator.report.scales import Scale
from pfpnas_operator.report.schema import Point
from pfpnas_operator.report.units import milliseconds, percent_error


@dataclass(frozen=True)
class Area:
    """Where the data of a chart are drawn."""

    left: float
    top: float
    right: float
    bottom: float
    title_gap: float = 14
    """Room between the upward axis' name and the top."""
    name_at: float = 12
    """Where the upward axis' name begins."""


def grid_y(area: Area, scale: Scale, label: Callable[[float], str], *, title: str, wanted: int = 6) -> Markup:
    """Horizontal lines with labels on the left, and the axis' name above them."""
    parts = [text(area.name_at, area.top - area.title_gap, title, kind="axis")]
    for value in scale.ticks(wanted):
        y = scale(value)
        parts += [
            line((area.left, y), (area.right, y), kind="grid"),
            text(area.left - 8, y + 4, label(value), kind="tick", anchor="end"),
        ]
    return joined(parts)


def grid_x(
    area: Area, scale: Scale, label: Callable[[float], str], *, title: str, lines: bool = True, wanted: int = 8
) -> Markup:
    """Labels below (with vertical lines), and the axis' name at the right end."""
    parts = [text(area.right, area.bottom + 40, title, kind="axis", anchor="end")]
    for value in scale.ticks(wanted):
        x = scale(value)
        if lines:
            parts.append(line((x, area.top), (x, area.bottom), kind="grid"))
        parts.append(text(x, area.bottom + 18, label(value), kind="tick", anchor="middle"))
    return joined([*parts, line((area.left, area.bottom), (area.right, area.bottom), kind="base")])


def legend(entries: Iterable[tuple[Markup, str]]) -> Markup:
    """What the marks mean, below a figure."""
    items = []
    for mark, meaning in entries:
        attributes = {"viewBox": "0 0 22 14", "class": "key", "aria-hidden": "true"}
        items.append(element("span", {}, element("svg", attributes, mark), meaning))
    return element("figcaption", {"class": "legend"}, *items)


def key_dot(kind: str) -> Markup:
    """A trial's mark for a legend."""
    return circle(11, 7, 5, kind=kind)


def key_line(kind: str) -> Markup:
    """A line for a legend."""
    return line((1, 7), (21, 7), kind=kind)


def key_box(kind: str) -> Markup:
    """A box for a legend."""
    return rect(4, 1, 14, 12, kind=kind, radius=2)


def key_cross() -> Markup:
    """The mark of a failed trial for a legend."""
    return cross(11, 7)


def key_triangle() -> Markup:
    """The mark of something outside the axis for a legend."""
    return triangle(11, 7)


def cross(x: float, y: float, tip: str = "") -> Markup:
    """The mark of a failed trial."""
    kind = "failed"
    return element("g", {}, path([(x - 4, y - 4), (x + 4, y + 4)], kind=kind, tip=tip), _stroke(x, y, kind, tip))


def _stroke(x: float, y: float, kind: str, tip: str) -> Markup:
    return path([(x - 4, y + 4), (x + 4, y - 4)], kind=kind, tip=tip)


def triangle(x: float, y: float, tip: str = "") -> Markup:
    """A mark that points downward: the value lies below the axis, or was not taken."""
    return path([(x - 5, y - 4), (x + 5, y - 4), (x, y + 5)], kind="below", tip=tip, closed=True)


def point_kind(point: Point) -> str:
    """The class of a trial's mark."""
    if point.best:
        return "dot best"
    return "dot feasible" if point.outcome == "Feasible" else "dot infeasible"


def radius(trials: int) -> float:
    """Of a trial's mark: hundreds of them should not cover one another."""
    return 5.5 if trials <= 80 else 4.0 if trials <= 300 else 3.0


def tip(point: Point) -> str:
    """What is said of a trial when it is pointed at."""
    lines = [f"{point.trial}{' · best' if point.best else ''}", point.architecture]
    if point.accuracy is not None:
        lines.append(f"accuracy {percent_error(point.accuracy, point.standard_error)} (validation)")
    elif point.accuracy_skipped:
        lines.append("accuracy skipped: over the limit by far")
    if point.latency_p50 is not None:
        relative = f" · {point.latency_relative:.2f} × reference" if point.latency_relative else ""
        lines.append(f"latency {milliseconds(point.latency_p50)}{relative}")
    if point.score is not None:
        lines.append(f"score {point.score:.4f}")
    if point.reason:
        lines.append(point.reason)
    return "\n".join(lines)
