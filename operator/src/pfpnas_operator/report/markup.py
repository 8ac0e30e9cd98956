"""HTML and SVG made of escaped parts: whatever is not `Markup` already is text, and is escaped."""

import html
from collections.abc import Iterable, Mapping, Sequence

Attributes = Mapping[str, object]

_VOID = frozenset({"meta", "link", "br"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, attributes: Attributes | None = None, *children: str) -> Markup:
    """One element. Attributes of None are left out, numbers are shortened, children that are no Markup are escaped."""
    given = {key: value for key, value in (attributes or {}).items() if value is not None}
    opening = "".join(f' {key}="{html.escape(_text(value))}"' for key, value in given.items())
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other, escaped where they are plain text."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def _text(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[str | tuple[str, object]]], *, caption: str) -> Markup:
    """A table; a cell given as (text, value) sorts by its value. Every first cell is its row's head."""
    heads = [element("th", {"scope": "col"}, name) for name in head]
    body = [element("tr", {}, *(_cell(cell, first=index == 0) for index, cell in enumerate(row))) for row in rows]
    inner = element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, *heads)))
    filled = Markup(inner.removesuffix("</table>") + element("tbody", {}, *body) + "</table>")
    return element("div", {"class": "wide", "tabindex": "0", "role": "region", "aria-label": caption}, filled)


def _cell(cell: str | tuple[str, object], *, first: bool) -> Markup:
    text, value = cell if isinstance(cell, tuple) else (cell, None)
    attributes: dict[str, object] = {"data-v": f"{value:.9g}" if isinstance(value, int | float) else value}
    if first:
        return element("th", {"scope": "row", **attributes}, text)
    return element("td", attributes, text)


def details(summary: str, *children: str) -> Markup:
    """A part that a reader opens."""
    return element("details", {}, element("summary", {}, summary), *children)


def figure(
    name: str, title: str, description: str, *shapes: str, width: int = 960, height: int, legend: str = ""
) -> Markup:
    """An SVG with title and description for those who don't see it; its texts are ids by `name`."""
    head = (
        element("title", {"id": f"{name}-title"}, title),
        element("desc", {"id": f"{name}-desc"}, description),
    )
    attributes = {
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    drawing = element("div", {"class": "wide"}, element("svg", attributes, *head, *shapes))
    return element("figure", {"id": name}, drawing, *([legend] if legend else []))


def text(x: float, y: float, content: str, *, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text in an SVG."""
    return element("text", {"x": x, "y": y, "class": kind or None, "text-anchor": anchor}, content)


def line(start: tuple[float, float], end: tuple[float, float], *, kind: str) -> Markup:
    """A straight line in an SVG."""
    return element("line", {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1], "class": kind})


def rect(x: float, y: float, width: float, height: float, *, kind: str, tip: str = "", radius: float = 0) -> Markup:
    """A rectangle in an SVG, with what is said when it is pointed at."""
    attributes = {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height), "class": kind}
    return element("rect", {**attributes, "rx": radius or None}, *_tip(tip))


def circle(x: float, y: float, radius: float, *, kind: str, tip: str = "") -> Markup:
    """A circle in an SVG, with what is said when it is pointed at."""
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": kind}, *_tip(tip))


def path(points: Sequence[tuple[float, float]], *, kind: str, tip: str = "", closed: bool = False) -> Markup:
    """A line through points in an SVG."""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
    return element("path", {"d": drawn, "class": kind}, *_tip(tip))


def _tip(tip: str) -> tuple[Markup, ...]:
    return (element("title", {}, tip),) if tip else ()
