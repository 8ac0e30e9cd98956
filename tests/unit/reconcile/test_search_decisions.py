"""Which trials are started: asks, suggestions, parallelism, budget, time; and what the tuner is told."""

from datetime import timedelta
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, PredictedMetrics, Trial, find_condition
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_operator.reconcile import LogView, Plan, TrialsRefused, reconcile_experiment
from pfpnas_operator.reconcile.deadlines import UNSCHEDULABLE_DEADLINE
from pfpnas_operator.reconcile.search import awaits_suggestions
from support.reconcile_builders import (
    NOW,
    architecture,
    build_uid_of,
    experiment_status,
    make_answer,
    make_experiment,
    make_job,
    make_lease,
    make_metrics,
    make_trial,
    message_of,
    observe,
    own_jobs,
    reason_of,
    seconds,
    suggest,
    task_id_of,
)


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def asks(plan: Plan) -> list[int | None]:
    return [entry.count for entry in plan.log if entry.event == "Ask"]


def spent(seconds_over: float = 1, **budget: Any) -> NASExperiment:
    """An experiment whose time was over so long ago."""
    budget = {"maxDurationSeconds": 600, **budget}
    return make_experiment(budget=budget, started_at=NOW - seconds(600 + seconds_over))


# -- asks and trials -------------------------------------------------------------------------------------------------


def test_as_many_suggestions_are_asked_for_as_may_run() -> None:
    assert asks(decide(make_experiment())) == [4]


def test_what_was_asked_for_is_not_asked_for_again() -> None:
    assert asks(decide(make_experiment(), log=LogView(asked=4))) == []


def test_suggestions_become_trials() -> None:
    suggestions = suggest(0, 1)
    predicted = PredictedMetrics(public_accuracy=0.75)
    suggestions[1] = suggestions[1].model_copy(update={"predicted": predicted, "origin": "Random"})
    plan = decide(make_experiment(), suggestions=suggestions)
    first, second = plan.create_trials
    assert (first.metadata.name, first.spec.index, first.spec.origin) == ("digits-00000", 0, "Tuner")
    assert first.spec.architecture == architecture(0)
    assert (second.spec.origin, second.status.created_at) == ("Random", NOW)
    assert second.status.predicted is not None
    assert second.status.predicted.public_accuracy == 0.75
    counts = experiment_status(plan).trials
    assert (counts.created, counts.pending) == (2, 2)


def test_trials_are_started_in_the_order_of_their_indices() -> None:
    assert decide(make_experiment(), suggestions=suggest(1, 2)).create_trials == []


def test_no_more_run_at_once_than_the_budget_says() -> None:
    running = [make_trial(index) for index in range(3)]
    plan = decide(make_experiment(), *running, suggestions=suggest(*range(8)))
    assert [trial.spec.index for trial in plan.create_trials] == [3]


def test_a_trial_that_finishes_makes_room_for_the_next() -> None:
    experiment = make_experiment()
    running = [make_trial(0, "Built"), *(make_trial(index) for index in (1, 2, 3))]
    task = task_id_of(experiment, running[0])
    plan = decide(experiment, *running, suggestions=suggest(4), results={task: (make_answer(task),)})
    assert [trial.spec.index for trial in plan.create_trials] == [4]


def test_no_more_are_started_than_the_budget_says() -> None:
    done = [make_trial(index, "Succeeded") for index in range(6)]
    plan = decide(make_experiment(), *done, suggestions=suggest(*range(20)))
    assert [trial.spec.index for trial in plan.create_trials] == [6, 7]
    assert asks(decide(make_experiment(), *done)) == [8]


def test_a_trial_by_hand_takes_nothing_from_the_budget() -> None:
    done = [make_trial(index, "Succeeded") for index in range(6)]
    plan = decide(make_experiment(), *done, make_trial(None), suggestions=suggest(*range(20)))
    assert [trial.spec.index for trial in plan.create_trials] == [6, 7]
    assert "by-hand" in plan.trial_status


@pytest.mark.parametrize("mode", ["Pod", "Pooled"])
def test_lowered_parallelism_kills_nothing(mode: str) -> None:
    experiment = make_experiment(mode=mode, budget={"parallelTrials": 1})
    building = [make_trial(index, buildAttempts=1) for index in range(4)]
    under_way = builds_under_way(experiment, *building)
    plan = decide(experiment, *building, suggestions=suggest(*range(8)), **under_way)
    assert (plan.delete_jobs, plan.delete_builds, plan.create_jobs, plan.create_trials) == ([], [], [], [])
    assert not any(reason_of(status, "Failed") for status in plan.trial_status.values())
    assert experiment_status(plan).trials.created == 4


