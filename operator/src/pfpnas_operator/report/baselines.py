"""The honest comparison: the best against its baselines, all on the private test split."""

from collections.abc import Sequence
from math import sqrt

from pfpnas_api.kinds import Evaluation
from pfpnas_operator.report.schema import Baseline

_LABELS = {
    "best": "Best found",
    "largest": "Largest subnet",
    "smallest": "Smallest subnet",
    "untrained": "Best, untrained weights",
    "rawPixels": "Ridge on raw pixels",
}


def build_baselines(evaluations: Sequence[Evaluation], *, feasible: bool) -> tuple[Baseline, ...]:
    """A row for every evaluation, the best first; while no trial is `feasible`, it is the closest that is compared.

    The error of a difference is that of two independent shares. All nets see the same images, which makes the real
    error smaller; how much can't be known from counts alone.
    """
    best = next((e for e in evaluations if e.name == "best"), None)
    ordered = sorted(evaluations, key=lambda e: list(_LABELS).index(e.name))
    rows = [_row(evaluation, best) for evaluation in ordered]
    if feasible:
        return tuple(rows)
    return tuple(row.model_copy(update={"label": row.label.replace("Best", "Closest")}) for row in rows)


def _row(evaluation: Evaluation, best: Evaluation | None) -> Baseline:
    accuracy = evaluation.accuracy
    row = Baseline(
        name=evaluation.name,
        label=_LABELS[evaluation.name],
        accuracy=accuracy.value if accuracy else None,
        standard_error=accuracy.standard_error if accuracy else None,
        samples=accuracy.samples if accuracy else None,
        latency=evaluation.latency_ms,
        missing=None if accuracy else evaluation.reason or "not measured yet",
    )
    if accuracy is None or best is None or best.accuracy is None or evaluation.name == "best":
        return row
    difference = best.accuracy.value - accuracy.value
    error = sqrt(best.accuracy.standard_error**2 + accuracy.standard_error**2)
    found = {"difference": difference, "difference_error": error, "difference_in_errors": difference / error}
    return row.model_copy(update=found)
