"""Predicted against measured: what the private predictors said of each trial before its measurement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pfpnas_api.kinds import RegressionQuality
from pfpnas_operator.report.frame import Area, grid_x, grid_y, key_box, key_dot, key_line, legend, point_kind, radius
from pfpnas_operator.report.markup import Markup, circle, figure, joined, line, path, table, text
from pfpnas_operator.report.scales import Scale, latency_scale, scale_for
from pfpnas_operator.report.schema import Point, Predicted, Predictors, Report
from pfpnas_operator.report.units import milliseconds, pairs, percent

_LEFT = Area(left=64, top=44, right=458, bottom=330)
_RIGHT = Area(left=546, top=44, right=936, bottom=330, name_at=494)
_HEIGHT = 382
_REFITS = Area(left=64, top=44, right=936, bottom=150)
_REFITS_HEIGHT = 202

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class _Mark:
    """A trial in one of the two drawings."""

    point: Point
    predicted: float
    measured: float
    interval: Interval


def draw_prediction(report: Report) -> Markup | None:
    """Both drawings with the predictors' figures, or None where nothing was predicted."""
    predictors = report.predictors
    if predictors is None:
        return None
    return joined([part for part in (_scatters(report, predictors), _refits(predictors), _table(predictors)) if part])


def _scatters(report: Report, predictors: Predictors) -> Markup | None:
    latencies, accuracies = _latencies(report.points), _accuracies(report.points)
    if not latencies and not accuracies:
        return None
    intervals = any(mark.interval for mark in (*latencies, *accuracies))
    floors = [predictors.latency.noise_floor, predictors.accuracy.noise_floor]
    said = [
        f"{what}: {len(marks)} trials, off by {percent(predicted.error, digits=2)} on average"
        for what, marks, predicted in (
            ("latency", latencies, predictors.latency),
            ("accuracy", accuracies, predictors.accuracy),
        )
        if marks
    ]
    return figure(
        "prediction",
        "Predicted against measured",
        f"{'; '.join(said)}. The table below has the figures.",
        _latency_panel(latencies, predictors.latency) if latencies else "",
        _accuracy_panel(accuracies, predictors.accuracy, area=_RIGHT if latencies else _LEFT) if accuracies else "",
        height=_HEIGHT,
        legend=_legend(intervals=intervals, floor=any(floors)),
    )


def _latencies(points: Sequence[Point]) -> list[_Mark]:
    return [
        _Mark(p, p.forecast.latency, p.latency_p50, _interval(p.forecast.latency_low, p.forecast.latency_high))
        for p in points
        if p.forecast is not None and p.forecast.latency is not None and p.latency_p50 is not None
    ]


def _accuracies(points: Sequence[Point]) -> list[_Mark]:
    return [
        _Mark(p, p.forecast.accuracy, p.accuracy, _interval(p.forecast.accuracy_low, p.forecast.accuracy_high))
        for p in points
        if p.forecast is not None and p.forecast.accuracy is not None and p.accuracy is not None
    ]


def _interval(low: float | None, high: float | None) -> Interval:
    return None if low is None or high is None else (low, high)


def _latency_panel(marks: Sequence[_Mark], predicted: Predicted) -> Markup:
    floor, area = predicted.noise_floor, _LEFT
    x = latency_scale(_values(marks), (area.left, area.right))
    return joined(
        [
            _band(x, area, lambda value, way: value * (1 + (floor or 0.0)) ** way) if floor else "",
            grid_x(area, x, _short, title="predicted latency, ms", wanted=5),
            grid_y(area, _upward(x, area), _short, title="measured latency p50, ms"),
            *_marks(marks, x, area, milliseconds),
        ]
    )