def builds_under_way(experiment: NASExperiment, *trials: Trial) -> dict[str, Any]:
    """What is seen of the builds of trials, all of which run: a Job each, or a claim of the pooled worker's."""
    if experiment.spec.trial_template.mode == "Pooled":
        uids = [build_uid_of(experiment, trial) for trial in trials]
        return {"builds": {uid: make_lease(entry=f"{number}-0") for number, uid in enumerate(uids, start=1)}}
    asked = [job for job in decide(experiment, *trials).create_jobs if job.workload == "trial"]
    assert len(asked) == len(trials)
    return {"jobs": own_jobs(experiment) | {job.name: make_job(job.name) for job in asked}}


def test_a_gap_left_by_an_operator_that_was_killed_is_passed_over() -> None:
    plan = decide(make_experiment(), make_trial(0), make_trial(2), suggestions=suggest(*range(8)))
    assert [trial.spec.index for trial in plan.create_trials] == [3, 4]


# -- the end of the search -------------------------------------------------------------------------------------------


def refused(*, due: bool, ago: timedelta = timedelta(seconds=20)) -> TrialsRefused:
    return TrialsRefused(why="exceeded quota: trials", since=NOW - ago, due=due)


def test_while_trials_are_refused_none_is_started_and_the_search_says_so_once() -> None:
    known = {"suggestions": suggest(*range(4)), "trials_refused": refused(due=False)}
    plan = decide(make_experiment(), make_trial(0), **known)
    status = experiment_status(plan)
    condition = find_condition(status.conditions, "Searching")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "TrialRefused")
    assert condition.message == "new trials: exceeded quota: trials"
    succeeded = find_condition(status.conditions, "Succeeded")
    assert succeeded is not None
    assert succeeded.reason == "TrialRefused"
    assert (plan.create_trials, asks(plan)) == ([], [])
    assert [event.reason for event in plan.events].count("TrialRefused") == 1
    again = decide(make_experiment().model_copy(update={"status": status}), make_trial(0), **known)
    assert again.events == []


def test_what_is_tried_after_a_refusal_counts_once_it_is_there() -> None:
    known = {"suggestions": suggest(*range(4)), "trials_refused": refused(due=True)}
    plan = decide(make_experiment(), make_trial(0), **known)
    assert [trial.spec.index for trial in plan.create_trials] == [1, 2, 3]
    assert experiment_status(plan).trials.created == 1
    assert (plan.told, [entry for entry in plan.log if entry.event == "Started"]) == ({}, [])


def test_a_refused_trial_that_is_tried_again_keeps_a_search_from_ending_by_what_is_suggested_behind_it() -> None:
    spent = Suggestion(index=1, exhausted="SpaceExhausted")
    known = {"suggestions": {**suggest(0), 1: spent}, "trials_refused": refused(due=True)}
    plan = decide(make_experiment(), **known)
    assert [trial.spec.index for trial in plan.create_trials] == [0]
    status = experiment_status(plan)
    assert status.search_finished_at is None
    assert reason_of(status, "Failed") is None
    condition = find_condition(status.conditions, "Searching")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "TrialRefused")


def test_answers_are_taken_in_while_trials_are_refused() -> None:
    experiment, trial = make_experiment(), make_trial(0, "Built")
    answers = {task_id_of(experiment, trial): (make_answer(task_id_of(experiment, trial)),)}
    plan = decide(experiment, trial, results=answers, trials_refused=refused(due=False))
    assert reason_of(plan.trial_status["digits-00000"], "Succeeded")


def test_a_search_that_can_make_no_trial_for_a_day_fails_and_says_why() -> None:
    known = {"suggestions": suggest(1)}
    ago = UNSCHEDULABLE_DEADLINE + timedelta(seconds=1)
    plan = decide(make_experiment(), trials_refused=refused(due=True, ago=ago), **known)
    status = experiment_status(plan)
    assert reason_of(status, "Failed") == "TrialRefused"
    assert "exceeded quota: trials" in message_of(status, "Failed")
    assert plan.create_trials == []


def test_a_search_that_is_over_needs_no_further_trial() -> None:
    ago = UNSCHEDULABLE_DEADLINE + timedelta(seconds=1)
    over = make_experiment(search_finished_at=NOW - seconds(1))
    plan = decide(over, make_trial(0, "Succeeded"), trials_refused=refused(due=True, ago=ago))
    assert reason_of(experiment_status(plan), "Failed") is None


def test_the_budget_is_spent_only_when_the_last_trial_is_done() -> None:
    done = [make_trial(index, "Succeeded") for index in range(7)]
    running = experiment_status(decide(make_experiment(), *done, make_trial(7)))
    assert running.search_finished_at is None
    over = experiment_status(decide(make_experiment(), *done, make_trial(7, "Succeeded")))
    assert over.search_finished_at == NOW
    assert message_of(over, "Searching") == "all 8 trials were started"


