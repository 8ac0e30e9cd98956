"""A finished search as documents: a Supernet, an experiment, and trials with plausible figures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from pfpnas_api.kinds import (
    Accuracy,
    ArtifactRef,
    CheckpointStatus,
    Condition,
    Evaluation,
    Finalist,
    Latency,
    LocalReference,
    Metadata,
    NASExperiment,
    NASExperimentStatus,
    PredictedMetrics,
    PredictorStatus,
    RankedTrial,
    RegressionQuality,
    Remeasurement,
    Repeat,
    Supernet,
    Trial,
    TrialCounts,
    TrialMetrics,
    TrialSpec,
    TrialStatus,
)
from pfpnas_api.kinds.supernet import AccuracyPredictorStatus, SupernetStatus
from pfpnas_api.scoring import is_better, judge
from pfpnas_api.spaces import Architecture, SearchSpace, cost

START = datetime(2026, 3, 14, 9, 0, 0, tzinfo=UTC)
SAMPLES = 357
"""Images of a fifth of scikit-learn's digits."""


def make_supernet(*, trained: bool = True) -> Supernet:
    """A small MobileNetV2 on drawn shapes."""
    supernet = Supernet.model_validate(
        {
            "metadata": {"name": "shapes"},
            "spec": {
                "searchSpace": {
                    "backbone": "MobileNetV2",
                    "widthMultiplier": "0.25",
                    "kernelSizes": [3, 5],
                    "expandRatios": [2, 3, 4],
                    "depths": [1, 2],
                    "resolutions": [16, 24],
                },
                "dataset": {"format": "Shapes"},
                "training": {"epochs": 12},
            },
        }
    )
    return supernet.model_copy(update={"status": _supernet_status()}) if trained else supernet


def _supernet_status() -> SupernetStatus:
    return SupernetStatus(
        checkpoint=CheckpointStatus(
            uri="sha256:" + "a" * 64,
            sha256="a" * 64,
            size=1000,
            calibration=ArtifactRef(sha256="b" * 64, size=1000),
            classes=10,
            largest_accuracy=0.873,
            smallest_accuracy=0.792,
        ),
        predictor=AccuracyPredictorStatus(
            uri="sha256:" + "c" * 64,
            size=1000,
            sha256="c" * 64,
            samples=120,
            kendall_tau=0.78,
            mean_absolute_error=0.006,
            constant_mean_absolute_error=0.017,
        ),
        started_at=START - timedelta(minutes=5),
        finished_at=START - timedelta(seconds=20),
    )


def make_experiment(*, name: str = "digits", limit: str | None = '"2.0"', **spec: object) -> NASExperiment:
    """An experiment with a latency limit relative to the smallest subnet, or (limit `85ms`) an absolute one."""
    constraints: list[dict[str, str]] = [{"metric": "Parameters", "max": "400k"}]
    if limit is not None:
        field = "max" if limit.endswith("s") else "maxRelative"
        constraints.insert(0, {"metric": "Latency", field: limit.strip('"')})
    return NASExperiment.model_validate(
        {
            "metadata": {"name": name},
            "spec": {
                "supernetRef": {"name": "shapes"},
                "target": {"pool": "local", "dataset": "digits"},
                "objective": {"constraints": constraints},
                "tuner": {"algorithm": "TPE", "seed": 1},
                "budget": {"maxTrials": 32, "parallelTrials": 4},
                **spec,
            },
        }
    )


def make_trial(
    index: int,
    architecture: Architecture,
    *,
    experiment: NASExperiment,
    space: SearchSpace,
    accuracy: float | None,
    p50: float,
    reference: float = 0.42,
) -> Trial:
    """A measured trial, judged by the experiment's objective; accuracy None: it was skipped."""
    costs = cost(space, architecture)
    metrics = TrialMetrics(
        accuracy=accuracy,
        accuracy_samples=None if accuracy is None else SAMPLES,
        accuracy_skipped=accuracy is None,
        latency_milliseconds=Latency(p50=p50, p90=p50 * 1.08, mad=p50 * 0.01, runs=96, reference=reference),
        flops=costs.flops,
        macs=costs.macs,
        parameters=costs.parameters,
        model_bytes=costs.model_bytes,
        peak_memory_bytes=48_000_000,
    )
    judged = judge(experiment.spec.objective, metrics)
    moment = START + timedelta(seconds=6 * index)
    status = TrialStatus(
        conditions=(
            _condition("Measured", "Measured", "", moment),
            _condition("Succeeded", "Scored", ", ".join(judged.broken), moment),
        ),
        metrics=metrics,
        predicted=PredictedMetrics(public_accuracy=0.8),
        score=judged.score,
        feasible=judged.feasible,
        violation=judged.violation,
        artifact=ArtifactRef(sha256=f"{index:064x}", size=costs.model_bytes),
        build_milliseconds=31.0 + index % 5,
        built_at=moment,
        finished_at=moment + timedelta(seconds=4.5),
    )
    return Trial(metadata=_trial_name(experiment, index), spec=_spec(experiment, index, architecture), status=status)


