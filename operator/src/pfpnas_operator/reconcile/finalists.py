"""The finalists: the best trials are measured again at the end, so that luck does not decide which one is the best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from pfpnas_api.kinds import (
    Accuracy,
    ArtifactRef,
    Finalist,
    Latency,
    NASExperimentStatus,
    RankedTrial,
    Remeasurement,
    TrialMetrics,
)
from pfpnas_api.messages import MeasureResult
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring import cost_per_million, order_key
from pfpnas_operator.reconcile.measuring import Measured, MeasureFailed, advance_measurement, measure_task
from pfpnas_operator.reconcile.noise import Noise
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.repeats import BLIND
from pfpnas_operator.reconcile.rounding import rounded, rounded_latency
from pfpnas_operator.reconcile.summary import TOP, Contender, Summary
from pfpnas_operator.reconcile.trials import judged, scored

REPETITIONS = (101, 102)
"""Numbers of the measurements of a finalist: unlike those of the search, so that an agent's journal has neither."""


def planned_finalists(summary: Summary, known: Iterable[Finalist], *, most: int) -> tuple[Finalist, ...]:
    """Who is measured again: the best that keep every limit; where none does, the closest one.

    Those `known` keep what was measured, and stay while there is room, whom a better trial or a smaller `most` has
    displaced too: what was measured is not forgotten. When none of them is confirmed to keep every limit, the next best
    takes part too, up to `TOP` in all.
    """
    known = tuple(known)
    rows = {row.trial: row for row in known}
    feasible = [contender for contender in summary.top if contender.ranked.feasible]
    line = feasible or summary.top[:1]
    chosen = [_row(contender, rows) for contender in line[:most]]
    earlier = [row for row in known if row.ranked is not None]
    for contender in line[most:]:
        if any(row.ranked is None or _confirmed(row) for row in (*chosen, *earlier)):
            break
        chosen.append(_row(contender, rows))
    names = {row.trial for row in chosen}
    return tuple([*chosen, *(row for row in earlier if row.trial not in names)][:TOP])


def _row(contender: Contender, known: dict[str, Finalist]) -> Finalist:
    """A finalist as it begins, with the second measurement that the search made of it."""
    name, repeat = contender.ranked.trial, contender.repeat
    if name in known:
        return known[name]
    there: tuple[Remeasurement, ...] = ()
    if repeat is not None:
        there = (
            Remeasurement(repetition=BLIND, latency_milliseconds=repeat.latency_milliseconds, accuracy=repeat.accuracy),
        )
    return Finalist(trial=name, remeasurements=there)


def _confirmed(row: Finalist) -> bool:
    """Whether a finalist keeps every limit by more than its first measurement."""
    return row.ranked is not None and row.ranked.feasible and bool(row.remeasurements)


def ranked_finalists(finalists: Sequence[Finalist]) -> list[RankedTrial]:
    """The finalists by all their measurements, best first; of equal ones the one that was better before.

    One that could not be measured again has but the figures that made a finalist of it, lucky ones maybe: it is behind
    those that were, unless they break a limit.
    """
    ranked = [(row.ranked, bool(row.remeasurements)) for row in finalists if row.ranked is not None]
    ordered = sorted(ranked, key=lambda row: (row[0].feasible, row[1], order_key(row[0])), reverse=True)
    return [one for one, _ in ordered]


def standing_best(summary: Summary, status: NASExperimentStatus, *, most: int) -> RankedTrial | None:
    """The best of the finalists, once all of them are measured again; before that the best by first measurements."""
    finalists = planned_finalists(summary, status.finalists, most=most)
    ranked = ranked_finalists(finalists)
    if status.search_finished_at is None or not ranked or len(ranked) < len(finalists):
        return summary.best
    return ranked[0]


def final_noise(noise: Noise, finalists: Iterable[Finalist]) -> Noise:
    """The pairs of the search, and one of each finalist.

    The first measurement takes no part in these: it is what made a finalist of it, and so is better than it should be.
    """
    for finalist in finalists:
        again = [one for one in finalist.remeasurements if one.repetition in REPETITIONS]
        if len(again) == len(REPETITIONS):
            first, second = again
            noise = noise.with_pair(
                (first.latency_milliseconds, second.latency_milliseconds), (_value(first), _value(second))
            )
    return noise


