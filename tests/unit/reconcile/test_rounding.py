"""Figures in columns that can be read, and the same ones wherever they are compared."""

from typing import Any

import pytest

from pfpnas_api.kinds import Latency
from pfpnas_operator.reconcile import reconcile_experiment
from pfpnas_operator.reconcile.manifests import checkpoint_in, predictor_in
from pfpnas_operator.reconcile.rounding import LEAST, rounded_latency
from pfpnas_operator.reconcile.summary import Summary
from support.reconcile_builders import (
    NOW,
    build_manifest,
    build_uid_of,
    experiment_status,
    make_answer,
    make_experiment,
    make_trial,
    observe,
    predictor_manifest,
    pretrain_manifest,
    task_id_of,
)

BUDGET = {"maxTrials": 1, "parallelTrials": 1}
ACCURACY, P50 = 106 / 129, 0.06629199999999999


def digits(value: float | None) -> int:
    """After the point."""
    return len(str(value).partition(".")[2])


def test_what_an_agent_measured_is_shown_and_compared_and_told_in_the_same_digits() -> None:
    experiment = make_experiment(budget=BUDGET, constraints=({"metric": "Latency", "max": "30us"},))
    trial = make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    latency = {"p50": P50, "p90": 0.07, "mad": 1e-9, "runs": 64, "reference": 0.0299999999999998}
    answer = make_answer(task, accuracy={"value": ACCURACY, "samples": 129}, latency=latency)
    plan = reconcile_experiment(observe(experiment, trial, results={task: (answer,)}), NOW)
    status, best = plan.trial_status["digits-00000"], experiment_status(plan).best
    assert best is not None
    assert status.metrics is not None
    assert status.metrics.latency_milliseconds is not None
    shown: Any = status.metrics.latency_milliseconds
    assert (status.metrics.accuracy, shown.p50, shown.reference) == (0.821705, 0.066292, 0.03)
    assert digits(status.score) <= 6
    assert best.score == status.score
    assert [entry.score for entry in plan.log if entry.event == "Finished"] == [status.score]
    read_again = type(status).model_validate(status.document())
    again = Summary.of(experiment).add(trial.model_copy(update={"status": read_again})).best
    assert again == best


def test_what_an_image_measured_by_itself_is_rounded_too() -> None:
    experiment = make_experiment(budget=BUDGET, mode="Pod", reference=None, reference_architecture="r16")
    trial = make_trial(0)
    uid = build_uid_of(experiment, trial)
    figures = {"accuracy": ACCURACY, "latencyMilliseconds": P50}
    manifests = {uid: build_manifest(uid, figures=figures, artifacts={})}
    status = reconcile_experiment(observe(experiment, trial, manifests=manifests), NOW).trial_status["digits-00000"]
    assert status.metrics is not None
    assert status.metrics.latency_milliseconds is not None
    assert (status.metrics.accuracy, status.metrics.latency_milliseconds.p50) == (0.821705, 0.066292)


@pytest.mark.parametrize("p50", [1e-9, 4e-7])
def test_a_duration_is_never_nothing(p50: float) -> None:
    latency = rounded_latency(Latency(p50=p50, p90=p50, mad=0.0, runs=64, reference=p50))
    assert (latency.p50, latency.p90, latency.reference) == (LEAST, LEAST, LEAST)
    assert latency.relative == 1


def test_a_supernets_figures_are_rounded() -> None:
    trained = checkpoint_in(
        pretrain_manifest(figures={"classes": 10, "largestAccuracy": 2 / 3, "smallestAccuracy": 1 / 3})
    )
    assert trained is not None
    assert (trained.largest_accuracy, trained.smallest_accuracy) == (0.666667, 0.333333)
    made = predictor_manifest()
    fitted = predictor_in(made.model_copy(update={"figures": made.figures | {"kendallTau": 2 / 3}}))
    assert fitted is not None
    assert fitted.kendall_tau == 0.666667
