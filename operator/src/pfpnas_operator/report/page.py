"""The page: one file that stands alone, readable as tables and drawings where scripts don't run."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from pfpnas_operator.report.comparison import draw_comparison
from pfpnas_operator.report.drawing import draw_architecture
from pfpnas_operator.report.history import draw_history
from pfpnas_operator.report.markup import Markup, element, joined
from pfpnas_operator.report.prediction import draw_prediction
from pfpnas_operator.report.scatter import draw_scatter
from pfpnas_operator.report.schema import Best, Report, read_report
from pfpnas_operator.report.tables import (
    failures_table,
    finalists_table,
    limits_table,
    setup_table,
    trials_table,
)
from pfpnas_operator.report.units import count, milliseconds, percent_error, size

# Nothing may be loaded from anywhere, whatever a name in the documents contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_STATES = {
    "Running": "running",
    "Succeeded": "succeeded",
    "NoFeasible": "no feasible architecture",
    "Failed": "failed",
}

_ENDS = {
    "BudgetSpent": "its budget of trials was spent",
    "Converged": "it had converged",
    "DurationSpent": "its time was spent",
    "GoalReached": "its goal was reached",
    "NoFeasibleArchitecture": "nothing that may be tried was left",
    "SpaceExhausted": "nothing that may be tried was left",
}


def render_html(report: Mapping[str, Any]) -> str:
    """The page of a report as `build_report` made it.

    Raises:
        pydantic.ValidationError: the values are no report of this version.
    """
    read = read_report(report)
    title = f"{read.setup.experiment} · PFP-NAS"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", {}, title),
        element("style", {}, _resource("report.css")),
    )
    body = element("body", {}, element("main", {}, *_sections(read)), element("script", {}, _resource("report.js")))
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n"


def _resource(name: str) -> Markup:
    return Markup(resources.files("pfpnas_operator.report").joinpath(name).read_text(encoding="utf-8"))


def _sections(report: Report) -> list[Markup]:
    drawn = [
        ("Accuracy against latency", draw_scatter(report), "No trial has both an accuracy and a latency yet."),
        (
            "Is it better than doing nothing?",
            draw_comparison(report),
            "The baselines are scored when the search has ended.",
        ),
        ("Score over measurements", draw_history(report), "No trial has a score yet."),
        (_best_title(report), draw_architecture(report), "There is no best yet."),
    ]
    sections = [
        _section(title, content or element("p", {"class": "empty"}, missing)) for title, content, missing in drawn
    ]
    predicted = draw_prediction(report)
    return [
        _header(report),
        _cards(report),
        *sections[:2],
        _notes(report),
        *([_section("The finalists, measured again", finalists_table(report))] if report.finalists else []),
        sections[2],
        *([_section("What the predictors were worth", predicted)] if predicted else []),
        *sections[3:],
        _section("What was asked, and of whom", setup_table(report), limits_table(report)),
        *([_section("Failed trials", failures_table(report))] if report.failures else []),
        *([_section("All trials", trials_table(report))] if report.points else []),
        _footer(report),
    ]


def _section(title: str, *content: Markup) -> Markup:
    return element("section", {}, element("h2", {}, title), *content)


def _best_title(report: Report) -> str:
    feasible = report.best is None or report.best.feasible
    return "The best architecture" if feasible else "The closest architecture"


def _header(report: Report) -> Markup:
    setup, counts = report.setup, report.counts
    line = (
        f"{counts.finished} of {setup.max_trials} trials, {setup.algorithm}, on pool {setup.pool} "
        f"with the private data set {setup.dataset}; candidates are subnets of {report.supernet.name}, "
        f"a {report.supernet.backbone} trained on {report.supernet.dataset}.{_ended(report)}"
    )
    state = element("span", {"class": f"state {report.state.lower()}"}, _STATES[report.state])
    parts = [element("h1", {}, setup.experiment, " ", state), element("p", {"class": "lead"}, line)]
    if report.message and report.state in ("Failed", "NoFeasible"):
        parts.append(element("p", {"class": "message"}, report.message))
    return element("header", {}, *parts)


def _ended(report: Report) -> str:
    if report.ended is None:
        return ""
    said = f": {report.ended.message}" if report.ended.message else ""
    return f" The search ended since {_ENDS.get(report.ended.reason, report.ended.reason)}{said}."


def _cards(report: Report) -> Markup:
    best = report.best
    if best is None:
        return element("p", {"class": "empty"}, "No trial has been measured: there is no result to show.")
    cards = [_accuracy_card(best), _latency_card(report, best), *_size_cards(best)]
    label = "Best trial" if best.feasible else "Closest trial (no trial meets every limit)"
    score = f", score {best.score:.4f}" if best.score is not None else ""
    chosen = element(
        "p", {"class": "chosen"}, f"{label}: {best.trial}{score} · ", element("code", {}, best.architecture)
    )
    return joined([element("div", {"class": "cards"}, *cards), chosen])


def _card(label: str, figure: str, *remarks: str) -> Markup:
    lines = [element("span", {"class": "remark"}, remark) for remark in remarks if remark]
    return element(
        "div", {"class": "card"}, element("span", {"class": "label"}, label), element("strong", {}, figure), *lines
    )


def _accuracy_card(best: Best) -> Markup:
    validation = percent_error(best.accuracy, best.standard_error) if best.accuracy is not None else "skipped"
    if best.test_accuracy is None:
        return _card("Validation accuracy", validation, f"{best.samples} private images" if best.samples else "")
    tested = percent_error(best.test_accuracy, best.test_standard_error)
    return _card("Test accuracy", tested, f"{best.test_samples} private images", f"validation: {validation}")


def _latency_card(report: Report, best: Best) -> Markup:
    spread = f"p90 {milliseconds(best.latency_p90)}" if best.latency_p90 is not None else ""
    relative = f"{best.latency_relative:.2f} × the smallest subnet" if best.latency_relative is not None else ""
    threshold = report.threshold
    if threshold is not None and threshold.relative is not None:
        relative += f", allowed {threshold.relative:g} ×"
    elif threshold is not None:
        spread += f", allowed {milliseconds(threshold.milliseconds)}"
    return _card("Latency p50", milliseconds(best.latency_p50), spread, relative)


def _size_cards(best: Best) -> list[Markup]:
    memory = f"peak memory {size(best.peak_memory_bytes)}" if best.peak_memory_bytes is not None else ""
    return [
        _card("FLOPs", count(best.flops), f"{count(best.macs)} multiply-accumulates"),
        _card("Model", size(best.model_bytes), f"{count(best.parameters)} parameters", memory),
    ]


def _notes(report: Report) -> Markup:
    if not report.notes:
        return Markup("")
    items = [element("li", {}, note) for note in report.notes]
    return element("aside", {"class": "notes"}, element("h2", {}, "Read with care"), element("ul", {}, *items))


def _footer(report: Report) -> Markup:
    moment = report.finished_at or report.started_at
    when = f"{moment:%Y-%m-%d %H:%M} UTC · " if moment else ""
    digest = f"best model {report.best.sha256[:16]}… · " if report.best and report.best.sha256 else ""
    return element("footer", {}, f"{when}{digest}drawn from report.json, which has every figure of this page")