def _accuracy_panel(marks: Sequence[_Mark], predicted: Predicted, *, area: Area) -> Markup:
    floor = predicted.noise_floor
    x = scale_for(_values(marks), (area.left, area.right), floor=0.0)
    return joined(
        [
            _band(x, area, lambda value, way: value + (floor or 0.0) * way) if floor else "",
            grid_x(area, x, _hundredths, title="predicted accuracy", wanted=5),
            grid_y(area, _upward(x, area), _hundredths, title="measured accuracy (validation)"),
            *_marks(marks, x, area, percent),
        ]
    )


def _short(value: float) -> str:
    return f"{value:g}"


def _hundredths(value: float) -> str:
    return f"{value * 100:g} %"


def _values(marks: Sequence[_Mark]) -> list[float]:
    return [value for mark in marks for value in (mark.predicted, mark.measured)]


def _upward(x: Scale, area: Area) -> Scale:
    """The same axis upward: so the diagonal is where both agree."""
    return Scale(x.low, x.high, area.bottom, area.top, logarithmic=x.logarithmic)


def _band(x: Scale, area: Area, spread: Callable[[float, int], float]) -> Markup:
    """What lies within the noise floor of the diagonal, cut off where the axes end."""
    y, low, high = _upward(x, area), x.low, x.high
    over, under = min(high, spread(low, 1)), max(low, spread(high, -1))
    corners = [(low, over), (under, high), (high, high), (high, under), (over, low), (low, low)]
    return path([(x(a), y(b)) for a, b in corners], kind="floor", closed=True)


def _marks(marks: Sequence[_Mark], x: Scale, area: Area, said: Callable[[float | None], str]) -> list[Markup]:
    y = _upward(x, area)
    size = min(4.5, radius(len(marks)))
    return [
        line((area.left, area.bottom), (area.right, area.top), kind="agreed"),
        *(_whisker(mark.interval, y(mark.measured), x) for mark in marks if mark.interval),
        *(
            circle(x(mark.predicted), y(mark.measured), size, kind=point_kind(mark.point), tip=_tip(mark, said))
            for mark in sorted(marks, key=lambda mark: (mark.point.best, mark.point.outcome == "Feasible"))
        ),
    ]


def _whisker(interval: tuple[float, float], y: float, x: Scale) -> Markup:
    low, high = max(x.low, interval[0]), min(x.high, interval[1])
    return line((x(min(low, x.high)), y), (x(max(high, x.low)), y), kind="whisker faint")


def _tip(mark: _Mark, said: Callable[[float | None], str]) -> str:
    lines = [mark.point.trial, f"predicted {said(mark.predicted)}, measured {said(mark.measured)}"]
    if mark.interval:
        lines.append(f"90 % interval {said(mark.interval[0])} to {said(mark.interval[1])}")
    if mark.point.forecast and mark.point.forecast.labels is not None:
        lines.append(f"by predictors fitted to {mark.point.forecast.labels} measurements")
    return "\n".join(lines)


def _legend(*, intervals: bool, floor: bool) -> Markup:
    entries = [(key_line("agreed"), "measured as predicted")]
    entries += [(key_line("whisker"), "90 % interval of the prediction")] if intervals else []
    entries += [(key_box("floor"), "noise floor: the mean error that a perfect predictor would show")] if floor else []
    entries.append((key_dot("dot feasible"), "a trial, as it was predicted before its measurement"))
    return legend(entries)