def _value(measured: Remeasurement) -> float | None:
    return measured.accuracy.value if measured.accuracy else None


@dataclass(frozen=True, kw_only=True)
class Remeasuring:
    """What a finalist's measurements need to know."""

    observed: ExperimentObserved
    plan: Plan
    reference: ArtifactRef
    now: datetime

    def step(self, finalist: Finalist, contender: RankedTrial) -> Finalist:
        """One step of a finalist: its measurements follow one another, those of several take turns."""
        for repetition in REPETITIONS:
            if any(one.repetition == repetition for one in finalist.remeasurements):
                continue
            task = measure_task(self.observed.experiment, contender.artifact, self.reference, repetition=repetition)
            outcome = advance_measurement(self.observed, task, self.plan, attempts=finalist.attempts, now=self.now)
            if isinstance(outcome, MeasureFailed):
                return self._as_far(finalist, contender, outcome.reason)
            if not isinstance(outcome, Measured):
                return finalist.model_copy(update={"attempts": outcome.attempts})
            measured = _remeasurement(outcome.result, repetition)
            if measured is None:
                return self._as_far(finalist, contender, "MetricUnavailable")
            finalist = finalist.model_copy(
                update={"remeasurements": (*finalist.remeasurements, measured), "attempts": 0}
            )
        return finalist.model_copy(update={"ranked": combined(self.observed, contender, finalist.remeasurements)})

    def _as_far(self, finalist: Finalist, contender: RankedTrial, reason: str) -> Finalist:
        """A finalist with the measurements that are there: one more is not to be had."""
        there = finalist.remeasurements
        ranked = combined(self.observed, contender, there) if there else contender
        return finalist.model_copy(update={"reason": reason, "ranked": ranked})


def _remeasurement(result: MeasureResult, repetition: int) -> Remeasurement | None:
    if result.latency is None or (result.accuracy is None and not result.accuracy_skipped):
        return None
    return Remeasurement(repetition=repetition, latency_milliseconds=result.latency, accuracy=result.accuracy)


def combined(observed: ExperimentObserved, contender: RankedTrial, again: Sequence[Remeasurement]) -> RankedTrial:
    """A trial by the medians of all its measurements, judged anew."""
    first = contender.metrics
    latencies = [one.latency_milliseconds for one in again if one.latency_milliseconds]
    if first.latency_milliseconds is not None:
        latencies.insert(0, first.latency_milliseconds)
    accuracies = [one.accuracy for one in again if one.accuracy]
    metrics = _with_medians(observed, first, latencies=latencies, accuracies=accuracies)
    judgement = judged(observed, metrics)
    return contender.model_copy(
        update={
            "metrics": metrics,
            "score": scored(judgement),
            "feasible": judgement.feasible,
            "violation": judgement.violation,
        }
    )


def _with_medians(
    observed: ExperimentObserved, first: TrialMetrics, *, latencies: list[Latency], accuracies: list[Accuracy]
) -> TrialMetrics:
    latency = _median_latency(latencies)
    values = [accuracy.value for accuracy in accuracies]
    values += [first.accuracy] if first.accuracy is not None else []
    price = observed.experiment.spec.target.price_per_hour
    changed: dict[str, object] = {
        "latency_milliseconds": latency,
        "accuracy": rounded(median(values)) if values else None,
    }
    if values:
        changed["accuracy_skipped"] = False
        changed["accuracy_samples"] = first.accuracy_samples or accuracies[0].samples
    if price is not None:
        changed["cost"] = cost_per_million(DECIMAL.parse(price), latency.p50)
    return first.model_copy(update=changed)


def _median_latency(latencies: Sequence[Latency]) -> Latency:
    def middle(of: Callable[[Latency], float | None]) -> float | None:
        values = [value for value in map(of, latencies) if value is not None]
        return median(values) if values else None

    middles = Latency.model_validate(
        {
            "p50": middle(lambda latency: latency.p50),
            "p90": middle(lambda latency: latency.p90),
            "mad": middle(lambda latency: latency.mad),
            "runs": sum(latency.runs for latency in latencies),
            "reference": middle(lambda latency: latency.reference),
        }
    )
    return rounded_latency(middles)
