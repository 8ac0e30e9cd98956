"""The figures of an experiment's status: trials by state, the best, the front and its hypervolume."""

from collections.abc import Sequence

from pfpnas_api.kinds import PredictorStatus, Trial, TrialCounts, find_condition, is_true
from pfpnas_api.scoring import front_point, reference_latency, relative_hypervolume
from pfpnas_operator.reconcile.cycle import Cycle
from pfpnas_operator.reconcile.finalists import final_noise, standing_best
from pfpnas_operator.reconcile.summary import shown_front


def count(cycle: Cycle, active: Sequence[Trial]) -> None:
    """Write the figures, with these trials not finished."""
    summary = cycle.summary
    failed = sum(summary.failed.values())
    running = sum(trial.status.build_started_at is not None for trial in active)
    counts = TrialCounts(
        created=len(active) + summary.succeeded + failed,
        pending=len(active) - running,
        running=running,
        succeeded=summary.succeeded,
        failed=failed,
        infeasible=summary.infeasible,
    )
    best = standing_best(summary, cycle.status, most=cycle.experiment.spec.budget.finalists)
    front = shown_front(summary.front)
    cycle.update(trials=counts, best=best, front=front, hypervolume=_hypervolume(cycle))
    cycle.update(predictor=predictor_figures(cycle))


def predictor_figures(cycle: Cycle) -> PredictorStatus | None:
    """How good the predictors are, as the tuner last said, beside what any could be; None while neither is known.

    The status is what stays when Redis loses the tuner's words: the newest are those by the most labels.
    """
    noise = final_noise(cycle.summary.noise, cycle.status.finalists)
    known, said = cycle.status.predictor, cycle.observed.predictor
    if said is not None and (known is None or said.labels >= known.labels):
        known = said
    if known is None and not noise.latencies:
        return None
    floors = {
        "noise_floor": noise.latency_floor,
        "accuracy_noise_floor": noise.accuracy_floor,
        "repeats": noise.latencies,
    }
    return (known or PredictorStatus()).model_copy(update=floors)


def _hypervolume(cycle: Cycle) -> float | None:
    objective = cycle.experiment.spec.objective
    front = [
        point
        for ranked in cycle.summary.front
        if (point := front_point(objective, ranked.metrics, violation=ranked.violation)) is not None
    ]
    volume = relative_hypervolume(front, reference_latency(objective, front))
    return None if volume is None else round(volume, 6)


def announce(cycle: Cycle, trial: Trial) -> None:
    """Say how a trial ended."""
    name, conditions = trial.metadata.name, trial.status.conditions
    failure = find_condition(conditions, "Failed")
    if failure is not None and is_true(conditions, "Failed"):
        cycle.plan.note(name, failure.reason, failure.message, warning=True)
    else:
        cycle.plan.note(name, "Measured", _figures(trial))


def _figures(trial: Trial) -> str:
    metrics, score = trial.status.metrics, trial.status.score
    latency = metrics.latency_milliseconds if metrics else None
    parts = {
        "accuracy": f"{metrics.accuracy:.4f}" if metrics and metrics.accuracy is not None else None,
        "p50": f"{latency.p50:.3f} ms" if latency else None,
        "score": f"{score:.4f}" if score is not None else None,
    }
    return ", ".join(f"{name} {figure}" for name, figure in parts.items() if figure is not None)
