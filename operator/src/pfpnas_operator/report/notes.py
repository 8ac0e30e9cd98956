"""What the figures do not say by themselves, and a reader has to know before trusting them."""

from collections import Counter
from collections.abc import Iterator

from pfpnas_operator.report.schema import Baseline, Best, Report
from pfpnas_operator.report.units import milliseconds, percent_error


def build_notes(report: Report) -> tuple[str, ...]:
    """Notes in the order of their weight; each is a sentence or two."""
    notes = [*_outcome(report)]
    if report.best is not None:
        notes += [*_selection(report, report.best), *_head(report)]
    return (*notes, *_comparison(report), *_beside(report), *_measuring(report), *_predictor(report), *_private(report))


def _outcome(report: Report) -> Iterator[str]:
    if report.state == "Running":
        yield "The search is still running: every figure is of the trials finished so far."
    if report.best is not None and not report.best.feasible:
        yield (
            "No trial meets every limit. What is shown as closest has the smallest violation; it is not a result "
            "to deploy under these limits."
        )
    if report.counts.finished and report.counts.failed == report.counts.finished:
        yield "Every trial failed: there is nothing to choose from. The reasons are counted below."


def _selection(report: Report, best: Best) -> Iterator[str]:
    rated = sum(point.accuracy is not None for point in report.points)
    if best.accuracy is None or rated < 2:
        return
    text = (
        f"The best was chosen among {rated} candidates by its accuracy on the validation split "
        f"({best.samples or 'unknown'} images), so its {percent_error(best.accuracy, best.standard_error)} there "
        "is flattered by the choice."
    )
    if best.test_accuracy is not None:
        tested = percent_error(best.test_accuracy, best.test_standard_error)
        text += f" On the test split ({best.test_samples} images), scored once, it reaches {tested}."
    yield text
    if best.rivals:
        others = "1 other feasible candidate is" if best.rivals == 1 else f"{best.rivals} other feasible candidates are"
        yield (
            f"{others} within one standard error of the best's validation accuracy: "
            "the choice between them is as much chance as merit."
        )


def _head(report: Report) -> Iterator[str]:
    if report.setup.head == "Fitted":
        yield (
            "Accuracies are of a classifier that the agent fitted on the candidate's features. best/model.onnx itself "
            "has the public classes; the model to deploy is made on the owner's side (pfpnas-agent export)."
        )


def _comparison(report: Report) -> Iterator[str]:
    rows = [row for row in report.baselines if row.difference is not None]
    if any(row.difference is not None for row in rows):
        yield (
            "Errors of differences treat the test results as independent. All nets saw the same images, so the real "
            "error is probably smaller."
        )
    for row in rows:
        if row.name in ("untrained", "rawPixels") and not _clear(row):
            yield (
                f"The best is not ahead of “{row.label}” by two standard errors of the difference: "
                "this search has not shown that the trained supernet is worth its cost."
            )


def _clear(row: Baseline) -> bool:
    return row.difference_in_errors is not None and row.difference_in_errors >= 2


def _measuring(report: Report) -> Iterator[str]:
    if report.counts.accuracy_skipped:
        yield (
            f"The accuracy of {report.counts.accuracy_skipped} trials was skipped since they were over the latency "
            "limit by far; their score counts it as 0."
        )
    threshold = report.threshold
    if threshold is not None and threshold.relative is not None and threshold.milliseconds is not None:
        yield (
            f"The latency limit is {threshold.relative:g} times the reference model, measured beside each candidate. "
            f"The line at {milliseconds(threshold.milliseconds)} uses the median reference of the front's trials, so "
            "a point close to it may lie on the other side by its own reference. The front and its hypervolume are "
            "judged by the multiples."
        )


def _predictor(report: Report) -> Iterator[str]:
    error, constant = report.supernet.predictor_error, report.supernet.constant_error
    if error is not None and constant is not None and error >= constant:
        yield "The public accuracy predictor is no better than always saying the mean: don't rely on its predictions."


def _private(report: Report) -> Iterator[str]:
    """What weakens the private predictors' figures."""
    predictors = report.predictors
    if predictors is None:
        return
    for name, one in (("latency", predictors.latency), ("accuracy", predictors.accuracy)):
        fit = one.cross_validation
        if fit is not None and fit.error >= min(fit.macs_error, fit.constant_error):
            other = "the MACs" if fit.macs_error <= fit.constant_error else "always saying the same"
            yield f"The private predictor of the {name} is no better than {other}: it has not paid for itself here."
    if predictors.latency.trials and report.threshold is not None and report.threshold.relative is not None:
        yield (
            "Latencies were predicted as multiples of the reference model, as the limit is; they are shown in the "
            "milliseconds that it took beside each trial, so what the device drifts is no error of theirs."
        )
    if predictors.latency.trials or predictors.accuracy.trials:
        yield (
            "Trials were chosen since they were predicted to be good, so what was predicted of them errs more, and "
            "more to the bright side, than cross-validation says."
        )


def _beside(report: Report) -> Iterator[str]:
    """How little one other search says."""
    other = report.other_search
    if other is None or other.other is None:
        return
    if other.caught_up_at is None:
        yield (
            f"{other.algorithm} found better with as many measurements: this search has not shown that its tuner is "
            "worth anything here."
        )
    yield (
        f"The comparison with {other.algorithm} is of one search each, by scores of single measurements: another seed "
        "may turn it."
    )
    yield from _brought(report, compared_at=other.compared_at)


def _brought(report: Report, *, compared_at: int) -> Iterator[str]:
    """Trials that the tuner compared has not proposed, though what they found is counted as this search's."""
    origins = Counter(point.origin for point in report.points if point.measurements <= compared_at)
    kinds = [("WarmStart", "from other experiments"), ("User", "made by hand")]
    said = [f"{origins[origin]} {words}" for origin, words in kinds if origins[origin]]
    if said:
        yield (
            f"This search's side of the comparison has trials that its tuner did not propose: {' and '.join(said)}. "
            "What they found is no merit of the tuner."
        )
