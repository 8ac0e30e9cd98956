"""Score over measurements, with the best so far, the hypervolume of the front below it, and another search's."""

from collections.abc import Sequence

from pfpnas_operator.report.frame import (
    Area,
    cross,
    grid_x,
    grid_y,
    key_cross,
    key_dot,
    key_line,
    key_triangle,
    legend,
    point_kind,
    radius,
    tip,
    triangle,
)
from pfpnas_operator.report.markup import Markup, circle, details, element, figure, joined, path, table, text
from pfpnas_operator.report.scales import Scale, scale_for
from pfpnas_operator.report.schema import OtherSearch, Point, Report
from pfpnas_operator.report.summary import compared
from pfpnas_operator.report.units import milliseconds

_AREA = Area(left=64, top=44, right=936, bottom=304)
_BELOW = Area(left=64, top=344, right=936, bottom=424)
_HEIGHT = 476


def draw_history(report: Report) -> Markup | None:
    """The figure with its table, or None while no trial has a score."""
    scored = [point for point in report.points if point.score is not None]
    if not scored:
        return None
    other = report.other_search
    y, low = _score_scale(scored, _scores(other))
    best = report.points[-1].best_score_so_far
    said = f"; the best is {best:.4f}." if best else "."
    drawn = figure(
        "history",
        "Score over measurements",
        f"Scores of {len(scored)} trials in the order of finishing{said}",
        _drawing(report, y, low=low),
        height=_HEIGHT,
        legend=_legend(report.points, low=low, other=other),
    )
    verdict = [element("p", {"class": "verdict"}, f"{line}.") for line in compared(report)] if other else []
    return joined([*verdict, drawn, details("When the best changed, as a table", _table(report))])


def _drawing(report: Report, y: Scale, *, low: float) -> Markup:
    points, other = report.points, report.other_search
    spent = max(points[-1].measurements, other.measurements if other else 0)
    # From before the first measurement, where trials failed without one.
    x = Scale(min(1, points[0].measurements) - 0.5, max(2, spent) + 0.5, _AREA.left, _AREA.right)
    return joined(
        [
            grid_y(_AREA, y, lambda value: f"{value:.3g}", title="score", wanted=5),
            _steps(_scores(other), x, y, low=low, kind="other-line"),
            _steps([(p.measurements, p.best_score_so_far) for p in points], x, y, low=low, kind="so-far"),
            *_marks(points, x, y, low=low),
            _hypervolume(points, other, x),
        ]
    )


def _marks(points: Sequence[Point], x: Scale, y: Scale, *, low: float) -> list[Markup]:
    """The trials; those below the axis, or without a score since they failed, at its lower edge."""
    shown, below, failed = _placed(points, low=low)
    edge = _AREA.bottom - 6
    return [
        *(
            circle(x(p.measurements), y(p.score or 0.0), radius(len(points)), kind=point_kind(p), tip=tip(p))
            for p in shown
        ),
        *(triangle(x(p.measurements), edge, tip(p)) for p in below),
        *(cross(x(p.measurements), edge, tip(p)) for p in failed),
    ]


def _placed(points: Sequence[Point], *, low: float) -> tuple[list[Point], list[Point], list[Point]]:
    """Trials by where they are drawn: at their score, below the axis, failed."""
    scored = [point for point in points if point.score is not None]
    return (
        [point for point in scored if (point.score or 0.0) >= low],
        [point for point in scored if (point.score or 0.0) < low],
        [point for point in points if point.outcome == "Failed"],
    )


Steps = Sequence[tuple[int, float | None]]
"""Measurements spent, and a figure once they were."""


def _scores(other: OtherSearch | None) -> Steps:
    return [(step.measurements, step.score) for step in other.progress] if other else []