def make_failed_trial(
    index: int, architecture: Architecture, *, experiment: NASExperiment, reason: str = "OutOfMemory"
) -> Trial:
    """A trial that ended without figures."""
    moment = START + timedelta(seconds=6 * index + 1)
    status = TrialStatus(conditions=(_condition("Failed", reason, "", moment),), finished_at=moment)
    return Trial(metadata=_trial_name(experiment, index), spec=_spec(experiment, index, architecture), status=status)


def _trial_name(experiment: NASExperiment, index: int) -> Metadata:
    return Metadata(name=f"{experiment.metadata.name}-{index:04d}")


def _spec(experiment: NASExperiment, index: int, architecture: Architecture) -> TrialSpec:
    reference = LocalReference(name=experiment.metadata.name)
    return TrialSpec(experiment_ref=reference, architecture=architecture.id, index=index, origin="Tuner")


def _condition(kind: str, reason: str, broken: str, moment: datetime) -> Condition:
    message = f"over the limit: {broken}" if broken else ""
    return Condition(type=kind, status="True", reason=reason, message=message, last_transition_time=moment)


def simulated_trials(
    experiment: NASExperiment, space: SearchSpace, *, count: int = 32, failed: Iterable[int] = (), seed: int = 14
) -> list[Trial]:
    """Measured trials: latency grows with MACs and blocks, accuracy saturates, both with noise; the last ones are
    mutations of good ones, as a tuner would propose them."""
    rng = np.random.default_rng(seed)
    failing, trials = set(failed), list[Trial]()
    for index in range(count):
        late = index > count // 3 and rng.random() < 0.6
        architecture = space.sample(rng)
        if late:
            good = max((t for t in trials if t.status.score is not None), key=lambda t: t.status.score or 0.0)
            architecture = space.mutate(space.parse(good.spec.architecture), rng, probability=0.25)
        if index in failing:
            trials.append(make_failed_trial(index, architecture, experiment=experiment))
            continue
        trials.append(_simulate(index, architecture, experiment=experiment, space=space, rng=rng))
    return trials


def _simulate(
    index: int, architecture: Architecture, *, experiment: NASExperiment, space: SearchSpace, rng: np.random.Generator
) -> Trial:
    macs = cost(space, architecture).macs
    p50 = 0.10 + 0.035 * sum(architecture.depths) + macs / 3.5e6 + abs(rng.normal(0, 0.01))
    share = 0.985 - 0.12 * np.exp(-macs / 9e5) + rng.normal(0, 0.007)
    hits = round(float(np.clip(share, 0.5, 1.0)) * SAMPLES)
    skipped = p50 > 1.25
    return make_trial(
        index,
        architecture,
        experiment=experiment,
        space=space,
        accuracy=None if skipped else hits / SAMPLES,
        p50=round(p50, 4),
        reference=round(0.42 * (1 + rng.normal(0, 0.015)), 4),
    )


def with_predictions(trials: Sequence[Trial], *, first: int = 8, refit_every: int = 4, seed: int = 3) -> list[Trial]:
    """The trials as private predictors said they would turn out, 3 % off in latency and .01 in accuracy; every fifth
    is measured twice."""
    rng = np.random.default_rng(seed)
    told = []
    for index, trial in enumerate(trials):
        status = trial.status
        if index >= first and status.metrics is not None:
            labels = index - index % refit_every
            status = status.model_copy(update={"predicted": _predicted(status.metrics, labels, rng)})
        if index % 5 == 4 and status.metrics is not None:
            status = status.model_copy(
                update={"repeat": Repeat(latency_milliseconds=status.metrics.latency_milliseconds)}
            )
        told.append(trial.model_copy(update={"status": status}))
    return told


def _predicted(metrics: TrialMetrics, labels: int, rng: np.random.Generator) -> PredictedMetrics:
    latency, accuracy = metrics.latency_milliseconds, metrics.accuracy
    return PredictedMetrics(
        public_accuracy=0.8,
        latency_milliseconds=latency.p50 * float(np.exp(rng.normal(0, 0.03))) if latency else None,
        latency_deviation=0.04,
        accuracy=None if accuracy is None else float(np.clip(accuracy + rng.normal(0, 0.01), 0, 1)),
        accuracy_deviation=0.012,
        feasible=0.9,
        labels=labels,
        kendall_tau=0.9 - 2.0 / labels,
    )


def make_predictor_status() -> PredictorStatus:
    """Predictors of 28 measurements."""
    quality = {
        "labels": 28,
        "kendall_tau": 0.91,
        "kendall_tau_deviation": 0.02,
        "coverage": 0.88,
        "macs_kendall_tau": 0.71,
    }
    latency = {"encoding": "compact", "regressor": "ridge", "error": 0.027, "constant_error": 0.31, "macs_error": 0.09}
    accuracy = {"encoding": "one-hot", "regressor": "mlp", "error": 0.008, "constant_error": 0.02, "macs_error": 0.011}
    return PredictorStatus(
        labels=28,
        latency=RegressionQuality.model_validate(quality | latency),
        accuracy=RegressionQuality.model_validate(quality | accuracy),
        latency_mape=0.027,
        accuracy_mae=0.008,
        kendall_tau=0.83,
        noise_floor=0.011,
        accuracy_noise_floor=0.003,
        repeats=4,
    )


