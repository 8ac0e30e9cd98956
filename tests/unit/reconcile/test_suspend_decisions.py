"""A suspended experiment: nothing is started or kept up, answers are taken in, no time passes; then it goes on."""

from dataclasses import replace
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Trial, find_condition
from pfpnas_operator.reconcile import LogView, Plan, names, reconcile_experiment
from support.reconcile_builders import (
    NOW,
    artifact,
    condition,
    experiment_status,
    make_answer,
    make_experiment,
    make_finalist,
    make_job,
    make_lease,
    make_trial,
    observe,
    own_jobs,
    reason_of,
    seconds,
    suggest,
    task_id_of,
)


def suspended(*, wanted: bool = True, **fields: Any) -> NASExperiment:
    experiment = make_experiment(**fields)
    return experiment.model_copy(update={"spec": experiment.spec.model_copy(update={"suspend": wanted})})


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def said(plan: Plan, kind: str) -> tuple[str, str]:
    found = find_condition(experiment_status(plan).conditions, kind)
    assert found is not None
    return found.status, found.reason


def test_a_suspended_search_keeps_no_job_and_starts_nothing() -> None:
    plan = decide(suspended(), make_trial(0), make_trial(1, "Built"), suggestions=suggest(2, 3), log=LogView(asked=4))
    assert sorted(plan.delete_jobs) == ["digits-tune", "digits-worker"]
    assert (plan.create_jobs, plan.create_trials, plan.builds, plan.tasks) == ([], [], [], [])
    assert not [entry for entry in plan.log if entry.event == "Ask"]
    assert said(plan, "Suspended") == ("True", "Suspended")
    assert said(plan, "Searching") == said(plan, "Succeeded") == ("False", "Suspended")
    assert experiment_status(plan).suspended_at == NOW


def test_trials_stay_as_they_are_and_no_attempt_is_counted() -> None:
    building, built = make_trial(0, buildAttempts=2), make_trial(1, "Built", measureAttempts=1)
    first = decide(suspended(), building, built)
    assert "digits-00000" not in first.trial_status
    for status in first.trial_status.values():
        assert (status.build_attempts, status.measure_attempts) == (1, 1)


def test_a_pods_job_goes_and_is_made_again_as_the_same_attempt() -> None:
    fields = {"mode": "Pod", "budget": {"maxTrials": 1}}
    trial = make_trial(0, buildAttempts=2)
    (job,) = [one for one in decide(make_experiment(**fields), trial).create_jobs if one.workload == "trial"]
    running = own_jobs(make_experiment(mode="Pod")) | {job.name: make_job(job.name)}
    assert job.name in decide(suspended(**fields), trial, jobs=running).delete_jobs
    leaving = {name: replace(view, leaving=True) for name, view in running.items()}
    assert decide(suspended(**fields), trial, jobs=leaving).delete_jobs == []
    again = decide(suspended(wanted=False, suspended_at=NOW - seconds(9), **fields), trial, jobs=leaving)
    assert (again.create_jobs, again.delete_jobs) == ([], [])
    gone = decide(suspended(wanted=False, suspended_at=NOW - seconds(9), **fields), trial, jobs={})
    assert sorted(one.name for one in gone.create_jobs) == sorted([job.name, "digits-tune"])


def test_tasks_that_nobody_claimed_are_withdrawn_and_claimed_ones_left() -> None:
    experiment = suspended()
    waiting, claimed = make_trial(0, "Built"), make_trial(1, "Built")
    tasks = {
        task_id_of(experiment, waiting): make_lease("Waiting", entry="1-0"),
        task_id_of(experiment, claimed): make_lease(entry="2-0"),
    }
    plan = decide(experiment, waiting, claimed, tasks=tasks)
    assert plan.delete_tasks == ["1-0"]
    found = find_condition(experiment_status(plan).conditions, "Suspended")
    assert found is not None
    assert found.message.endswith("still taken in: 1")