def test_an_exhausted_space_ends_the_search() -> None:
    exhausted = {1: Suggestion(index=1, exhausted="SpaceExhausted")}
    plan = decide(make_experiment(), make_trial(0, "Succeeded"), suggestions=exhausted)
    status = experiment_status(plan)
    assert status.search_finished_at == NOW
    assert "every architecture" in message_of(status, "Searching")
    assert asks(plan) == []


def test_what_was_suggested_before_the_space_was_exhausted_is_still_tried() -> None:
    suggestions = {**suggest(0), 1: Suggestion(index=1, exhausted="SpaceExhausted")}
    plan = decide(make_experiment(), suggestions=suggestions)
    assert [trial.spec.index for trial in plan.create_trials] == [0]
    assert experiment_status(plan).search_finished_at is None


def test_no_feasible_architecture_ends_with_the_closest_one_and_a_reason() -> None:
    exhausted = {0: Suggestion(index=0, exhausted="NoFeasibleArchitecture", closest=architecture(3))}
    status = experiment_status(decide(make_experiment(), suggestions=exhausted))
    assert reason_of(status, "Failed") == "NoFeasibleArchitecture"
    assert architecture(3) in message_of(status, "Failed")
    assert status.finished_at == NOW


def test_when_the_time_is_spent_what_nobody_has_in_hand_is_withdrawn() -> None:
    experiment = spent()
    claimed, waiting, building = make_trial(0, "Built"), make_trial(1, "Built"), make_trial(2)
    tasks = {
        task_id_of(experiment, claimed): make_lease(entry="1-0"),
        task_id_of(experiment, waiting): make_lease("Waiting", entry="2-0"),
    }
    plan = decide(experiment, claimed, waiting, building, tasks=tasks, suggestions=suggest(*range(8)))
    assert reason_of(plan.trial_status["digits-00001"], "Failed") == "Withdrawn"
    assert reason_of(plan.trial_status["digits-00002"], "Failed") == "Withdrawn"
    assert "digits-00000" not in {n for n, s in plan.trial_status.items() if reason_of(s, "Failed")}
    assert (plan.delete_tasks, plan.builds, plan.create_trials, asks(plan)) == (["2-0"], [], [], [])
    assert experiment_status(plan).search_finished_at is None


@pytest.mark.parametrize("lease", [make_lease("Answered"), make_lease("Claimed")])
def test_when_the_time_is_spent_an_answer_on_its_way_is_waited_for(lease: Any) -> None:
    experiment, trial = spent(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, tasks={task: lease})
    assert not any(reason_of(status, "Failed") for status in plan.trial_status.values())
    arrived = decide(experiment, trial, results={task: (make_answer(task),)})
    assert reason_of(arrived.trial_status["digits-00000"], "Succeeded")


def test_withdrawn_trials_are_no_failures() -> None:
    plan = decide(spent(maxFailedTrials=0), make_trial(0), make_trial(1, "Succeeded"))
    assert not reason_of(experiment_status(plan), "Failed")


def test_the_time_is_no_limit_to_trials_by_hand() -> None:
    plan = decide(spent(), make_trial(None), make_trial(0, "Succeeded"))
    assert [request.architecture for request in plan.builds] == [make_trial(None).spec.architecture]
    assert experiment_status(plan).search_finished_at is None


def test_the_time_runs_from_the_moment_the_reference_is_there() -> None:
    waiting = make_experiment(reference=None, started_at=None)
    status = experiment_status(decide(waiting))
    assert status.started_at is None
    begun = make_experiment(started_at=None)
    assert experiment_status(decide(begun)).started_at == NOW


def test_too_many_failures_end_it_and_say_which() -> None:
    bad = [make_trial(0, "Failed"), make_trial(1, "Failed", reason="OutOfMemory"), make_trial(2, "Failed")]
    experiment = make_experiment(budget={"maxFailedTrials": 2})
    assert not reason_of(experiment_status(decide(experiment, *bad[:2])), "Failed")
    plan = decide(experiment, *bad, make_trial(3))
    status = experiment_status(plan)
    assert reason_of(status, "Failed") == "TooManyFailedTrials"
    assert message_of(status, "Failed") == "more than 2 trials failed: OutOfMemory 1, Poisoned 2"
    assert reason_of(plan.trial_status["digits-00003"], "Failed") == "Withdrawn"


def test_failures_of_trials_by_hand_are_their_authors_own() -> None:
    by_hand = [make_trial(None, "Failed", name=f"by-hand-{n}") for n in range(3)]
    plan = decide(make_experiment(budget={"maxFailedTrials": 1}), *by_hand)
    assert not reason_of(experiment_status(plan), "Failed")
    assert experiment_status(plan).trials.failed == 3


# -- what the tuner is told ------------------------------------------------------------------------------------------