def _score_scale(scored: list[Point], others: Steps) -> tuple[Scale, float]:
    """The axis, and the value below which marks are put on its lower edge: one slow candidate has a score so low that
    the differences that matter would vanish."""
    scores = [point.score for point in scored if point.score is not None]
    good = [point.score for point in scored if point.score is not None and point.outcome == "Feasible"]
    shown = scores
    if len(good) >= 3:
        least = min(good) - max(max(good) - min(good), 0.01)
        shown = [score for score in scores if score >= least]
        shown += [score for _, score in others if score is not None and score >= least]
    # Room below, so that marks on the edge don't cover the lowest of the others.
    scale = scale_for(shown, (_AREA.bottom - 14, _AREA.top))
    return Scale(scale.low, scale.high, _AREA.bottom - 14, _AREA.top), min(shown)


def _steps(steps: Steps, x: Scale, y: Scale, *, low: float, kind: str) -> Markup:
    stairs = _stairs([(at, max(low, value)) for at, value in steps if value is not None], x, y)
    return path(stairs, kind=kind) if len(stairs) > 1 else Markup("")


def _stairs(steps: Sequence[tuple[int, float]], x: Scale, y: Scale) -> list[tuple[float, float]]:
    stairs: list[tuple[float, float]] = []
    for at, value in steps:
        if stairs:
            stairs.append((x(at), stairs[-1][1]))
        stairs.append((x(at), y(value)))
    return stairs


def _hypervolume(points: Sequence[Point], other: OtherSearch | None, x: Scale) -> Markup:
    known = [(point.measurements, point.hypervolume) for point in points if point.hypervolume is not None]
    theirs = [(s.measurements, s.hypervolume) for s in (other.progress if other else ()) if s.hypervolume is not None]
    axis = grid_x(_BELOW, x, lambda value: f"{value:g}", title="measurements", lines=False)
    if not known:
        return axis
    # Not from 0: the gain of a good search over a fair one is small beside what both have.
    y = scale_for([value for _, value in (*known, *theirs)], (_BELOW.bottom, _BELOW.top), floor=0.0)
    stairs, line = _stairs(known, x, y), _stairs(theirs, x, y)
    grid = grid_y(_BELOW, y, lambda value: f"{value:.3g}", title="hypervolume of the front", wanted=3)
    last = text(stairs[-1][0], stairs[-1][1] - 6, f"{known[-1][1]:.3f}", kind="tick", anchor="end")
    edge = path(line, kind="other-line") if len(line) > 1 else ""
    return joined([grid, edge, path(stairs, kind="volume-edge"), axis, last])


def _legend(points: Sequence[Point], *, low: float, other: OtherSearch | None) -> Markup:
    shown, below, failed = _placed(points, low=low)
    outcomes = {point.outcome for point in shown}
    entries = [(key_line("so-far"), "best so far")]
    entries += [(key_line("other-line"), f"the same of {other.algorithm}")] if other else []
    entries += [(key_dot("dot feasible"), "meets every limit")] if "Feasible" in outcomes else []
    entries += [(key_dot("dot infeasible"), "breaks a limit")] if "Infeasible" in outcomes else []
    entries += [(key_triangle(), "score below the axis")] if below else []
    entries += [(key_cross(), "failed")] if failed else []
    return legend(entries)


def _table(report: Report) -> Markup:
    rows, last = [], None
    for point in report.points:
        if point.best_so_far is None or point.best_so_far == last:
            continue
        last = point.best_so_far
        rows.append(
            (
                (str(point.measurements), point.measurements),
                point.trial,
                (f"{point.score:.4f}" if point.score is not None else "–", point.score),
                (milliseconds(point.latency_p50), point.latency_p50),
                "yes" if point.outcome == "Feasible" else "no",
                (f"{point.hypervolume:.4f}" if point.hypervolume is not None else "–", point.hypervolume),
            )
        )
    head = ("Measurements", "New best", "Score", "Latency p50", "Meets limits", "Hypervolume")
    return table(head, rows, caption="Trials that were the best when they finished")
