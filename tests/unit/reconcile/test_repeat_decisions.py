"""Blind repeats: which trials are measured twice, what a second measurement changes, and what it never does."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Trial
from pfpnas_operator.reconcile import Plan, reconcile_experiment
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.repeats import BLIND, chosen
from support.reconcile_builders import (
    NOW,
    condition,
    experiment_status,
    make_answer,
    make_experiment,
    make_lease,
    make_metrics,
    make_trial,
    observe,
    reason_of,
    seconds,
    summary_of,
    task_id_of,
)

NAME = "digits-00000"
EVERY = {"repeats": "1", "budget": {"maxTrials": 1, "parallelTrials": 1}}


def repeat_id(experiment: NASExperiment, trial: Trial) -> str:
    reference = experiment.status.reference
    return measure_task(experiment, trial.status.artifact, reference, repetition=BLIND).task_id


def measured_once(**status: Any) -> Trial:
    """A trial whose first measurement is there, and whose second one is wanted."""
    trial = make_trial(0, "Built", metrics=make_metrics(), **status)
    conditions = (*trial.status.conditions, condition("Measured"))
    return trial.model_copy(update={"status": trial.status.model_copy(update={"conditions": conditions})})


def decide(experiment: NASExperiment, trial: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, trial, **fields), NOW)


# -- the choice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "block"), [("0.05", 20), ("0.1", 10), ("0.25", 4), ("0.5", 2), ("1", 1)])
def test_one_of_every_block_is_chosen(share: str, block: int) -> None:
    experiment = make_experiment(repeats=share, budget={"maxTrials": 200})
    picks = [index for index in range(200) if chosen(experiment, index)]
    assert [index // block for index in picks] == list(range(200 // block))


@pytest.mark.parametrize("share", ["0.03", "0.3", "0.4", "0.7", "0.95", "0.999"])
def test_a_share_that_is_no_fraction_of_one_is_kept_all_the_same(share: str) -> None:
    experiment = make_experiment(repeats=share, budget={"maxTrials": 1000})
    assert sum(chosen(experiment, index) for index in range(1000)) == pytest.approx(1000 * float(share), abs=1)


def test_a_raised_budget_moves_nothing_behind_the_first_block() -> None:
    small, large = (make_experiment(repeats="0.05", budget={"maxTrials": trials}) for trials in (20, 200))
    assert [chosen(small, index) for index in range(200)] == [chosen(large, index) for index in range(200)]


def test_the_choice_is_spread_and_differs_between_experiments() -> None:
    experiment = make_experiment(repeats="0.05", budget={"maxTrials": 2000})
    places = {index % 20 for index in range(2000) if chosen(experiment, index)}
    assert len(places) > 10
    other = experiment.model_copy(update={"metadata": experiment.metadata.model_copy(update={"uid": "other"})})
    assert [chosen(experiment, index) for index in range(2000)] != [chosen(other, index) for index in range(2000)]


@pytest.mark.parametrize("trials", range(1, 20))
def test_a_budget_smaller_than_a_block_still_holds_one(trials: int) -> None:
    experiment = make_experiment(repeats="0.05", budget={"maxTrials": trials})
    assert sum(chosen(experiment, index) for index in range(trials)) == 1


def test_none_is_chosen_where_none_is_wanted() -> None:
    assert not any(chosen(make_experiment(repeats="0"), index) for index in range(100))


# -- the way ---------------------------------------------------------------------------------------------------------


def test_the_first_measurement_is_kept_and_the_second_asked_for_at_once() -> None:
    experiment, trial = make_experiment(**EVERY), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, results={task: (make_answer(task),)})
    status = plan.trial_status[NAME]
    assert reason_of(status, "Measured")
    assert status.metrics is not None
    assert status.metrics.accuracy == 0.8
    assert (reason_of(status, "Succeeded"), status.score, status.finished_at) == (None, None, None)
    assert [(task.repetition, task.split) for task in plan.tasks] == [(BLIND, "Validation")]
    assert not [entry for entry in plan.log if entry.event == "Finished"]


def test_the_score_is_of_the_first_measurement() -> None:
    experiment, trial = make_experiment(**EVERY), measured_once()
    task = repeat_id(experiment, trial)
    second = make_answer(task, accuracy={"value": 0.9, "samples": 500})
    plan = decide(experiment, trial, results={task: (second,)})
    status = plan.trial_status[NAME]
    assert (status.score, status.feasible) == (0.8, True)
    assert status.metrics == trial.status.metrics
    assert status.repeat is not None
    assert status.repeat.accuracy is not None
    assert status.repeat.accuracy.value == 0.9
    counts = experiment_status(plan).trials
    assert (counts.succeeded, counts.created) == (1, 1)
    assert [entry.accuracy for entry in plan.log if entry.event == "Finished"] == [0.8]


@pytest.mark.parametrize("failure", ["OutOfMemory", "UnknownDataset", "BadModel"])
def test_a_repeat_that_fails_says_nothing_against_the_trial(failure: str) -> None:
    experiment, trial = make_experiment(**EVERY), measured_once()
    task = repeat_id(experiment, trial)
    plan = decide(experiment, trial, results={task: (make_answer(task, failure=failure),)})
    status = plan.trial_status[NAME]
    assert (reason_of(status, "Succeeded"), status.repeat) == ("Scored", None)
    assert not reason_of(experiment_status(plan), "Failed")


def test_a_repeat_that_is_never_answered_is_given_up() -> None:
    experiment, trial = make_experiment(**EVERY), measured_once(repeatAttempts=2)
    lease = make_lease(age=1000, entry="4-0")
    plan = decide(experiment, trial, tasks={repeat_id(experiment, trial): lease})
    status = plan.trial_status[NAME]
    assert (reason_of(status, "Succeeded"), status.repeat, status.measure_attempts) == ("Scored", None, 0)
    again = decide(experiment, measured_once(), tasks={repeat_id(experiment, trial): lease})
    assert again.trial_status[NAME].repeat_attempts == 1
    assert len(again.tasks) == 1


def test_trials_by_hand_and_skipped_accuracies_are_not_repeated() -> None:
    experiment, by_hand = make_experiment(**EVERY), make_trial(None, "Built")
    task = task_id_of(experiment, by_hand)
    plan = decide(experiment, by_hand, results={task: (make_answer(task),)})
    assert reason_of(plan.trial_status["by-hand"], "Succeeded")
    slow, latency = make_trial(0, "Built"), {"p50": 30.0, "p90": 30.0, "mad": 0.1, "runs": 64, "reference": 2.0}
    task = task_id_of(experiment, slow)
    skipped = make_answer(task, accuracy=None, accuracy_skipped=True, latency=latency)
    plan = decide(experiment, slow, results={task: (skipped,)})
    assert reason_of(plan.trial_status[NAME], "Succeeded") == "InfeasibleByConstraint"


def test_when_the_time_is_spent_a_repeat_that_nobody_has_in_hand_is_left_out() -> None:
    experiment = make_experiment(repeats="1", budget={"maxDurationSeconds": 60}, started_at=NOW - seconds(61))
    trial = measured_once()
    plan = decide(experiment, trial)
    assert reason_of(plan.trial_status[NAME], "Succeeded") == "Scored"
    task = repeat_id(experiment, trial)
    status = decide(experiment, trial, tasks={task: make_lease()}).trial_status[NAME]
    assert reason_of(status, "Succeeded") is None
    waiting = decide(experiment, trial, tasks={task: make_lease("Waiting", entry="2-0")})
    assert (reason_of(waiting.trial_status[NAME], "Succeeded"), waiting.delete_tasks) == ("Scored", ["2-0"])


def test_an_experiment_that_fails_keeps_what_was_measured_once() -> None:
    experiment = make_experiment(repeats="1")
    broken = make_trial(1, "Built")
    task = task_id_of(experiment, broken)
    observed = observe(
        experiment, measured_once(), broken, results={task: (make_answer(task, failure="UnknownDataset"),)}
    )
    plan = reconcile_experiment(observed, NOW)
    assert reason_of(plan.trial_status[NAME], "Succeeded") == "Scored"
    assert experiment_status(plan).trials.succeeded == 1


# -- the noise floor -------------------------------------------------------------------------------------------------


def latency(p50: float, reference: float | None = None) -> dict[str, Any]:
    beside = {} if reference is None else {"reference": reference}
    return {"p50": p50, "p90": p50, "mad": 0.1, "runs": 64, **beside}


def repeated(index: int, first: Any, second: Any, *accuracies: float) -> Trial:
    return make_trial(
        index,
        "Succeeded",
        metrics=make_metrics(accuracies[0], latencyMilliseconds=first),
        repeat={"latencyMilliseconds": second, "accuracy": {"value": accuracies[1], "samples": 500}},
    )


def test_the_floor_is_the_mean_difference_of_pairs_over_the_root_of_two() -> None:
    experiment = make_experiment()
    trials = [
        repeated(0, latency(9.0), latency(11.0), 0.80, 0.82),
        repeated(1, latency(10.0), latency(10.0), 0.70, 0.70),
    ]
    status = experiment_status(reconcile_experiment(observe(experiment, *trials), NOW))
    assert status.predictor is not None
    assert status.predictor.repeats == 2
    assert status.predictor.noise_floor == pytest.approx((0.2 + 0) / 2 / 2**0.5)
    assert status.predictor.accuracy_noise_floor == pytest.approx((0.02 + 0) / 2 / 2**0.5)


RELATIVE = ({"metric": "Latency", "maxRelative": "5.0"},)


@pytest.mark.parametrize(
    ("constraints", "floor"),
    [(RELATIVE, 0.0), (({"metric": "Latency", "max": "20ms"},), 0.4 / 2**0.5), ((), 0.4 / 2**0.5)],
    ids=["relative", "absolute", "none"],
)
def test_a_device_that_drifts_as_a_whole_is_noise_of_milliseconds_and_not_of_relative_latencies(
    constraints: Any, floor: float
) -> None:
    drifted = repeated(0, latency(10.0, 2.0), latency(15.0, 3.0), 0.8, 0.8)
    noise = summary_of(drifted, experiment=make_experiment(constraints=constraints)).noise
    assert noise.latency_floor == pytest.approx(floor)


def test_without_a_reference_there_is_no_pair_of_relative_latencies() -> None:
    pair = repeated(0, latency(10.0, 2.0), latency(15.0), 0.8, 0.8)
    noise = summary_of(pair, experiment=make_experiment(constraints=RELATIVE)).noise
    assert (noise.latencies, noise.accuracies) == (0, 1)


def test_the_floor_does_not_depend_on_the_order() -> None:
    trials = [repeated(n, latency(10.0), latency(10 + n / 7), 0.5, 0.5 + n / 97) for n in range(20)]
    assert summary_of(*trials).noise == summary_of(*reversed(trials)).noise


def test_without_pairs_there_is_no_floor() -> None:
    plan = reconcile_experiment(observe(make_experiment(), make_trial(0, "Succeeded")), NOW)
    assert experiment_status(plan).predictor is None