def test_everything_is_told_once_and_ends_before_starts_before_asks() -> None:
    experiment, trial = make_experiment(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, suggestions=suggest(1), results={task: (make_answer(task),)}, log=LogView(asked=1))
    assert [entry.event for entry in plan.log] == ["Finished", "Started", "Ask"]
    finished, started, _ = plan.log
    assert finished == LogEntry(
        event="Finished",
        index=0,
        architecture=architecture(0),
        outcome="Scored",
        score=0.8,
        accuracy=0.8,
        latency_ms=5.0,
        reference_ms=2.0,
        violation=0.0,
    )
    assert (started.index, started.architecture) == (1, architecture(1))
    assert plan.told == {"digits-00000": "Finished", "digits-00001": "Started"}


def test_failed_trials_and_those_by_hand_are_told_too() -> None:
    by_hand = make_trial(None, "Failed")
    plan = decide(make_experiment(), by_hand, untold=(by_hand,), log=LogView(asked=4))
    (entry,) = plan.log
    assert (entry.event, entry.outcome, entry.index) == ("Finished", "Failed", None)


def test_after_redis_lost_everything_all_is_told_again() -> None:
    done = [make_trial(index, "Succeeded") for index in range(3)]
    plan = decide(make_experiment(), *done, make_trial(3), make_trial(None), untold=tuple(done), log=LogView())
    events = [(entry.event, entry.index) for entry in plan.log]
    assert events == [
        ("Finished", 0),
        ("Finished", 1),
        ("Finished", 2),
        ("Started", 3),
        ("Started", None),
        ("Ask", None),
    ]
    assert asks(plan) == [7]


def test_what_was_told_is_not_told_again() -> None:
    done = make_trial(0, "Succeeded")
    names = frozenset({"digits-00000", "digits-00001"})
    log = LogView(asked=5, started=names, finished=frozenset({"digits-00000"}))
    plan = decide(make_experiment(), done, make_trial(1), untold=(done,), log=log)
    assert (plan.log, plan.told) == ([], {})


@pytest.mark.parametrize("objective", [{"scoring": "PenalizedAccuracy"}, {"scoring": "ConstraintFirst"}])
def test_an_infeasible_end_is_told_as_the_scoring_sees_it(objective: dict[str, str]) -> None:
    slow = make_trial(0, "Succeeded", metrics=make_metrics(p50=20.0), score=0.4, feasible=False, violation=1.0)
    experiment = make_experiment(objective=objective)
    plan = decide(experiment, slow, untold=(slow,), log=LogView(asked=5))
    expected = "Scored" if objective["scoring"] == "PenalizedAccuracy" else "Infeasible"
    assert [entry.outcome for entry in plan.log] == [expected]


def test_a_tuner_owes_what_was_asked_and_not_suggested() -> None:
    assert awaits_suggestions(observe(log=LogView(asked=2), suggestions=suggest(0)))
    assert not awaits_suggestions(observe(log=LogView(asked=2), suggestions=suggest(0, 1)))
    assert not awaits_suggestions(observe(None, make_trial(0), make_trial(1), log=LogView(asked=2)))
    exhausted = {0: Suggestion(index=0, exhausted="SpaceExhausted")}
    assert not awaits_suggestions(observe(log=LogView(asked=4), suggestions=exhausted))


def test_what_is_measured_and_limited_is_told_as_a_share_of_its_limit() -> None:
    limits = (
        {"metric": "Latency", "max": "10ms"},
        {"metric": "FLOPs", "max": "2M"},
        {"metric": "Throughput", "min": "200/s"},
        {"metric": "PeakMemory", "max": "1Ki"},
        {"metric": "Energy", "max": "5mJ"},
        {"metric": "Cost", "max": "2.0"},
    )
    experiment = make_experiment(constraints=limits, target={"pricePerHour": "3.6"})
    metrics = make_metrics(throughput=100.0, peakMemoryBytes=512, energyMillijoules=0.0, cost=5.0)
    done = make_trial(0, "Succeeded", metrics=metrics, checkpoint="a" * 64)
    (entry,) = decide(experiment, done, untold=(done,), log=LogView(asked=5)).log
    assert entry.ratios == {"Throughput": 2.0, "PeakMemory": 0.5, "Energy": 0.0, "Cost": 2.5}
    assert entry.checkpoint == "a" * 64


def test_a_relative_cost_is_told_by_the_relative_latency() -> None:
    experiment = make_experiment(
        constraints=({"metric": "Cost", "maxRelative": "5.0"},), target={"pricePerHour": "3.6"}
    )
    done = make_trial(0, "Succeeded")
    (entry,) = decide(experiment, done, untold=(done,), log=LogView(asked=5)).log
    assert entry.ratios == {"Cost": 0.5}
