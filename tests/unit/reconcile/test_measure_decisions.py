"""A trial's measurement: queued, claimed, lost, answered well or badly, late, twice, by nobody."""

from typing import Any, get_args

import pytest

from pfpnas_api.kinds import NASExperiment, Trial, find_condition
from pfpnas_api.messages import EXPERIMENT_REASONS, FailureReason, Heartbeat, ModelRef
from pfpnas_operator.reconcile import Plan, reconcile_experiment
from pfpnas_operator.reconcile.deadlines import ANSWER_GRACE, CLAIM_GRACE, MOST_ATTEMPTS
from pfpnas_operator.reconcile.measuring import ADVICE, measure_task
from pfpnas_operator.reconcile.willing import AGENTS_REASONS
from support.reconcile_builders import (
    NOW,
    artifact,
    experiment_status,
    make_answer,
    make_experiment,
    make_lease,
    make_trial,
    message_of,
    observe,
    reason_of,
    task_id_of,
)

BUSY = {"maxTrials": 1, "parallelTrials": 1, "maxFailedTrials": 5}
NAME = "digits-00000"


def decide(
    *,
    experiment: NASExperiment | None = None,
    trial: Trial | None = None,
    lease: Any = None,
    answers: Any = (),
    **more: Any,
) -> Plan:
    experiment, trial = experiment or make_experiment(budget=BUSY), trial or make_trial(0, "Built")
    task = task_id_of(experiment, trial)
    tasks = {} if lease is None else {task: lease}
    results = {task: tuple(make_answer(task, **answer) for answer in answers)} if answers else {}
    return reconcile_experiment(observe(experiment, trial, tasks=tasks, results=results, **more), NOW)


def state_of(plan: Plan) -> str:
    found = find_condition(plan.trial_status[NAME].conditions, "Measured")
    assert found is not None
    return found.reason


# -- the road --------------------------------------------------------------------------------------------------------


def test_a_built_candidate_is_put_on_the_road_beside_the_reference() -> None:
    (task,) = decide().tasks
    assert task.model == ModelRef.of(artifact("model 0"))
    assert task.reference == ModelRef.of(artifact("reference"))
    assert (task.dataset, task.split, task.experiment) == ("private", "Validation", "ex-uid")


@pytest.mark.parametrize(
    ("constraint", "absolute", "relative"),
    [({"max": "10ms"}, 25.0, None), ({"maxRelative": "3.0"}, None, 7.5)],
)
def test_an_agent_is_told_from_where_on_the_accuracy_is_not_worth_it(
    constraint: Any, absolute: Any, relative: Any
) -> None:
    experiment = make_experiment(
        budget=BUSY,
        constraints=({"metric": "Latency", **constraint},),
        target={"measurement": {"skipAccuracyAbove": "2.5"}},
    )
    (task,) = decide(experiment=experiment).tasks
    assert task.measurement.skip_accuracy_over_ms == absolute
    assert task.measurement.skip_accuracy_over_relative == relative
    on_test = measure_task(experiment, artifact("a"), artifact("b"), split="Test").measurement
    assert (on_test.skip_accuracy_over_ms, on_test.skip_accuracy_over_relative) == (None, None)


def test_waiting_in_the_queue_ends_no_trial() -> None:
    plan = decide(lease=make_lease("Waiting", age=10**7))
    assert (plan.tasks, plan.delete_tasks) == ([], [])
    assert state_of(plan) == "Queued"


def test_a_claimed_task_is_being_measured() -> None:
    plan = decide(lease=make_lease(age=100))
    assert (plan.tasks, plan.delete_tasks) == ([], [])
    assert state_of(plan) == "Measuring"


def test_a_claim_past_the_deadline_moves() -> None:
    limit = 120 + CLAIM_GRACE.total_seconds()
    assert decide(lease=make_lease(age=limit)).tasks == []
    plan = decide(lease=make_lease(age=limit + 1, entry="4-0"))
    assert (len(plan.tasks), plan.delete_tasks) == (1, ["4-0"])
    assert plan.trial_status[NAME].measure_attempts == 1


