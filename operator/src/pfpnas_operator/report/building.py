"""From the three kinds to the report: every derived figure is computed here, once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from pfpnas_api.kinds import (
    Constraint,
    NASExperiment,
    NASExperimentStatus,
    RankedTrial,
    Supernet,
    Trial,
    find_condition,
    is_true,
)
from pfpnas_api.kinds.metrics import TrialMetrics
from pfpnas_api.scoring import reference_latency
from pfpnas_api.scoring.metrics import excess, limited_value
from pfpnas_api.spaces import cost
from pfpnas_operator.report.anatomy import build_parts
from pfpnas_operator.report.baselines import as_found, build_baselines
from pfpnas_operator.report.finalists import build_finalists
from pfpnas_operator.report.forecasts import build_predictors
from pfpnas_operator.report.notes import build_notes
from pfpnas_operator.report.other_search import Search, build_other
from pfpnas_operator.report.points import (
    build_points,
    finished_trials,
    front_of,
    latencies_of,
    standard_error,
    threshold_of,
    with_progress,
)
from pfpnas_operator.report.schema import (
    Best,
    Counts,
    Durations,
    End,
    Failure,
    Limit,
    Point,
    Report,
    Setup,
    State,
    SupernetFigures,
)
from pfpnas_operator.report.units import of_metric


def build_report(
    supernet: Supernet, experiment: NASExperiment, trials: Sequence[Trial], *, other: Search | None = None
) -> dict[str, Any]:
    """The report as JSON values, camelCase, `version` 1; `Report` is its schema.

    Trials of other experiments and unfinished ones are counted or passed over, so all documents of a folder may be
    given. `other` is a search for the same thing to compare with. Nothing is read but the documents.
    """
    finished = finished_trials(experiment, trials)
    ranked = experiment.status.best
    objective, front = experiment.spec.objective, front_of(experiment.spec.objective, finished)
    points = build_points(finished, best=ranked.trial if ranked else None)
    reference = reference_latency(objective, front)
    points, names = with_progress(points, finished, objective=objective, reference=reference)
    status = experiment.status
    report = Report(
        **_state(experiment),
        ended=_ended(experiment),
        started_at=experiment.status.started_at,
        finished_at=experiment.status.finished_at,
        setup=_setup(experiment, supernet),
        supernet=_supernet(supernet),
        threshold=threshold_of(experiment, latencies_of(front, finished)),
        counts=_counts(points, finished, status),
        best=_best(ranked, experiment, points) if ranked else None,
        points=points,
        front=names,
        hypervolume=points[-1].hypervolume if points else None,
        hypervolume_latency=reference,
        baselines=build_baselines(status.evaluations, best=ranked, other=other.experiment if other else None),
        finalists=build_finalists(status, points),
        predictors=build_predictors(status.predictor, finished, points),
        other_search=build_other(other, points, finished, reference=reference) if other else None,
        architecture=build_parts(supernet.space(), ranked.architecture) if ranked else (),
        failures=_failures(points),
        durations=_durations(supernet, experiment, finished),
    )
    return report.model_copy(update={"notes": build_notes(report)}).model_dump(mode="json", by_alias=True)


def _state(experiment: NASExperiment) -> dict[str, Any]:
    conditions = experiment.status.conditions
    name = next((kind for kind in ("Failed", "Succeeded") if is_true(conditions, kind)), None)
    if name is None:
        return {"state": "Running"}
    condition = find_condition(conditions, name)
    best = experiment.status.best
    state: State = "Succeeded" if name == "Succeeded" else "Failed"
    if state == "Failed" and best is not None and not best.feasible:
        state = "NoFeasible"
    return {"state": state, "reason": condition.reason, "message": condition.message or None} if condition else {}


def _ended(experiment: NASExperiment) -> End | None:
    """Why the search, as apart from what came of it, is over."""
    searching = find_condition(experiment.status.conditions, "Searching")
    if experiment.status.search_finished_at is None or searching is None or searching.status != "False":
        return None
    return End(reason=searching.reason, message=searching.message or None)


def _setup(experiment: NASExperiment, supernet: Supernet) -> Setup:
    spec = experiment.spec
    return Setup(
        experiment=experiment.metadata.name,
        namespace=experiment.metadata.namespace,
        pool=spec.target.pool,
        dataset=spec.target.dataset,
        head=spec.target.head,
        backend=spec.target.backend,
        scoring=spec.objective.scoring,
        penalty_coefficient=spec.objective.penalty_coefficient,
        algorithm=spec.tuner.algorithm,
        seed=spec.tuner.seed,
        pseudo_trials=spec.tuner.pseudo_trials,
        max_trials=spec.budget.max_trials,
        parallel_trials=spec.budget.parallel_trials,
        goal=spec.objective.goal,
        patience=spec.budget.convergence.patience if spec.budget.convergence else None,
        warm_start_from=tuple(reference.name for reference in spec.warm_start_from),
        limits=tuple(_limit(constraint, experiment, supernet) for constraint in spec.objective.constraints),
    )


def _limit(constraint: Constraint, experiment: NASExperiment, supernet: Supernet) -> Limit:
    if constraint.relative:
        written = f"at most {constraint.max_relative} × reference"
    else:
        written = f"at most {constraint.max}" if constraint.max else f"at least {constraint.min}"
    best = experiment.status.best
    value = limited_value(best.metrics, constraint, reference=_reference(supernet)) if best else None
    if value is None:
        return Limit(metric=constraint.metric, written=written)
    shown = f"{value:.2f} × reference" if constraint.relative else of_metric(constraint.metric, value)
    return Limit(metric=constraint.metric, written=written, best=shown, met=excess(constraint, value) == 0)


def _reference(supernet: Supernet) -> TrialMetrics:
    """What is counted of the reference model, the smallest subnet."""
    space = supernet.space()
    least = cost(space, space.minimum())
    return TrialMetrics(flops=least.flops, macs=least.macs, parameters=least.parameters, model_bytes=least.model_bytes)


def _supernet(supernet: Supernet) -> SupernetFigures:
    spec, checkpoint, predictor = supernet.spec, supernet.status.checkpoint, supernet.status.predictor
    return SupernetFigures(
        name=supernet.metadata.name,
        backbone=spec.search_space.backbone,
        width_multiplier=spec.search_space.width_multiplier,
        dataset=spec.dataset.format,
        architectures=str(supernet.space().count),
        epochs=spec.training.epochs,
        largest_accuracy=checkpoint.largest_accuracy if checkpoint else None,
        smallest_accuracy=checkpoint.smallest_accuracy if checkpoint else None,
        predictor_samples=predictor.samples if predictor else None,
        predictor_kendall_tau=predictor.kendall_tau if predictor else None,
        predictor_error=predictor.mean_absolute_error if predictor else None,
        constant_error=predictor.constant_mean_absolute_error if predictor else None,
    )


def _counts(points: Sequence[Point], finished: Iterable[Trial], status: NASExperimentStatus) -> Counts:
    outcomes, origins = Counter(point.outcome for point in points), Counter(point.origin for point in points)
    return Counts(
        finished=len(points),
        feasible=outcomes["Feasible"],
        infeasible=outcomes["Infeasible"],
        failed=outcomes["Failed"],
        running=status.trials.running,
        accuracy_skipped=sum(point.accuracy_skipped for point in points),
        measurements=points[-1].measurements if points else 0,
        measured_twice=sum(trial.status.repeat is not None for trial in finished),
        warm_started=origins["WarmStart"],
        by_hand=origins["User"],
        refused_results=status.refused_results,
        replicates=status.replicates,
    )


def _best(ranked: RankedTrial, experiment: NASExperiment, points: Iterable[Point]) -> Best:
    metrics, latency = ranked.metrics, ranked.metrics.latency_milliseconds
    evaluation = as_found(experiment.status.evaluations, ranked.architecture)
    tested = evaluation.accuracy if evaluation else None
    return Best(
        trial=ranked.trial,
        architecture=ranked.architecture,
        feasible=ranked.feasible,
        score=ranked.score,
        accuracy=metrics.accuracy,
        standard_error=standard_error(metrics),
        samples=metrics.accuracy_samples,
        latency_p50=latency.p50 if latency else None,
        latency_p90=latency.p90 if latency else None,
        latency_mad=latency.mad if latency else None,
        latency_relative=latency.relative if latency else None,
        reference_latency=latency.reference if latency else None,
        flops=metrics.flops,
        macs=metrics.macs,
        parameters=metrics.parameters,
        model_bytes=metrics.model_bytes,
        peak_memory_bytes=metrics.peak_memory_bytes,
        throughput=metrics.throughput,
        sha256=ranked.artifact.sha256 if ranked.artifact else None,
        test_accuracy=tested.value if tested else None,
        test_standard_error=tested.standard_error if tested else None,
        test_samples=tested.samples if tested else None,
        rivals=_rivals(ranked, points),
    )


def _rivals(best: RankedTrial, points: Iterable[Point]) -> int:
    """Other feasible trials that one standard error of the difference can't tell from the best."""
    error = standard_error(best.metrics)
    if best.accuracy is None or error is None or not best.feasible:
        return 0
    return sum(
        best.accuracy - point.accuracy <= (error**2 + point.standard_error**2) ** 0.5
        for point in points
        if point.outcome == "Feasible" and not point.best and point.accuracy is not None and point.standard_error
    )


def _failures(points: Iterable[Point]) -> tuple[Failure, ...]:
    reasons = Counter(point.reason or "Unknown" for point in points if point.outcome == "Failed")
    return tuple(Failure(reason=reason, count=count) for reason, count in reasons.most_common())


def _durations(supernet: Supernet, experiment: NASExperiment, finished: Iterable[Trial]) -> Durations:
    statuses = [trial.status for trial in finished]
    builds = [status.build_milliseconds for status in statuses if status.build_milliseconds is not None]
    measured = [_seconds(status.built_at, status.finished_at) for status in statuses]
    known = [seconds for seconds in measured if seconds is not None]
    status = experiment.status
    return Durations(
        training_seconds=_seconds(supernet.status.started_at, supernet.status.finished_at),
        search_seconds=_seconds(status.started_at, status.search_finished_at),
        total_seconds=_seconds(status.started_at, status.finished_at),
        build_milliseconds=median(builds) if builds else None,
        measure_seconds=median(known) if known else None,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
