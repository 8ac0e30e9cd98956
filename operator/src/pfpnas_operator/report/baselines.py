"""The honest comparison: the best against its baselines, all on the private test split."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

from pfpnas_api.kinds import Evaluation, NASExperiment
from pfpnas_operator.report.schema import Baseline, BaselineName

_LABELS: dict[Literal["best", "largest", "smallest", "untrained", "rawPixels"], str] = {
    "best": "Best found",
    "largest": "Largest subnet",
    "smallest": "Smallest subnet",
    "untrained": "Best, untrained weights",
    "rawPixels": "Ridge on raw pixels",
}


def build_baselines(
    evaluations: Sequence[Evaluation], *, feasible: bool, other: NASExperiment | None = None
) -> tuple[Baseline, ...]:
    """A row for every evaluation, the best first; while no trial is `feasible`, it is the closest that is compared.

    The other finalists are no baselines: they have a table of their own. The best of the `other` search is one.
    The error of a difference is that of two independent shares. All nets see the same images, which makes the real
    error smaller; how much can't be known from counts alone.
    """
    scored = {evaluation.name: evaluation for evaluation in evaluations}
    best = scored.get("best")
    rows = [_row(name, label, scored[name], best) for name, label in _LABELS.items() if name in scored]
    if rows and other is not None:
        label = f"Found by {other.spec.tuner.algorithm}"
        rows += [_row("otherSearch", label, one, best) for one in other.status.evaluations if one.name == "best"]
    if feasible:
        return tuple(rows)
    return tuple(row.model_copy(update={"label": row.label.replace("Best", "Closest")}) for row in rows)


def _row(name: BaselineName, label: str, evaluation: Evaluation, best: Evaluation | None) -> Baseline:
    accuracy = evaluation.accuracy
    row = Baseline(
        name=name,
        label=label,
        accuracy=accuracy.value if accuracy else None,
        standard_error=accuracy.standard_error if accuracy else None,
        samples=accuracy.samples if accuracy else None,
        latency=evaluation.latency_ms,
        missing=None if accuracy else evaluation.reason or "not measured yet",
    )
    if accuracy is None or best is None or best.accuracy is None or name == "best":
        return row
    difference = best.accuracy.value - accuracy.value
    error = sqrt(best.accuracy.standard_error**2 + accuracy.standard_error**2)
    found = {"difference": difference, "difference_error": error, "difference_in_errors": difference / error}
    return row.model_copy(update=found)