def test_a_dead_agents_task_moves_after_a_short_grace() -> None:
    grace = CLAIM_GRACE.total_seconds()
    others = {"agent-2": Heartbeat(state="Idle")}
    assert decide(lease=make_lease(age=grace), agents=others).tasks == []
    assert len(decide(lease=make_lease(age=grace + 1), agents=others).tasks) == 1


def test_an_acknowledgement_without_an_answer_is_an_attempt_after_a_grace() -> None:
    grace = ANSWER_GRACE.total_seconds()
    assert decide(lease=make_lease("Answered", age=grace)).tasks == []
    assert len(decide(lease=make_lease("Answered", age=grace + 1)).tasks) == 1


def test_the_third_claim_without_an_answer_is_the_last() -> None:
    trial = make_trial(0, "Built", measureAttempts=MOST_ATTEMPTS - 1)
    plan = decide(trial=trial, lease=make_lease(age=1000, entry="4-0"))
    assert reason_of(plan.trial_status[NAME], "Failed") == "Poisoned"
    assert (plan.tasks, plan.delete_tasks) == ([], ["4-0"])


def test_a_task_whose_answers_were_all_refused_says_so_and_not_that_its_agent_died() -> None:
    trial = make_trial(0, "Built", measureAttempts=MOST_ATTEMPTS - 1)
    wrong = [{"latency": latency(5.0, 4.0)}]
    refused = decide(trial=trial, lease=make_lease("Answered", age=0), answers=wrong)
    assert experiment_status(refused).refused_results == 1
    assert not refused.trial_status.get(NAME) or not reason_of(refused.trial_status[NAME], "Failed")
    plan = decide(trial=trial, lease=make_lease("Answered", age=1000, entry="4-0"))
    assert reason_of(plan.trial_status[NAME], "Failed") == "NoUsableAnswer"
    assert "nothing that can be true (status.refusedResults)" in message_of(plan.trial_status[NAME], "Failed")


def test_a_task_that_redis_lost_is_issued_again_and_not_counted() -> None:
    plan = decide(trial=make_trial(0, "Built", measureAttempts=1))
    assert len(plan.tasks) == 1
    assert plan.trial_status[NAME].measure_attempts == 1


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_good_answer_is_accepted_scored_and_cleared() -> None:
    plan = decide(lease=make_lease(entry="4-0"), answers=[{}])
    status = plan.trial_status[NAME]
    assert reason_of(status, "Succeeded") == "Scored"
    assert reason_of(status, "Measured")
    assert (status.score, status.feasible, status.finished_at) == (0.8, True, NOW)
    assert status.metrics is not None
    assert status.metrics.latency_milliseconds is not None
    assert status.metrics.latency_milliseconds.p50 == 5.0
    assert status.metrics.flops == 10**6
    assert plan.delete_tasks == ["4-0"]
    assert [answer.entry for answer in plan.delete_results] == ["7-0"]
    counts = experiment_status(plan).trials
    assert (counts.succeeded, counts.running) == (1, 0)


def test_an_answer_counts_however_late_it_is() -> None:
    lost = make_lease(age=10**6)
    assert reason_of(decide(lease=lost, answers=[{}], agents={}).trial_status[NAME], "Succeeded")
    assert reason_of(decide(answers=[{}]).trial_status[NAME], "Succeeded")


def test_over_a_limit_it_succeeds_as_infeasible() -> None:
    experiment = make_experiment(budget=BUSY, constraints=({"metric": "Latency", "max": "4ms"},))
    plan = decide(experiment=experiment, answers=[{}])
    status = plan.trial_status[NAME]
    assert reason_of(status, "Succeeded") == "InfeasibleByConstraint"
    assert message_of(status, "Succeeded") == "over the limit: Latency"
    assert (status.feasible, experiment_status(plan).trials.infeasible) == (False, 1)


def test_a_relative_limit_on_what_is_counted_is_kept_and_told_as_such() -> None:
    limits = ({"metric": "FLOPs", "maxRelative": "0.001"},)
    plan = decide(experiment=make_experiment(budget=BUSY, constraints=limits), answers=[{}])
    assert reason_of(plan.trial_status[NAME], "Succeeded") == "InfeasibleByConstraint"
    assert [entry.outcome for entry in plan.log if entry.event == "Finished"] == ["Infeasible"]