def with_finalists(experiment: NASExperiment, trials: Sequence[Trial], *, count: int = 3) -> NASExperiment:
    """The experiment with its best trials measured twice more, a little slower, and all of them tested."""
    ranked = sorted((_ranked(t) for t in trials if t.status.feasible), key=lambda r: r.score or 0.0, reverse=True)
    again = [_measured_again(one) for one in ranked[:count]]
    finalists = tuple(
        Finalist(trial=one.trial, remeasurements=(Remeasurement(repetition=1), Remeasurement(repetition=2)), ranked=one)
        for one in again
    )
    tested = tuple(
        _evaluation("best" if index == 0 else "finalist", 0.96 - index / 100, None).model_copy(
            update={"architecture": one.architecture}
        )
        for index, one in enumerate(again)
    )
    others = tuple(e for e in experiment.status.evaluations if e.name != "best")
    status = {"finalists": finalists, "evaluations": (*tested, *others), "best": again[0]}
    return experiment.model_copy(update={"status": experiment.status.model_copy(update=status)})


def _measured_again(ranked: RankedTrial) -> RankedTrial:
    latency = ranked.metrics.latency_milliseconds
    assert latency is not None
    slower = latency.model_copy(update={"p50": latency.p50 * 1.01})
    metrics = ranked.metrics.model_copy(update={"latency_milliseconds": slower})
    return ranked.model_copy(update={"metrics": metrics, "score": (ranked.score or 0.0) - 0.001})


@dataclass(frozen=True)
class Beside:
    """Another search, as a report takes it."""

    experiment: NASExperiment
    finished: list[Trial]


def make_random_search(space: SearchSpace, *, count: int = 32, limit: str = '"2.0"', seed: int = 5) -> Beside:
    """Random search that has ended."""
    experiment = make_experiment(name="digits-random", limit=limit, tuner={"algorithm": "RandomSearch", "seed": 1})
    rng = np.random.default_rng(seed)
    drawn = ((index, space.sample(rng)) for index in range(count))
    trials = [_simulate(index, one, experiment=experiment, space=space, rng=rng) for index, one in drawn]
    return Beside(with_result(experiment, trials), trials)


def with_result(experiment: NASExperiment, trials: Sequence[Trial], *, evaluated: bool = True) -> NASExperiment:
    """The experiment at its end: counts, best, conditions and (unless told otherwise) the evaluations on test."""
    best: RankedTrial | None = None
    for trial in trials:
        if trial.status.metrics is not None:
            ranked = _ranked(trial)
            best = ranked if is_better(ranked, best) else best
    failed = sum(trial.status.metrics is None for trial in trials)
    infeasible = sum(trial.status.feasible is False for trial in trials)
    kind = "Succeeded" if best is not None and best.feasible else "Failed"
    reason = "BudgetSpent" if best is not None else "TooManyFailures"
    end = START + timedelta(seconds=6 * len(trials) + 10)
    status = NASExperimentStatus(
        conditions=(_condition(kind, reason, "", end), _searched(end)),
        trials=TrialCounts(created=len(trials), succeeded=len(trials) - failed, failed=failed, infeasible=infeasible),
        best=best,
        evaluations=make_evaluations(best) if best and evaluated else (),
        started_at=START,
        search_finished_at=end,
        finished_at=end + timedelta(seconds=30),
    )
    return experiment.model_copy(update={"status": status})


def _searched(moment: datetime) -> Condition:
    return Condition(
        type="Searching",
        status="False",
        reason="BudgetSpent",
        message="every trial is measured",
        last_transition_time=moment,
    )


def _ranked(trial: Trial) -> RankedTrial:
    status = trial.status
    assert status.metrics is not None
    return RankedTrial(
        trial=trial.metadata.name,
        architecture=trial.spec.architecture,
        score=status.score,
        feasible=bool(status.feasible),
        violation=status.violation or 0.0,
        metrics=status.metrics,
        artifact=status.artifact,
    )


def make_evaluations(best: RankedTrial) -> tuple[Evaluation, ...]:
    """The best and its four baselines on the test split."""
    latency = best.metrics.latency_milliseconds
    rows = (("best", 0.969, latency.p50 if latency else None), ("largest", 0.978, 1.31), ("smallest", 0.927, 0.42))
    scored = [_evaluation(name, share, p50) for name, share, p50 in rows]
    of_best = {"architecture": best.architecture}
    return (
        *(one.model_copy(update=of_best) if one.name == "best" else one for one in scored),
        _evaluation("untrained", 0.902, None).model_copy(update=of_best),
        _evaluation("rawPixels", 0.919, None),
    )


def _evaluation(name: str, share: float, p50: float | None) -> Evaluation:
    accuracy = Accuracy(value=round(share * SAMPLES) / SAMPLES, samples=SAMPLES)
    return Evaluation.model_validate({"name": name, "accuracy": accuracy, "latencyMs": p50})