def _refits(predictors: Predictors) -> Markup | None:
    """Kendall's τ by the number of measurements; one fit alone is said in the table."""
    refits = predictors.refits
    if len(refits) < 2:
        return None
    x = scale_for([float(refit.labels) for refit in refits], (_REFITS.left, _REFITS.right), padding=0.03)
    least = min(0.0, *(refit.kendall_tau for refit in refits))
    y = Scale(least, 1.0, _REFITS.bottom, _REFITS.top)
    places = [(x(refit.labels), y(refit.kendall_tau)) for refit in refits]
    tips = [f"{refit.labels} measurements\nKendall τ {refit.kendall_tau:.2f}" for refit in refits]
    shapes = [
        grid_y(_REFITS, y, _short, title="Kendall τ of the joint score, in cross-validation", wanted=4),
        grid_x(_REFITS, x, _short, title="measurements that the predictors were fitted to", lines=False),
        *(line(before, after, kind="volume-edge") for before, after in pairwise(places)),
        *(circle(*place, 4, kind="dot feasible", tip=tip) for place, tip in zip(places, tips, strict=True)),
        text(places[-1][0], places[-1][1] - 9, f"{refits[-1].kendall_tau:.2f}", kind="tick", anchor="end"),
    ]
    description = (
        f"From {refits[0].kendall_tau:.2f} after {refits[0].labels} measurements to {refits[-1].kendall_tau:.2f} after "
        f"{refits[-1].labels}."
    )
    return figure("refits", "How the predictors learned", description, joined(shapes), height=_REFITS_HEIGHT)


def _table(predictors: Predictors) -> Markup:
    both = (predictors.latency, predictors.accuracy)
    rows = [(label, *(cell(one, digits) for one, digits in zip(both, (1, 2), strict=True))) for label, cell in _FIGURES]
    said = ["Mean errors, of the latency in per cent of it, of the accuracy in points"]
    said += [f"cross-validation on {predictors.labels} measurements"] if predictors.labels else []
    said += [f"Kendall τ of the joint score {predictors.kendall_tau:.2f}"] if predictors.kendall_tau is not None else []
    said += [f"noise floor from {pairs(predictors.repeats)}"] if predictors.repeats else []
    known = [row for row in rows if set(row[1:]) != {"–"}]
    return table(("What", "Latency", "Accuracy"), known, caption="; ".join(said))


def _before(one: Predicted, digits: int) -> str:
    return f"{percent(one.error, digits=digits)} over {one.trials} trials" if one.trials else "–"


def _of_fit(show: Callable[[RegressionQuality, int], str]) -> Callable[[Predicted, int], str]:
    """A figure of the last fit, or a dash as long as there was none."""
    return lambda one, digits: show(one.cross_validation, digits) if one.cross_validation else "–"


def _tau(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


_FIGURES: tuple[tuple[str, Callable[[Predicted, int], str]], ...] = (
    ("Error of what was predicted before the measurements", _before),
    ("Noise floor: error of a perfect predictor", lambda one, digits: percent(one.noise_floor, digits=digits)),
    ("Error in cross-validation", _of_fit(lambda fit, digits: percent(fit.error, digits=digits))),
    (
        "Error in cross-validation, best quarter",
        _of_fit(lambda fit, digits: percent(fit.top_quartile_error, digits=digits)),
    ),
    ("Error of a predictor that knows MACs only", _of_fit(lambda fit, digits: percent(fit.macs_error, digits=digits))),
    (
        "Error of a predictor that always says the same",
        _of_fit(lambda fit, digits: percent(fit.constant_error, digits=digits)),
    ),
    (
        "Kendall τ in cross-validation",
        _of_fit(lambda fit, _: f"{_tau(fit.kendall_tau)} ± {fit.kendall_tau_deviation:.2f}"),
    ),
    ("Kendall τ in cross-validation, best quarter", _of_fit(lambda fit, _: _tau(fit.top_quartile_kendall_tau))),
    ("Kendall τ of a predictor that knows MACs only", _of_fit(lambda fit, _: _tau(fit.macs_kendall_tau))),
    ("Inside the 90 % interval predicted before", lambda one, _: percent(one.coverage, digits=0)),
    ("Inside the 90 % interval in cross-validation", _of_fit(lambda fit, _: percent(fit.coverage, digits=0))),
    ("Encoding, chosen in cross-validation", _of_fit(lambda fit, _: fit.encoding)),
    ("Regressor, chosen in cross-validation", _of_fit(lambda fit, _: fit.regressor)),
)
"""Rows of the table."""