def test_the_price_is_worked_out() -> None:
    plan = decide(experiment=make_experiment(budget=BUSY, target={"pricePerHour": "3.6"}), answers=[{}])
    metrics = plan.trial_status[NAME].metrics
    assert metrics is not None
    assert metrics.cost == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("limits", "answer", "named"),
    [
        (({"metric": "Energy", "max": "5mJ"},), {}, "Energy"),
        ((), {"accuracy": None}, "Accuracy"),
        ((), {"latency": None}, "Latency"),
    ],
)
def test_a_metric_that_nobody_measured_fails_the_trial(limits: Any, answer: Any, named: str) -> None:
    plan = decide(experiment=make_experiment(budget=BUSY, constraints=limits), answers=[answer])
    assert reason_of(plan.trial_status[NAME], "Failed") == "MetricUnavailable"
    assert named in message_of(plan.trial_status[NAME], "Failed")


def test_of_several_answers_the_first_good_one_wins_and_the_others_are_replicates() -> None:
    answers = [
        {"entry": "1-0", "failure": "BackendFailed"},
        {"entry": "2-0", "accuracy": {"value": 0.7, "samples": 500}},
        {"entry": "3-0", "agent": "agent-2"},
    ]
    plan = decide(answers=answers)
    assert plan.trial_status[NAME].score == 0.7
    assert len(plan.delete_results) == 3
    assert experiment_status(plan).replicates == 2


def test_answers_that_nobody_waits_for_are_swept_and_counted() -> None:
    late = task_id_of(make_experiment(budget=BUSY), make_trial(3, "Built"))
    observed = observe(
        make_experiment(budget=BUSY, replicates=1),
        make_trial(0, "Built"),
        results={late: (make_answer(late),)},
        tasks={late: make_lease(entry="9-0")},
    )
    plan = reconcile_experiment(observed, NOW)
    assert [answer.entry for answer in plan.delete_results] == ["7-0"]
    assert plan.delete_tasks == ["9-0"]
    assert experiment_status(plan).replicates == 2


def test_trials_with_equal_candidates_share_a_measurement() -> None:
    twin = make_trial(None, "Built", artifact=artifact("model 0"))
    experiment, trial = make_experiment(budget=BUSY), make_trial(0, "Built")
    assert len(reconcile_experiment(observe(experiment, trial, twin), NOW).tasks) == 1
    task = task_id_of(experiment, trial)
    answered = observe(
        experiment, trial, twin, results={task: (make_answer(task),)}, tasks={task: make_lease(entry="4-0")}
    )
    plan = reconcile_experiment(answered, NOW)
    assert {reason_of(status, "Succeeded") for status in plan.trial_status.values()} == {"Scored"}
    assert (len(plan.delete_results), plan.delete_tasks) == (1, ["4-0"])
    assert experiment_status(plan).replicates == 0


# -- answers that are reasons ----------------------------------------------------------------------------------------


def test_lost_chunks_are_pushed_again_and_the_task_issued_again() -> None:
    plan = decide(lease=make_lease(entry="4-0"), answers=[{"failure": "BlobMissing"}])
    assert plan.push == [artifact("model 0"), artifact("reference")]
    assert (len(plan.tasks), plan.delete_tasks, len(plan.delete_results)) == (1, ["4-0"], 1)
    assert plan.trial_status[NAME].measure_attempts == 1


def test_a_device_that_is_away_is_asked_again() -> None:
    plan = decide(answers=[{"failure": "DeviceUnavailable"}])
    assert (len(plan.tasks), plan.push) == (1, [])
    assert not reason_of(plan.trial_status[NAME], "Failed")


@pytest.mark.parametrize("reason", ["BlobMissing", "DeviceUnavailable"])
def test_what_may_pass_is_tried_so_often_and_no_more(reason: str) -> None:
    trial = make_trial(0, "Built", measureAttempts=MOST_ATTEMPTS - 1)
    plan = decide(trial=trial, answers=[{"failure": reason}])
    assert reason_of(plan.trial_status[NAME], "Failed") == reason
    assert plan.tasks == []


