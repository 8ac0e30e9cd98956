"""The report's tables: what was asked and of whom, the limits, the finalists, what failed, and every trial."""

from pfpnas_operator.report.markup import Markup, details, element, table
from pfpnas_operator.report.schema import Finalist, Point, Report
from pfpnas_operator.report.units import count, milliseconds, percent, percent_error, seconds, significant


def setup_table(report: Report) -> Markup:
    """What was asked for, and how long it took."""
    setup, net, durations = report.setup, report.supernet, report.durations
    rows = [
        ("Target", f"pool {setup.pool}, data set {setup.dataset}, head {setup.head}, backend {setup.backend}"),
        ("Objective", f"{setup.scoring}, penalty coefficient {setup.penalty_coefficient}"),
        ("Tuner", f"{setup.algorithm}, seed {setup.seed}, {setup.parallel_trials} trials at once"),
        ("Prediction", _prediction(report)),
        *_wishes(report),
        ("Supernet", f"{net.backbone} at width {net.width_multiplier}, {net.epochs} epochs on {net.dataset}"),
        ("Search space", f"{_grouped(net.architectures)} architectures"),
    ]
    if net.largest_accuracy is not None:
        public = f"largest subnet {percent(net.largest_accuracy)}, smallest {percent(net.smallest_accuracy)}"
        rows.append(("Public accuracy", public))
    if net.predictor_error is not None:
        rows.append(("Accuracy predictor", _predictor(report)))
    rows += _answers(report)
    times = [
        ("Training and predictor", durations.training_seconds),
        ("Search", durations.search_seconds),
        ("Search and final evaluation", durations.total_seconds),
    ]
    rows += [(label, seconds(value)) for label, value in times if value is not None]
    if durations.build_milliseconds is not None:
        rows.append(("Median build of a candidate", f"{significant(durations.build_milliseconds)} ms"))
    if durations.measure_seconds is not None:
        rows.append(("Median from built to scored", seconds(durations.measure_seconds)))
    return table(("Setting", "Value"), rows, caption="Set-up and durations")


def _prediction(report: Report) -> str:
    draws = report.setup.pseudo_trials
    if not draws:
        return "none: every draw of the tuner is measured (pseudoTrials 0)"
    return f"{draws} pseudo trials at every refit; the best of them by the predictors are measured"


def _wishes(report: Report) -> list[tuple[str, str]]:
    """What may end the search early, and what it began with."""
    setup, rows = report.setup, []
    ends = [f"a score of {setup.goal}"] if setup.goal else []
    ends += [f"{setup.patience} trials in a row without a gain"] if setup.patience else []
    if ends:
        rows.append(("Ends early at", " or ".join(ends)))
    if setup.warm_start_from:
        rows.append(("Warm start", f"{report.counts.warm_started} trials from {', '.join(setup.warm_start_from)}"))
    return rows


def _answers(report: Report) -> list[tuple[str, str]]:
    counts, rows = report.counts, []
    if counts.measurements != counts.finished:
        trials = counts.measurements - counts.measured_twice
        twice = f", {counts.measured_twice} of them twice" if counts.measured_twice else ""
        rows.append(("Measurements", f"{counts.measurements}: {trials} trials{twice}"))
    if counts.refused_results or counts.replicates:
        text = f"{counts.refused_results} that can't be true or were not asked for, {counts.replicates} that came twice"
        rows.append(("Answers thrown away", text))
    return rows


def _grouped(number: str) -> str:
    return f"{int(number):,}" if len(number) <= 15 else f"{number[0]}.{number[1:3]} × 10^{len(number) - 1}"


def _predictor(report: Report) -> str:
    net = report.supernet
    tau = f"Kendall τ {net.predictor_kendall_tau:.2f}, " if net.predictor_kendall_tau is not None else ""
    error = f"mean error {percent(net.predictor_error, digits=2)}"
    constant = f" (always saying the mean: {percent(net.constant_error, digits=2)})" if net.constant_error else ""
    return f"{tau}{error}{constant}, {net.predictor_samples} subnets"


def limits_table(report: Report) -> Markup:
    """Every limit, and what the best has of it."""
    if not report.setup.limits:
        return element("p", {"class": "empty"}, "No limits were set: the score is the accuracy alone.")
    rows = [
        (limit.metric, limit.written, limit.best or "–", "–" if limit.met is None else "yes" if limit.met else "no")
        for limit in report.setup.limits
    ]
    return table(("Metric", "Limit", "Best has", "Met"), rows, caption="Limits")


def finalists_table(report: Report) -> Markup:
    """The finalists by their first measurement, by the medians of all, and on the test split."""
    head = (
        "Trial",
        "Meets limits",
        "Times",
        "Score, first",
        "median",
        "p50, first",
        "median",
        "Accuracy, first",
        "median",
        "Test accuracy",
    )
    caption = "Finalists: measured again by fresh processes on the validation split, then scored once on the test split"
    return table(head, [_finalist(row) for row in report.finalists], caption=caption)


def _finalist(row: Finalist) -> list[str | tuple[str, object]]:
    times = f"{row.measurements} ({row.reason})" if row.reason else str(row.measurements)
    return [
        f"{row.trial} · best" if row.best else row.trial,
        "–" if row.feasible is None else "yes" if row.feasible else "no",
        (times, row.measurements),
        _score(row.first_score),
        _score(row.score),
        (milliseconds(row.first_latency), row.first_latency),
        (milliseconds(row.latency), row.latency),
        (percent(row.first_accuracy), row.first_accuracy),
        (percent(row.accuracy), row.accuracy),
        (percent_error(row.test_accuracy, row.test_standard_error), row.test_accuracy),
    ]


def _score(score: float | None) -> tuple[str, object]:
    return (f"{score:.4f}" if score is not None else "–"), score


def failures_table(report: Report) -> Markup:
    """Failed trials by reason."""
    rows = [(failure.reason, (str(failure.count), failure.count)) for failure in report.failures]
    return table(("Reason", "Trials"), rows, caption="Failed trials by reason")


def _remark(point: Point) -> str:
    whose = {"WarmStart": "from another experiment", "User": "by hand"}.get(point.origin, "")
    what = point.reason or ("accuracy skipped" if point.accuracy_skipped else "")
    return "; ".join(part for part in (what, whose) if part)


_TRIALS = (
    "Trial",
    "Outcome",
    "Score",
    "Accuracy",
    "p50",
    "p90",
    "of reference",
    "FLOPs",
    "Parameters",
    "Remark",
    "Architecture",
)
"""Columns of the table of all trials."""


def trials_table(report: Report) -> Markup:
    """Every finished trial."""
    caption = "Finished trials in the order of finishing, on the validation split"
    found = table(_TRIALS, [_trial(point) for point in report.points], caption=caption)
    return details(f"{len(report.points)} finished trials as a table", found)


def _trial(point: Point) -> list[str | tuple[str, object]]:
    return [
        (point.trial, point.order),
        point.outcome.lower(),
        _score(point.score),
        (percent_error(point.accuracy, point.standard_error), point.accuracy),
        (milliseconds(point.latency_p50), point.latency_p50),
        (milliseconds(point.latency_p90), point.latency_p90),
        (f"{point.latency_relative:.2f} ×" if point.latency_relative else "–", point.latency_relative),
        (count(point.flops), point.flops),
        (count(point.parameters), point.parameters),
        _remark(point),
        point.architecture,
    ]
