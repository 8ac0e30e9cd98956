"""The honest comparison: the best against its baselines, all on the private test split."""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Literal

from pfpnas_api.kinds import Evaluation, NASExperiment, RankedTrial
from pfpnas_operator.report.schema import Baseline, BaselineName

_LABELS: dict[Literal["best", "largest", "smallest", "untrained", "rawPixels"], str] = {
    "best": "Best found",
    "largest": "Largest subnet",
    "smallest": "Smallest subnet",
    "untrained": "Best, untrained weights",
    "rawPixels": "Ridge on raw pixels",
}


def as_found(evaluations: Iterable[Evaluation], architecture: str) -> Evaluation | None:
    """The evaluation of a net that the search found: trials of one architecture are one net.

    Evaluations outlive an end that was undone: the one named `best` may be that of an earlier best.
    """
    of_it = [e for e in evaluations if e.name in ("best", "finalist") and e.architecture == architecture]
    return next((e for e in of_it if e.accuracy is not None), of_it[0] if of_it else None)


def build_baselines(
    evaluations: Sequence[Evaluation], *, best: RankedTrial | None, other: NASExperiment | None = None
) -> tuple[Baseline, ...]:
    """A row for every evaluation, the best first; while no trial is feasible, it is the closest that is compared.

    The other finalists are no baselines: they have a table of their own. The best of the `other` search is one.
    What is of an earlier best is left out: so long as the best that is has no evaluation, nothing is compared with it.
    The error of a difference is that of two independent shares. All nets see the same images, which makes the real
    error smaller; how much can't be known from counts alone.
    """
    scored = {e.name: e for e in evaluations if not _of_earlier_best(e, best)}
    found = as_found(evaluations, best.architecture) if best else None
    if found is not None:
        scored["best"] = found
    rows = [_row(name, label, scored[name], found) for name, label in _LABELS.items() if name in scored]
    theirs = _best_of(other) if other is not None else None
    if rows and other is not None and theirs is not None:
        rows.append(_row("otherSearch", f"Found by {other.spec.tuner.algorithm}", theirs, found))
    if best is None or best.feasible:
        return tuple(rows)
    return tuple(row.model_copy(update={"label": row.label.replace("Best", "Closest")}) for row in rows)


def _of_earlier_best(evaluation: Evaluation, best: RankedTrial | None) -> bool:
    return evaluation.name in ("best", "untrained") and (best is None or evaluation.architecture != best.architecture)


def _best_of(other: NASExperiment) -> Evaluation | None:
    best = other.status.best
    return as_found(other.status.evaluations, best.architecture) if best else None


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