def test_builds_on_the_road_are_withdrawn_claimed_ones_too_since_their_workers_go() -> None:
    leases = {"a": make_lease("Waiting", entry="1-0"), "b": make_lease(entry="2-0")}
    assert sorted(decide(suspended(), make_trial(0), builds=leases).delete_builds) == ["1-0", "2-0"]


def test_an_answer_that_comes_while_it_is_suspended_counts() -> None:
    experiment, trial = suspended(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, tasks={task: make_lease(entry="2-0")}, results={task: (make_answer(task),)})
    assert reason_of(plan.trial_status["digits-00000"], "Succeeded") == "Scored"
    assert experiment_status(plan).trials.succeeded == 1
    assert len(plan.delete_results) == 1
    assert [entry.event for entry in plan.log] == ["Finished"]


def test_chunks_that_were_missed_are_pushed_although_it_is_suspended() -> None:
    experiment, trial = suspended(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, results={task: (make_answer(task, failure="BlobMissing"),)})
    assert (plan.tasks, trial.status.artifact in plan.push) == ([], True)
    assert plan.trial_status["digits-00000"].measure_attempts == 1


def test_a_search_is_not_over_while_it_is_suspended() -> None:
    spent = suspended(budget={"maxTrials": 1, "maxDurationSeconds": 10}, started_at=NOW - seconds(60))
    plan = decide(spent, make_trial(0, "Succeeded"))
    assert experiment_status(plan).search_finished_at is None
    late = decide(spent, make_trial(0, "Built"))
    assert "digits-00000" not in late.trial_status or not reason_of(late.trial_status["digits-00000"], "Failed")


def test_what_was_begun_of_the_end_is_taken_in_and_nothing_planned() -> None:
    first, second = make_trial(0, "Succeeded"), make_trial(1, "Succeeded", score=0.9)
    over = {"search_finished_at": NOW, "conditions": (condition("Searching", "BudgetSpent", status="False"),)}
    ended = suspended(finalists=(make_finalist(first), make_finalist(second)), **over)
    plan = decide(ended, first, second)
    status = experiment_status(plan)
    assert (status.evaluations, status.finished_at, plan.tasks) == ((), None, [])
    assert said(plan, "Searching") == ("False", "BudgetSpent")
    assert said(plan, "Suspended") == ("True", "Suspended")


def test_nothing_is_written_while_it_stays_suspended() -> None:
    observed = observe(suspended(), make_trial(0), jobs={})
    first = reconcile_experiment(observed, NOW)
    asleep = observed.experiment.model_copy(update={"status": first.status})
    log = LogView(started=frozenset(["digits-00000"]))
    assert reconcile_experiment(replace(observed, experiment=asleep, log=log), NOW + seconds(9)) == Plan()


def test_a_resumed_search_goes_on_and_its_sleep_is_none_of_its_time() -> None:
    asleep = {"started_at": NOW - seconds(100), "suspended_at": NOW - seconds(70), "suspended_seconds": 5}
    limit = {"maxTrials": 8, "maxDurationSeconds": 30}
    plan = decide(suspended(wanted=False, budget=limit, **asleep), make_trial(0), suggestions=suggest(1))
    status = experiment_status(plan)
    assert [trial.metadata.name for trial in plan.create_trials] == ["digits-00001"]
    assert (status.suspended_at, status.suspended_seconds) == (None, 75)
    assert said(plan, "Suspended") == ("False", "Resumed")
    assert said(plan, "Searching") == ("True", "Searching")
    spent = decide(suspended(wanted=False, budget={**limit, "maxDurationSeconds": 24}, **asleep), make_trial(0))
    assert said(spent, "Searching") == ("False", "DurationSpent")


def test_sleep_before_the_search_began_does_not_count_either_way() -> None:
    before = suspended(wanted=False, reference=None, started_at=None, suspended_at=NOW - seconds(70))
    assert experiment_status(decide(before)).suspended_seconds == 0
    across = suspended(wanted=False, started_at=NOW - seconds(30), suspended_at=NOW - seconds(70))
    assert experiment_status(decide(across)).suspended_seconds == 30


