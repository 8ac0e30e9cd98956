"""The result in a few lines of plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from pfpnas_operator.report.schema import Baseline, Best, Predictors, Reached, Report, read_report
from pfpnas_operator.report.units import count, milliseconds, pairs, percent, percent_error, seconds, size


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The result of a report as `build_report` made it, one fact a line."""
    read = read_report(report)
    lines = [_headline(read)]
    if read.best is not None:
        lines += _best(read, read.best)
    lines += [_baseline(row) for row in read.baselines if row.name != "best"]
    if read.predictors is not None:
        lines += _predictors(read.predictors)
    if read.failures:
        reasons = ", ".join(f"{failure.reason} {failure.count}" for failure in read.failures)
        lines.append(f"failed trials: {reasons}")
    return lines


def comparison_lines(report: Mapping[str, Any]) -> list[str]:
    """How the search stands against the other one that it is compared with, one fact a line."""
    return compared(read_report(report)) or ["there is nothing to compare with"]


def compared(report: Report) -> list[str]:
    """The same of a report's model; nothing where one of the two has measured nothing."""
    other, name = report.other_search, report.setup.experiment
    if other is None or other.other is None or other.own is None:
        return []
    lines = [
        f"After {other.compared_at} measurements each: {_reached(other.own)} by {name} ({report.setup.algorithm}), "
        f"{_reached(other.other)} by {other.algorithm}"
    ]
    if other.caught_up_at is None:
        lines.append(f"{name} has found nothing as good as what {other.algorithm} found")
    else:
        lines.append(f"{name} was as good as {other.algorithm}'s best after {other.caught_up_at} measurements")
    return [*lines, *(_baseline(row) for row in report.baselines if row.name == "otherSearch")]


def _reached(reached: Reached) -> str:
    score = f"score {reached.score:.4f}" if reached.score is not None else "no score"
    return f"{score}{'' if reached.feasible else ' (breaks a limit)'}"


def _predictors(predictors: Predictors) -> list[str]:
    parts = []
    if predictors.latency.error is not None:
        floor = predictors.latency.noise_floor
        noise = f" (noise floor {percent(floor)} from {pairs(predictors.repeats)})" if floor is not None else ""
        parts.append(f"latency off by {percent(predictors.latency.error)}{noise}")
    if predictors.accuracy.error is not None:
        parts.append(f"accuracy by {percent(predictors.accuracy.error, digits=2)}")
    trials = max(predictors.latency.trials, predictors.accuracy.trials)
    return [f"predictions of {trials} trials before their measurement: {', '.join(parts)}"] if parts else []


def _headline(report: Report) -> str:
    counts, durations = report.counts, report.durations
    parts = [f"{counts.finished} of {report.setup.max_trials} trials finished", f"{counts.feasible} feasible"]
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if durations.search_seconds is not None:
        parts.append(f"searched for {seconds(durations.search_seconds)}")
    return f"{report.setup.experiment}: {', '.join(parts)}"


def _best(report: Report, best: Best) -> list[str]:
    label = "best" if best.feasible else "closest (no trial meets every limit)"
    latency = milliseconds(best.latency_p50)
    if report.threshold is not None and report.threshold.milliseconds is not None:
        latency += f" of {milliseconds(report.threshold.milliseconds)} allowed"
    if best.latency_relative is not None:
        latency += f", {best.latency_relative:.2f} × the smallest subnet"
    accuracy = percent_error(best.accuracy, best.standard_error) if best.accuracy is not None else "skipped"
    return [
        f"{label}: {best.trial}  {best.architecture}",
        f"accuracy: {accuracy} on validation"
        + (f", {percent_error(best.test_accuracy, best.test_standard_error)} on test" if best.test_accuracy else ""),
        f"latency: {latency}",
        f"size: {count(best.flops)}FLOPs, {count(best.parameters)} parameters, {size(best.model_bytes)}",
    ]


def _baseline(row: Baseline) -> str:
    if row.accuracy is None:
        return f"{row.label}: no figure ({row.missing})"
    text = f"{row.label}: {percent_error(row.accuracy, row.standard_error)} on test"
    if row.difference is None or row.difference_in_errors is None:
        return text
    way = "ahead by" if row.difference >= 0 else "behind by"
    return f"{text}; the best is {way} {percent(abs(row.difference))} ({abs(row.difference_in_errors):.1f} SE)"
