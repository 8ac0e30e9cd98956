"""The best architecture drawn: a bar for each part, as tall as it has channels, with its kernel, and where MACs go."""

from collections.abc import Sequence
from itertools import groupby
from math import sqrt

from pfpnas_operator.report.frame import key_box, legend
from pfpnas_operator.report.markup import Markup, details, figure, joined, line, path, rect, table, text
from pfpnas_operator.report.schema import Part, Report
from pfpnas_operator.report.units import count, percent

_LEFT, _RIGHT = 24.0, 936.0
_MIDDLE, _TALLEST = 124.0, 176.0
_LABELS, _BRACKETS = 236.0, 274.0
_MACS_TOP, _MACS_BOTTOM = 352.0, 412.0
_HEIGHT = 440
_NARROW = 52.0
"""Below it, names are shortened so that they don't run into one another."""


def draw_architecture(report: Report) -> Markup | None:
    """The figure with its table, or None while there is no best."""
    parts, best = report.architecture, report.best
    if not parts or best is None:
        return None
    drawn = [part for part in parts if part.kind != "classifier"]
    pitch = (_RIGHT - _LEFT) / len(drawn)
    most = max(max(part.mid_channels, part.out_channels) for part in drawn)
    shapes = [
        line((_LEFT - 14, _MIDDLE), (_RIGHT + 14, _MIDDLE), kind="flow"),
        path(
            [(_RIGHT + 10, _MIDDLE - 4), (_RIGHT + 18, _MIDDLE), (_RIGHT + 10, _MIDDLE + 4)], kind="arrow", closed=True
        ),
        *(_bar(part, _LEFT + pitch * (index + 0.5), pitch, most=most) for index, part in enumerate(drawn)),
        *_brackets(drawn, pitch),
        _macs(drawn, pitch),
    ]
    blocks = [part for part in parts if part.kind == "block"]
    description = (
        f"{best.architecture}: input of {parts[0].in_resolution} pixels a side, {len(blocks)} blocks, "
        f"{count(best.macs)} multiply-accumulates. The table below lists every part."
    )
    kernels = sorted({part.kernel for part in blocks if part.kernel})
    chart = figure(
        "architecture", "The best architecture", description, joined(shapes), height=_HEIGHT, legend=_legend(kernels)
    )
    return joined([chart, details("Every part as a table", _table(parts))])


def _bar(part: Part, x: float, pitch: float, *, most: int) -> Markup:
    """Outer bar: channels within the block (after its expansion); inner bar: channels that leave it."""
    width = min(44.0, pitch * 0.68)
    outer, inner = (_TALLEST * sqrt(channels / most) for channels in (part.mid_channels, part.out_channels))
    kind = f"k{part.kernel}" if part.kind == "block" else "plain"
    tip = _tip(part)
    shapes = []
    if part.kind == "block":
        shapes.append(rect(x - width / 2, _MIDDLE - outer / 2, width, outer, kind=f"mid {kind}", tip=tip, radius=3))
    inner_width = width * 0.62 if shapes else width
    shapes.append(
        rect(x - inner_width / 2, _MIDDLE - inner / 2, inner_width, inner, kind=f"out {kind}", tip=tip, radius=3)
    )
    if part.residual:
        shapes.append(_skip(x, width, _MIDDLE - max(outer, inner) / 2))
    first, second = _labels(part, narrow=pitch < _NARROW)
    shapes += [
        text(x, _LABELS, first, kind="part", anchor="middle"),
        text(x, _LABELS + 15, second, kind="part muted", anchor="middle"),
    ]
    return joined(shapes)


def _skip(x: float, width: float, top: float) -> Markup:
    """An arch over a block whose input is added to its output."""
    left, right, height = x - width / 2 - 3, x + width / 2 + 3, top - 9
    return path([(left, top + 4), (left, height), (right, height), (right, top + 4)], kind="skip")


def _labels(part: Part, *, narrow: bool) -> tuple[str, str]:
    if part.kind != "block":
        return _short(part.name) if narrow else part.name, f"{part.kernel}×{part.kernel}"
    return f"{part.kernel}×{part.kernel}", f"e{part.expand}"