CANDIDATES = ["BackendFailed", "BadModel", "MeasurementTimeout", "OutOfMemory", "UnsupportedOperator"]


@pytest.mark.parametrize("reason", CANDIDATES)
def test_a_candidates_own_fault_fails_the_trial_alone(reason: str) -> None:
    plan = decide(answers=[{"failure": reason}])
    assert reason_of(plan.trial_status[NAME], "Failed") == reason
    assert message_of(plan.trial_status[NAME], "Failed") == ADVICE[reason]
    assert reason_of(experiment_status(plan), "Failed") == "NoTrialSucceeded"  # it was the only one
    assert f"{reason} 1" in message_of(experiment_status(plan), "Failed")


@pytest.mark.parametrize("reason", sorted(EXPERIMENT_REASONS))
def test_a_fault_that_every_candidate_would_meet_fails_the_experiment_with_advice(reason: str) -> None:
    experiment = make_experiment(budget={**BUSY, "maxTrials": 8, "parallelTrials": 3})
    first, second, third = make_trial(0, "Built"), make_trial(1, "Built"), make_trial(2)
    bad, good = task_id_of(experiment, first), task_id_of(experiment, second)
    results = {bad: (make_answer(bad, failure=reason),), good: (make_answer(good, entry="8-0"),)}
    plan = reconcile_experiment(observe(experiment, first, second, third, results=results), NOW)
    status = experiment_status(plan)
    assert reason_of(status, "Failed") == reason
    assert message_of(status, "Failed") == ADVICE[reason]
    assert reason_of(plan.trial_status["digits-00001"], "Succeeded")  # what was measured is kept
    assert reason_of(plan.trial_status["digits-00002"], "Failed") == "Withdrawn"
    assert (status.trials.succeeded, status.trials.failed, status.trials.created) == (1, 2, 3)
    assert (plan.builds, plan.tasks, plan.create_trials) == ([], [], [])
    assert set(plan.delete_jobs) == {"digits-tune", "digits-worker"}


PAIR = {"agent-1": Heartbeat(state="Idle"), "agent-2": Heartbeat(state="Idle")}
BUSY_OTHER = {"agent-1": Heartbeat(state="Idle"), "agent-2": Heartbeat(state="Busy")}


@pytest.mark.parametrize("reason", sorted(AGENTS_REASONS))
def test_one_agent_that_refuses_does_not_decide_for_the_others(reason: str) -> None:
    plan = decide(lease=make_lease(entry="4-0"), answers=[{"failure": reason}], agents=PAIR)
    assert (len(plan.tasks), plan.delete_tasks, len(plan.delete_results)) == (1, ["4-0"], 1)
    assert not reason_of(plan.trial_status[NAME], "Failed")
    assert plan.trial_status[NAME].measure_attempts == 0
    assert not reason_of(experiment_status(plan), "Failed")
    assert [event.reason for event in plan.events if event.type == "Warning"] == ["AgentRefused"]
    assert message_of(experiment_status(plan), "AgentsAvailable").endswith(f"2; refused by agent-1 ({reason})")


def test_that_an_agent_refuses_is_an_event_once() -> None:
    again = decide(answers=[{"failure": "UnknownDataset"}], agents=PAIR, refusers={"agent-1": "UnknownDataset"})
    assert not [event for event in again.events if event.type == "Warning"]
    experiment = make_experiment(budget={**BUSY, "maxTrials": 2, "parallelTrials": 2})
    trials = [make_trial(0, "Built"), make_trial(1, "Built")]
    tasks = [task_id_of(experiment, trial) for trial in trials]
    results = {task: (make_answer(task, failure="UnknownDataset", entry=f"{n}-0"),) for n, task in enumerate(tasks)}
    both = reconcile_experiment(observe(experiment, *trials, results=results, agents=PAIR), NOW)
    assert [event.reason for event in both.events if event.type == "Warning"] == ["AgentRefused"]
    assert len(both.tasks) == 1, "the other agent can take but one of them"


