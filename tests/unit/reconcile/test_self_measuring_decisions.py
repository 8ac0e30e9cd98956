"""An image that measures by itself: figures and no model; no agent, no reference model, nothing measured again."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Trial, find_condition
from pfpnas_operator.reconcile import Plan, names, reconcile_experiment
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.deadlines import WAIT_DEADLINE
from pfpnas_operator.reconcile.experiment import build_uids
from support.reconcile_builders import (
    NOW,
    SPACE,
    build_manifest,
    build_uid_of,
    condition,
    experiment_status,
    make_checkpoint,
    make_experiment,
    make_job,
    make_supernet,
    make_trial,
    message_of,
    observe,
    own_jobs,
    reason_of,
    suggest,
)

FIGURES = {"accuracy": 0.81, "latencyMilliseconds": 4.0}
SMALLEST = SPACE.minimum().id


def self_measuring(**fields: Any) -> NASExperiment:
    """One whose reference model was measured by its image."""
    return make_experiment(reference=None, reference_architecture=SMALLEST, **fields)


def decide(experiment: NASExperiment, *trials: Trial, figures: Any = FIGURES, model: bool = False, **seen: Any) -> Plan:
    artifacts = {} if not model else build_manifest("x").artifacts
    uids = [build_uid_of(experiment, trial) for trial in trials]
    manifests = {uid: build_manifest(uid, figures=figures, artifacts=artifacts) for uid in uids}
    return reconcile_experiment(observe(experiment, *trials, **{"manifests": manifests, **seen}), NOW)


def test_figures_without_a_model_are_the_measurement() -> None:
    plan = decide(self_measuring(), make_trial(0), agents={})
    status = plan.trial_status["digits-00000"]
    assert reason_of(status, "Succeeded") == "Scored"
    assert reason_of(status, "Built") == reason_of(status, "Measured") == "SelfMeasured"
    assert status.metrics is not None
    assert (status.metrics.accuracy, status.score, status.artifact) == (0.81, 0.81, None)
    assert status.metrics.latency_milliseconds is not None
    assert (status.metrics.latency_milliseconds.p50, status.metrics.latency_milliseconds.runs) == (4.0, 1)
    assert status.metrics.flops
    assert plan.tasks == []


def test_limits_hold_for_them_too() -> None:
    plan = decide(self_measuring(), make_trial(0), figures={"accuracy": 0.9, "latencyMilliseconds": 11.0})
    assert reason_of(plan.trial_status["digits-00000"], "Succeeded") == "InfeasibleByConstraint"
    limited = self_measuring(constraints=({"metric": "Energy", "max": "5mJ"},))
    assert reason_of(decide(limited, make_trial(0)).trial_status["digits-00000"], "Failed") == "MetricUnavailable"


@pytest.mark.parametrize(
    "figures",
    [
        {"accuracy": 1.1, "latencyMilliseconds": 4.0},
        {"accuracy": float("nan"), "latencyMilliseconds": 4.0},
        {"accuracy": 0.5, "latencyMilliseconds": 0.0},
        {"accuracy": 0.5, "latencyMilliseconds": float("inf")},
    ],
)
def test_figures_that_cannot_be_true_fail_the_trial(figures: dict[str, float]) -> None:
    plan = decide(self_measuring(), make_trial(0), figures=figures)
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "BadFigures"


def test_they_count_while_the_jobs_container_still_ends() -> None:
    experiment = self_measuring(mode="Pod")
    request = build_request(experiment, make_checkpoint(), make_trial(0).spec.architecture)
    job = make_job(names.build_job(experiment, request))
    plan = decide(experiment, make_trial(0, buildAttempts=1), jobs=own_jobs(experiment) | {job.name: job})
    assert reason_of(plan.trial_status["digits-00000"], "Succeeded") == "Scored"
    assert plan.delete_jobs == [job.name]


def begin(**fields: Any) -> Plan:
    experiment = make_experiment(reference=None, started_at=None, **fields)
    uid = build_request(experiment, make_checkpoint(), SMALLEST).uid
    manifests = {uid: build_manifest(uid, figures=FIGURES, artifacts={})}
    return reconcile_experiment(observe(experiment, agents={}, manifests=manifests, suggestions=suggest(0)), NOW)


def test_the_search_begins_without_a_reference_model_once_its_build_answers_so() -> None:
    first = experiment_status(begin())
    assert (first.reference, first.reference_architecture) == (None, SMALLEST)
    plan = decide(self_measuring(started_at=None), agents={}, suggestions=suggest(0))
    assert experiment_status(plan).started_at == NOW
    assert [trial.metadata.name for trial in plan.create_trials] == ["digits-00000"]


@pytest.mark.parametrize("limit", [{"metric": "Latency", "maxRelative": "3.0"}, {"metric": "Cost", "maxRelative": "2"}])
def test_limits_relative_to_what_nobody_measures_are_refused(limit: dict[str, str]) -> None:
    limits = ({"metric": "FLOPs", "max": "1G"}, limit)
    status = experiment_status(begin(constraints=limits, target={"pricePerHour": "1"}))
    assert reason_of(status, "Failed") == "NoReference"
    assert message_of(status, "Failed").startswith("spec.objective.constraints[1].maxRelative: ")
    assert status.reference_architecture is None  # so that another try, by another spec, asks again


def test_limits_relative_to_what_is_counted_are_fine() -> None:
    status = experiment_status(begin(constraints=({"metric": "FLOPs", "maxRelative": "3.0"},)))
    assert reason_of(status, "Failed") is None
    assert status.reference_architecture == SMALLEST


def test_no_agent_is_needed_and_none_waited_for() -> None:
    away = condition("AgentsAvailable", "NoHeartbeat", status="False")
    away = away.model_copy(update={"last_transition_time": NOW - 2 * WAIT_DEADLINE})
    plan = decide(self_measuring(conditions=(away,)), agents={})
    found = find_condition(experiment_status(plan).conditions, "AgentsAvailable")
    assert found is not None
    assert (found.status, found.reason) == ("True", "NotNeeded")


def test_the_search_ends_without_measuring_again() -> None:
    plan = decide(self_measuring(budget={"maxTrials": 1}), make_trial(0), agents={})
    status = experiment_status(plan)
    assert reason_of(status, "Succeeded") == "BudgetSpent"
    assert (status.finalists, status.evaluations, plan.tasks) == ((), (), [])
    assert status.best is not None
    assert status.best.artifact is None


def test_an_image_does_the_same_for_every_candidate() -> None:
    stranger = decide(make_experiment(), make_trial(0)).trial_status["digits-00000"]
    assert reason_of(stranger, "Failed") == "BadManifest"
    other = decide(self_measuring(), make_trial(0), model=True, figures={}).trial_status["digits-00000"]
    assert reason_of(other, "Failed") == "BadManifest"


def test_its_reference_is_not_looked_for_again() -> None:
    assert build_uids(self_measuring(), make_supernet(), []) == []