def _short(name: str) -> str:
    return {"feature": "feat"}.get(name, name.replace("stage", "s"))


def _brackets(parts: Sequence[Part], pitch: float) -> list[Markup]:
    """Stages with their output channels and resolution; a stage that halves the resolution says so."""
    shapes, index = [], 0
    for stage, group in groupby(parts, key=lambda part: part.stage):
        members = list(group)
        left, right = _LEFT + pitch * index + 3, _LEFT + pitch * (index + len(members)) - 3
        index += len(members)
        last = members[-1]
        middle = (left + right) / 2
        narrow = right - left < _NARROW
        side = f"{last.out_resolution}²" if narrow else f"{last.out_resolution}×{last.out_resolution}"
        halved = " ↓" if members[0].stride > 1 else ""
        shapes += [
            path(
                [(left, _BRACKETS - 6), (left, _BRACKETS), (right, _BRACKETS), (right, _BRACKETS - 6)], kind="bracket"
            ),
            text(middle, _BRACKETS + 17, _short(stage) if narrow else stage, kind="part", anchor="middle"),
            text(
                middle,
                _BRACKETS + 33,
                str(last.out_channels) if narrow else f"{last.out_channels} ch",
                kind="part muted",
                anchor="middle",
            ),
            text(middle, _BRACKETS + 48, f"{side}{halved}", kind="part muted", anchor="middle"),
        ]
    return shapes


def _macs(parts: Sequence[Part], pitch: float) -> Markup:
    most = max(part.macs for part in parts)
    shapes = [text(12, _MACS_TOP - 8, "share of the multiply-accumulates", kind="axis")]
    for index, part in enumerate(parts):
        x, height = _LEFT + pitch * (index + 0.5), (_MACS_BOTTOM - _MACS_TOP - 12) * part.macs / most
        width = min(44.0, pitch * 0.68)
        shapes.append(rect(x - width / 2, _MACS_BOTTOM - height, width, height, kind="macs", tip=_tip(part), radius=2))
        shapes.append(text(x, _MACS_BOTTOM + 14, f"{part.mac_share * 100:.0f} %", kind="part muted", anchor="middle"))
    return joined([*shapes, line((_LEFT, _MACS_BOTTOM), (_RIGHT, _MACS_BOTTOM), kind="base")])


def _tip(part: Part) -> str:
    channels = f"{part.in_channels} → {part.out_channels} channels"
    if part.kind == "block":
        channels = f"{part.in_channels} → {part.mid_channels} → {part.out_channels} channels"
    sides = f"{part.in_resolution}×{part.in_resolution} → {part.out_resolution}×{part.out_resolution}"
    cost = f"{count(part.macs)} MACs, {count(part.parameters)} parameters"
    return "\n".join([part.name, channels, f"{sides}, stride {part.stride}", cost])


def _legend(kernels: Sequence[int]) -> Markup:
    entries = [(key_box(f"out k{kernel}"), f"kernel {kernel}×{kernel}") for kernel in kernels]
    if kernels:
        entries.append(
            (
                key_box(f"mid k{kernels[0]}"),
                "inside the block, expanded e times (heights: square root of the channels)",
            )
        )
    entries.append((path([(3, 12), (3, 3), (19, 3), (19, 12)], kind="skip"), "input added to the output"))
    return legend(entries)


def _table(parts: Sequence[Part]) -> Markup:
    rows = [
        (
            part.name,
            (str(part.in_channels), part.in_channels),
            (str(part.mid_channels), part.mid_channels),
            (str(part.out_channels), part.out_channels),
            (f"{part.kernel}×{part.kernel}" if part.kernel else "–", part.kernel),
            (str(part.stride), part.stride),
            (f"{part.in_resolution}→{part.out_resolution}", part.in_resolution),
            "yes" if part.residual else "no",
            (count(part.macs), part.macs),
            (percent(part.mac_share), part.mac_share),
            (count(part.parameters), part.parameters),
        )
        for part in parts
    ]
    head = ("Part", "In", "Middle", "Out", "Kernel", "Stride", "Pixels", "Residual", "MACs", "of all", "Parameters")
    return table(head, rows, caption="Parts of the best architecture, in order")