def test_suspending_before_there_is_a_supernet_says_so_at_once() -> None:
    plan = decide(suspended(reference=None, started_at=None), supernet=None)
    assert said(plan, "Suspended") == ("True", "Suspended")
    assert said(plan, "Succeeded") == ("False", "Suspended")


def test_an_answer_waits_for_a_supernet_that_is_away() -> None:
    experiment, trial = suspended(), make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    plan = decide(experiment, trial, supernet=None, results={task: (make_answer(task),)})
    assert (plan.delete_results, plan.replicates) == ([], 0)
    assert sorted(plan.delete_jobs) == ["digits-tune", "digits-worker"]


def test_suspending_an_ended_experiment_only_says_so_and_keeps_it_ended() -> None:
    over = {
        "search_finished_at": NOW,
        "finished_at": NOW,
        "conditions": (condition("Searching", "BudgetSpent", status="False"), condition("Succeeded", "BudgetSpent")),
    }
    raised = {"budget": {"maxTrials": 50}, **over}
    plan = decide(suspended(**raised), make_trial(0, "Succeeded"))
    assert said(plan, "Suspended") == ("False", "Ended")
    assert said(plan, "Succeeded") == ("True", "BudgetSpent")
    assert plan.events == []
    resumed = decide(suspended(wanted=False, **raised), make_trial(0, "Succeeded"), suggestions=suggest(1))
    assert said(resumed, "Searching") == ("True", "Searching")
    assert resumed.create_trials


@pytest.mark.parametrize("mode", ["Pod", "Pooled"])
def test_lowering_parallel_trials_stops_neither_builds_nor_measurements(mode: str) -> None:
    experiment = make_experiment(mode=mode, budget={"maxTrials": 8, "parallelTrials": 1})
    trials = [make_trial(index, "Built" if index % 2 else "Pending", buildAttempts=1) for index in range(4)]
    builds = {
        job.name: make_job(job.name) for job in decide(experiment, *trials).create_jobs if job.workload == "trial"
    }
    assert len(builds) == (2 if mode == "Pod" else 0)
    tasks = {task_id_of(experiment, trials[1]): make_lease(entry="2-0")}
    plan = decide(experiment, *trials, suggestions=suggest(4, 5), jobs=own_jobs(experiment) | builds, tasks=tasks)
    assert (plan.delete_jobs, plan.delete_tasks, plan.create_trials) == ([], [], [])
    assert not [status for status in plan.trial_status.values() if reason_of(status, "Failed")]
    assert [task.task_id for task in plan.tasks] == [task_id_of(experiment, trials[3])], "the other is being measured"


def test_a_namespace_that_may_not_use_the_pool_starts_nothing() -> None:
    why = "pool bench is not open to namespace default: add it to `pools`"
    fresh = make_experiment(reference=None, started_at=None)
    plan = decide(fresh, jobs={}, pool_refused=why)
    assert said(plan, "Accepted") == said(plan, "Succeeded") == ("False", "PoolNotAllowed")
    assert (plan.create_jobs, plan.builds, plan.tasks) == ([], [], [])
    assert [(event.type, event.reason, event.message) for event in plan.events] == [("Warning", "PoolNotAllowed", why)]
    waits = fresh.model_copy(update={"status": experiment_status(plan)})
    assert decide(waits, jobs={}, pool_refused=why) == Plan()
    opened = decide(waits, jobs={})
    assert said(opened, "Accepted") == ("True", "Valid")
    assert names.tune_job(fresh) in [job.name for job in opened.create_jobs]


def test_a_pool_that_is_closed_in_mid_search_stops_it() -> None:
    trial = make_trial(0, "Built")
    experiment = make_experiment(conditions=(condition("Accepted", "Valid"),))
    tasks = {task_id_of(experiment, trial): make_lease("Waiting", entry="1-0")}
    plan = decide(experiment, trial, tasks=tasks, pool_refused="closed")
    assert sorted(plan.delete_jobs) == ["digits-tune", "digits-worker"]
    assert plan.delete_tasks == ["1-0"]
    assert artifact("model 0") == trial.status.artifact
