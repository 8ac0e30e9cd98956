"""The result in a few lines of plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from pfpnas_operator.report.schema import Baseline, Best, Report, read_report
from pfpnas_operator.report.units import count, milliseconds, percent, percent_error, seconds, size


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The result of a report as `build_report` made it, one fact a line."""
    read = read_report(report)
    lines = [_headline(read)]
    if read.best is not None:
        lines += _best(read, read.best)
    lines += [_baseline(row) for row in read.baselines if row.name != "best"]
    if read.failures:
        reasons = ", ".join(f"{failure.reason} {failure.count}" for failure in read.failures)
        lines.append(f"failed trials: {reasons}")
    return lines


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
