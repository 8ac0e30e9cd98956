"""The finalists: what the first measurement said of them, what all of them together say, and the test split."""

from collections.abc import Iterable, Sequence

from pfpnas_api.kinds import Evaluation, NASExperimentStatus
from pfpnas_api.kinds import Finalist as FinalistStatus
from pfpnas_operator.report.baselines import as_found
from pfpnas_operator.report.schema import Finalist, Point


def build_finalists(status: NASExperimentStatus, points: Iterable[Point]) -> tuple[Finalist, ...]:
    """A row for every finalist, in their order."""
    known = {point.trial: point for point in points}
    best = status.best.trial if status.best else None
    return tuple(
        _row(finalist, known[finalist.trial], status.evaluations, best=best)
        for finalist in status.finalists
        if finalist.trial in known
    )


def _row(finalist: FinalistStatus, point: Point, evaluations: Sequence[Evaluation], *, best: str | None) -> Finalist:
    ranked, evaluation = finalist.ranked, as_found(evaluations, point.architecture)
    tested = evaluation.accuracy if evaluation else None
    latency = ranked.metrics.latency_milliseconds if ranked else None
    return Finalist(
        trial=finalist.trial,
        architecture=point.architecture,
        best=finalist.trial == best,
        measurements=1 + len(finalist.remeasurements),
        first_score=point.score,
        first_latency=point.latency_p50,
        first_accuracy=point.accuracy,
        score=ranked.score if ranked else None,
        latency=latency.p50 if latency else None,
        accuracy=ranked.accuracy if ranked else None,
        feasible=ranked.feasible if ranked else None,
        reason=finalist.reason,
        test_accuracy=tested.value if tested else None,
        test_standard_error=tested.standard_error if tested else None,
        test_samples=tested.samples if tested else None,
    )
