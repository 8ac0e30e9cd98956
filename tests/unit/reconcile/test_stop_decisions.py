"""Ends before the budget: a goal that is reached, a front that no longer grows; and what makes the search go on."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Trial
from pfpnas_operator.reconcile import Plan, Summary, reconcile_experiment
from pfpnas_operator.reconcile.growth import Growth
from support.reconcile_builders import (
    NOW,
    condition,
    experiment_status,
    make_experiment,
    make_finalist,
    make_metrics,
    make_trial,
    message_of,
    observe,
    reason_of,
    suggest,
    summary_of,
)

RELATIVE = ({"metric": "Latency", "maxRelative": "5.0"},)


def trial_of(index: int | None, accuracy: float, p50: float = 5.0, reference: float = 2.0, **status: Any) -> Trial:
    latency = {"p50": p50, "p90": p50, "mad": 0.1, "runs": 64, "reference": reference}
    metrics = make_metrics(accuracy, latencyMilliseconds=latency)
    return make_trial(index, "Succeeded", metrics=metrics, **{"score": accuracy, **status})


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def converging(patience: int = 3, gain: str = "0.01", **fields: Any) -> NASExperiment:
    budget = {"maxTrials": 50, "convergence": {"patience": patience, "minGain": gain}}
    return make_experiment(budget=budget, **fields)


def growth(experiment: NASExperiment, *trials: Trial) -> Growth:
    return summary_of(*trials, experiment=experiment).growth


# -- the goal --------------------------------------------------------------------------------------------------------


def test_a_goal_that_is_reached_ends_the_search_and_says_by_what() -> None:
    experiment = make_experiment(objective={"goal": "0.9"})
    plan = decide(experiment, trial_of(0, 0.85), trial_of(1, 0.9), suggestions=suggest(2, 3))
    status = experiment_status(plan)
    assert status.search_finished_at == NOW
    assert (plan.create_trials, [entry for entry in plan.log if entry.event == "Ask"]) == ([], [])
    assert message_of(status, "Searching") == "digits-00001 scored 0.9000, and objective.goal is 0.9"
    assert len(status.finalists) == 2


@pytest.mark.parametrize("trial", [trial_of(0, 0.89), trial_of(0, 0.95, 12.0, feasible=False, violation=0.2)])
def test_a_goal_is_reached_only_by_what_keeps_every_limit(trial: Trial) -> None:
    status = experiment_status(decide(make_experiment(objective={"goal": "0.9"}), trial))
    assert status.search_finished_at is None


def test_trials_under_way_are_finished_when_the_goal_is_reached() -> None:
    experiment = make_experiment(objective={"goal": "0.9"})
    plan = decide(experiment, trial_of(0, 0.95), make_trial(1, "Built"), make_trial(2), suggestions=suggest(3))
    status = experiment_status(plan)
    assert (status.search_finished_at, plan.create_trials) == (None, [])
    assert (len(plan.tasks), len(plan.builds)) == (1, 1)


@pytest.mark.parametrize("goal", ["0.97", None])
def test_a_raised_goal_or_none_goes_on(goal: str | None) -> None:
    over = condition("Searching", "GoalReached", status="False")
    fields = {"search_finished_at": NOW, "finished_at": NOW, "conditions": (over, condition("Succeeded"))}
    same = make_experiment(objective={"goal": "0.9"}, **fields)
    assert reason_of(experiment_status(decide(same, trial_of(0, 0.95))), "Searching") is None
    plan = decide(make_experiment(objective={"goal": goal} if goal else {}, **fields), trial_of(0, 0.95))
    status = experiment_status(plan)
    assert reason_of(status, "Searching")
    assert (status.search_finished_at, status.finished_at) == (None, None)
    assert "GoalRaised" in {event.reason for event in plan.events}


# -- convergence -----------------------------------------------------------------------------------------------------


def test_a_front_that_no_longer_grows_ends_the_search() -> None:
    experiment = converging()
    stale = [trial_of(index, 0.5) for index in range(1, 4)]
    assert experiment_status(decide(experiment, trial_of(0, 0.8), *stale[:2])).search_finished_at is None
    status = experiment_status(decide(experiment, trial_of(0, 0.8), *stale))
    assert status.search_finished_at == NOW
    text = "the last 3 trials made the front's hypervolume grow by less than 0.01 of it (budget.convergence)"
    assert message_of(status, "Searching") == text


def test_a_gain_begins_the_count_anew_and_small_ones_add_up() -> None:
    experiment = converging(gain="0.05")
    slowly = [trial_of(index, 0.80 + index * 0.015) for index in range(8)]
    # 0.815 and 0.830 are gains of less than 5 % each; 0.845 is one of more since the last.
    assert [growth(experiment, *slowly[:many]).since for many in range(1, 9)] == [0, 1, 2, 0, 1, 2, 0, 1]


def test_failed_trials_of_the_tuner_bring_no_gain_either_but_withdrawn_ones_say_nothing() -> None:
    experiment = converging()
    bad, gone = make_trial(1, "Failed"), make_trial(2, "Failed", reason="Withdrawn")
    assert growth(experiment, trial_of(0, 0.8), bad, gone).since == 1


def test_what_others_bring_is_neither_a_gain_nor_a_trial_without() -> None:
    experiment = converging()
    by_hand = trial_of(None, 0.9)
    before = growth(experiment, trial_of(0, 0.8), trial_of(1, 0.5))
    after = before.add(by_hand)
    assert (before.since, after.since) == (1, 1)
    assert after.add(trial_of(2, 0.85)).since == 2  # better than the tuner's own best, but not than what is known


def test_nothing_converges_before_a_trial_keeps_the_latency_limit() -> None:
    slow = [trial_of(index, 0.9, 20.0, feasible=False, violation=1.0) for index in range(10)]
    assert growth(converging(), *slow).since == 0


def test_a_device_that_drifts_makes_no_gain_of_relative_latencies() -> None:
    experiment = converging(constraints=RELATIVE)
    drifting = [trial_of(index, 0.8, 6.0 / (index + 1), 2.0 / (index + 1)) for index in range(4)]
    assert growth(experiment, *drifting).since == 3
    absolute = converging(constraints=({"metric": "Latency", "max": "10ms"},))
    assert growth(absolute, *drifting).since == 0


HUNGRY = {"energyMillijoules": 9.0}


def test_what_breaks_a_hard_limit_is_no_gain_and_no_part_of_the_front() -> None:
    limits = ({"metric": "Latency", "max": "10ms"}, {"metric": "Energy", "max": "5mJ"})
    experiment = converging(constraints=limits)
    good = trial_of(0, 0.5)
    hungry = make_trial(1, "Succeeded", metrics=make_metrics(0.9, **HUNGRY), feasible=False, violation=0.8)
    slow = trial_of(2, 0.9, 12.0, feasible=False, violation=0.2)
    assert growth(experiment, good, hungry).since == 1
    summary = summary_of(good, hungry, slow, experiment=experiment)
    assert [ranked.trial for ranked in summary.front] == ["digits-00000", "digits-00002"]


def test_what_failed_for_want_of_a_metric_is_no_gain() -> None:
    experiment = converging(constraints=({"metric": "Energy", "max": "5mJ"},))
    lacking = make_trial(1, "Failed", reason="MetricUnavailable", metrics=make_metrics(0.9))
    assert growth(experiment, trial_of(0, 0.5), lacking).since == 1


def test_without_a_limit_a_slower_and_better_one_is_a_gain_too() -> None:
    experiment = converging(constraints=())
    assert growth(experiment, trial_of(0, 0.5, 1.0), trial_of(1, 0.9, 10.0)).since == 0
    assert growth(experiment, trial_of(0, 0.5, 1.0), trial_of(1, 0.4, 10.0)).since == 1


def test_without_convergence_nothing_is_kept() -> None:
    assert growth(make_experiment(), *(trial_of(index, 0.5) for index in range(5))) == Growth()
    assert Summary.of(converging()).growth.yardstick is not None


@pytest.mark.parametrize("budget", [{}, {"convergence": {"patience": 9}}, {"convergence": {"patience": 3}}])
def test_a_relaxed_convergence_or_none_goes_on(budget: dict[str, Any]) -> None:
    over = condition("Searching", "Converged", status="False")
    fields = {"search_finished_at": NOW, "finished_at": NOW, "conditions": (over, condition("Succeeded"))}
    experiment = make_experiment(budget={"maxTrials": 50, **budget}, **fields)
    plan = decide(experiment, trial_of(0, 0.8), *(trial_of(index, 0.5) for index in (1, 2, 3)))
    going = budget.get("convergence") != {"patience": 3}
    assert bool(reason_of(experiment_status(plan), "Searching")) is going
    assert ("ConvergenceRelaxed" in {event.reason for event in plan.events}) is going


LARGER = [
    ("Converged", {"convergence": {"patience": 3}}, {}, "relax budget.convergence"),
    ("GoalReached", {}, {"objective": {"goal": "0.8"}}, "raise objective.goal"),
    ("BudgetSpent", {"maxDurationSeconds": 30}, {}, "raise budget.maxDurationSeconds"),
    ("BudgetSpent", {"maxTrials": 4, "parallelTrials": 9}, {}, "raise budget.maxTrials"),
]


@pytest.mark.parametrize(("ended_by", "budget", "more", "remedy"), LARGER)
def test_a_changed_budget_that_is_not_enough_says_what_else_ends_the_search(
    ended_by: str, budget: dict[str, Any], more: dict[str, Any], remedy: str
) -> None:
    over = (condition("Searching", ended_by, status="False"), condition("Succeeded"))
    trials = [trial_of(0, 0.8), *(trial_of(index, 0.5) for index in (1, 2, 3))]
    finalists = tuple(make_finalist(trial) for trial in trials[:3])
    fields = {"search_finished_at": NOW, "finished_at": NOW, "conditions": over, "finalists": finalists, **more}
    experiment = make_experiment(budget={"maxTrials": 500, **budget}, generation=2, observed_generation=1, **fields)
    plan = decide(experiment, *trials)
    assert experiment_status(plan).search_finished_at == NOW
    (event,) = plan.events
    assert event.message.startswith("the search stays ended: ")
    assert remedy in event.message
    seen = experiment.model_copy(update={"status": experiment_status(plan)})
    assert decide(seen, *trials).events == []