def test_while_who_may_take_it_is_busy_a_refused_task_waits_off_the_road() -> None:
    refusers = {"agent-1": "UnknownDataset"}
    refused = decide(answers=[{"failure": "UnknownDataset"}], agents=BUSY_OTHER, refusers=refusers)
    assert refused.tasks == []
    assert decide(agents=BUSY_OTHER, refusers=refusers).tasks == []
    assert len(decide(agents=PAIR, refusers=refusers).tasks) == 1


def test_all_agents_that_refuse_decide() -> None:
    alone = decide(answers=[{"failure": "UnknownDataset"}])
    assert reason_of(experiment_status(alone), "Failed") == "UnknownDataset"
    last = {"failure": "UnknownDataset", "agent": "agent-2"}
    both = decide(answers=[last], agents=PAIR, refusers={"agent-1": "NamespaceRefused"})
    assert reason_of(experiment_status(both), "Failed") == "UnknownDataset"


def test_what_an_agent_says_of_the_candidate_counts_before_that_another_refused_it() -> None:
    answers = [{"failure": "UnknownDataset"}, {"failure": "OutOfMemory", "agent": "agent-2", "entry": "8-0"}]
    plan = decide(answers=answers, agents=PAIR)
    assert reason_of(plan.trial_status[NAME], "Failed") == "OutOfMemory"


def test_every_reason_has_advice() -> None:
    assert set(get_args(FailureReason)) <= ADVICE.keys()


# -- answers that can't be true --------------------------------------------------------------------------------------


def latency(p50: float, p90: float | None = None) -> dict[str, Any]:
    return {"p50": p50, "p90": p90 or p50, "mad": 0.1, "runs": 64, "reference": 2.0}


@pytest.mark.parametrize(
    "answer",
    [
        {"latency": latency(5.0, 4.0)},
        {"accuracy": None, "accuracy_skipped": True, "latency": latency(19.0)},
        {"accuracy_skipped": True, "latency": latency(30.0)},
        {"accuracy_skipped": True, "latency": None},
    ],
    ids=["tail-below-median", "skipped-below-the-limit", "skipped-and-there", "skipped-without-a-latency"],
)
def test_an_answer_that_contradicts_itself_or_its_task_is_refused_as_if_there_were_none(answer: Any) -> None:
    plan = decide(lease=make_lease(), answers=[answer])
    assert state_of(plan) == "Measuring"
    assert len(plan.delete_results) == 1
    status = experiment_status(plan)
    assert (status.refused_results, status.replicates) == (1, 0)
    assert [event.reason for event in plan.events if event.type == "Warning"] == ["ResultRefused"]


def test_a_true_answer_beside_one_that_cannot_be_counts() -> None:
    wrong = {"latency": latency(5.0, 4.0), "entry": "1-0", "agent": "liar"}
    plan = decide(lease=make_lease(entry="4-0"), answers=[wrong, {"entry": "2-0"}])
    assert plan.trial_status[NAME].score == 0.8
    assert len(plan.delete_results) == 2
    status = experiment_status(plan)
    assert (status.refused_results, status.replicates) == (1, 0)


def test_an_accuracy_may_be_skipped_where_the_task_says_so() -> None:
    plan = decide(answers=[{"accuracy": None, "accuracy_skipped": True, "latency": latency(21.0)}])
    assert reason_of(plan.trial_status[NAME], "Succeeded") == "InfeasibleByConstraint"


def test_an_answer_to_a_task_that_never_was_is_refused() -> None:
    stranger = "f" * 32
    observed = observe(
        make_experiment(budget=BUSY, refused_results=3),
        make_trial(0, "Built"),
        results={stranger: (make_answer(stranger),)},
        strange=frozenset({stranger}),
        refused=2,
    )
    plan = reconcile_experiment(observed, NOW)
    assert [answer.entry for answer in plan.delete_results] == ["7-0"]
    status = experiment_status(plan)
    assert (status.refused_results, status.replicates) == (6, 0)
