"""The end: evaluations, success and failure, and what makes an experiment that has ended go on."""

from typing import Any

import pytest

from pfpnas_api.kinds import Accuracy, Evaluation, NASExperiment, NASExperimentStatus, Trial
from pfpnas_operator.reconcile import Plan, reconcile_experiment
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.measuring import measure_task
from support.reconcile_builders import (
    NOW,
    SPACE,
    artifact,
    build_manifest,
    condition,
    experiment_status,
    make_answer,
    make_checkpoint,
    make_experiment,
    make_finalist,
    make_job,
    make_lease,
    make_metrics,
    make_trial,
    message_of,
    observe,
    reason_of,
    seconds,
    suggest,
)

SEARCHED = condition("Searching", "BudgetSpent", status="False", message="all were started")
BEST = make_trial(1, "Succeeded")
ACCURACY = Accuracy(value=0.8, samples=300)


def searched(*, target: Any = None, budget: Any = None, **status: Any) -> NASExperiment:
    """An experiment whose search is over."""
    again = {"finalists": (make_finalist(BEST),)}
    fields = {"search_finished_at": NOW - seconds(9), "conditions": (SEARCHED,), **again, **status}
    return make_experiment(target=target, budget={"maxTrials": 1, **(budget or {})}, **fields)


def ended(kind: str = "Succeeded", reason: str = "BudgetSpent", **fields: Any) -> NASExperiment:
    conditions = (SEARCHED, condition(kind, reason))
    return searched(conditions=conditions, finished_at=NOW - seconds(5), **fields)


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def evaluations(**unlike: Any) -> tuple[Evaluation, ...]:
    """All of them with their figures, but those named."""
    rows = {
        "best": BEST.spec.architecture,
        "largest": SPACE.maximum().id,
        "smallest": SPACE.minimum().id,
        "untrained": BEST.spec.architecture,
        "rawPixels": None,
    }
    return tuple(
        Evaluation.model_validate({"name": name, "architecture": net, **unlike.get(name, {"accuracy": ACCURACY})})
        for name, net in rows.items()
    )


def by_name(status: NASExperimentStatus) -> dict[str, Evaluation]:
    return {evaluation.name: evaluation for evaluation in status.evaluations}


# -- evaluations -----------------------------------------------------------------------------------------------------


def test_the_best_and_the_baselines_are_planned() -> None:
    assert list(by_name(experiment_status(decide(searched(), BEST)))) == [
        "best",
        "largest",
        "smallest",
        "untrained",
        "rawPixels",
    ]


def test_raw_pixels_are_no_baseline_where_no_head_is_fitted() -> None:
    status = experiment_status(decide(searched(target={"head": "Supernet"}), BEST))
    assert "rawPixels" not in by_name(status)


def test_what_is_there_is_measured_and_what_is_not_is_built() -> None:
    names = ("best", "largest", "smallest", "untrained", "rawPixels")
    fresh = evaluations(**{name: {} for name in names})
    plan = decide(searched(evaluations=fresh), BEST)
    assert {request.architecture: request.weights for request in plan.builds} == {
        SPACE.maximum().id: "Trained",
        BEST.spec.architecture: "Untrained",
    }
    (task,) = plan.tasks  # raw pixels need no model
    assert (task.model, task.split) == (None, "Test")
    rows = by_name(experiment_status(plan))
    assert (rows["best"].artifact, rows["smallest"].artifact) == (BEST.status.artifact, artifact("reference"))


def test_a_baseline_that_was_a_trial_is_not_built_again() -> None:
    fresh = evaluations(largest={})
    experiment = searched(evaluations=fresh)
    uid = build_request(experiment, make_checkpoint(), SPACE.maximum().id).uid
    plan = decide(experiment, BEST, manifests={uid: build_manifest(uid)})
    assert plan.builds == []
    assert by_name(experiment_status(plan))["largest"].artifact == artifact(uid)


def test_an_evaluation_is_made_once() -> None:
    waiting = evaluations(best={"artifact": BEST.status.artifact})
    experiment = searched(evaluations=waiting)
    task = measure_task(experiment, BEST.status.artifact, artifact("reference"), split="Test").task_id
    answer = make_answer(task, accuracy={"value": 0.75, "samples": 300})
    plan = decide(experiment, BEST, tasks={task: make_lease(entry="4-0")}, results={task: (answer,)})
    status = experiment_status(plan)
    assert by_name(status)["best"].accuracy == Accuracy(value=0.75, samples=300)
    assert (plan.tasks, plan.delete_tasks, plan.delete_results) == ([], ["4-0"], [answer])
    assert reason_of(status, "Succeeded") == "BudgetSpent"
    assert status.replicates == 0


@pytest.mark.parametrize("reason", ["OutOfMemory", "UnknownDataset"])
def test_an_evaluation_that_fails_says_so_and_the_others_stand(reason: str) -> None:
    experiment = searched(evaluations=evaluations(best={"artifact": BEST.status.artifact}))
    task = measure_task(experiment, BEST.status.artifact, artifact("reference"), split="Test").task_id
    status = experiment_status(decide(experiment, BEST, results={task: (make_answer(task, failure=reason),)}))
    assert by_name(status)["best"].reason == reason
    assert reason_of(status, "Succeeded")


def test_one_without_an_accuracy_says_so() -> None:
    experiment = searched(evaluations=evaluations(best={"artifact": BEST.status.artifact}))
    task = measure_task(experiment, BEST.status.artifact, artifact("reference"), split="Test").task_id
    status = experiment_status(decide(experiment, BEST, results={task: (make_answer(task, accuracy=None),)}))
    assert by_name(status)["best"].reason == "NoAccuracy"


def test_a_baseline_that_cannot_be_built_says_so() -> None:
    experiment = searched(evaluations=evaluations(largest={}))
    uid = build_request(experiment, make_checkpoint(), SPACE.maximum().id).uid
    bad = build_manifest(uid, outcome="BadInput", message="?", artifacts={})
    assert by_name(experiment_status(decide(experiment, BEST, manifests={uid: bad})))["largest"].reason == "BuildFailed"


# -- success and failure ---------------------------------------------------------------------------------------------


def test_the_end_clears_everything() -> None:
    experiment = searched(evaluations=evaluations())
    plan = decide(
        experiment,
        BEST,
        builds={"b": make_lease(entry="1-0")},
        tasks={"t": make_lease(entry="2-0")},
        jobs={"digits-worker": make_job("digits-worker")},
    )
    assert (plan.delete_builds, plan.delete_tasks, plan.delete_jobs) == (["1-0"], ["2-0"], ["digits-worker"])
    assert (plan.create_jobs, plan.builds, plan.tasks) == ([], [], [])
    assert experiment_status(plan).finished_at == NOW


def test_a_best_outside_a_limit_is_no_success() -> None:
    closest = make_trial(1, "Succeeded", metrics=make_metrics(p50=12), score=0.5, feasible=False, violation=0.2)
    far = make_trial(2, "Succeeded", metrics=make_metrics(p50=20), score=0.6, feasible=False, violation=1.0)
    rows = evaluations()
    status = experiment_status(decide(searched(evaluations=rows, finalists=(make_finalist(closest),)), closest, far))
    assert reason_of(status, "Failed") == "NoFeasibleArchitecture"
    assert "digits-00001" in message_of(status, "Failed")
    assert not reason_of(status, "Succeeded")


def test_without_any_success_it_fails_with_the_reasons() -> None:
    status = experiment_status(decide(searched(finalists=()), make_trial(0, "Failed", reason="OutOfMemory")))
    assert reason_of(status, "Failed") == "NoTrialSucceeded"
    assert "OutOfMemory 1" in message_of(status, "Failed")
    assert status.evaluations == ()


def test_what_has_ended_only_clears_up() -> None:
    experiment = ended(evaluations=evaluations())
    first = decide(experiment, BEST, jobs={})
    settled = experiment.model_copy(update={"status": experiment_status(first)})
    assert decide(settled, BEST, jobs={}) == Plan()


def test_the_generation_is_acknowledged_also_after_the_end() -> None:
    experiment = ended(evaluations=evaluations(), generation=4)
    assert experiment_status(decide(experiment, BEST)).observed_generation == 4


# -- going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "trials"),
    [
        (ended(budget={"maxTrials": 2}), (BEST,)),
        (searched(budget={"maxTrials": 2}), (BEST,)),
        (ended("Failed", "NoFeasibleArchitecture", budget={"maxTrials": 2}), (BEST,)),
        (ended("Failed", "NoTrialSucceeded", budget={"maxTrials": 2}), (make_trial(0, "Failed"),)),
    ],
)
def test_a_raised_budget_goes_on_also_after_the_end(experiment: NASExperiment, trials: Any) -> None:
    plan = decide(experiment, *trials)
    status = experiment_status(plan)
    assert (status.search_finished_at, status.finished_at) == (None, None)
    assert not reason_of(status, "Succeeded")
    assert not reason_of(status, "Failed")
    assert reason_of(status, "Searching")
    assert [entry.count for entry in plan.log if entry.event == "Ask"] == [trials[0].spec.index + 2]


def test_more_time_goes_on_and_too_little_does_not() -> None:
    over = condition("Searching", "DurationSpent", status="False")
    fields = {"conditions": (over, condition("Succeeded")), "started_at": NOW - seconds(100)}
    more = searched(budget={"maxTrials": 9, "maxDurationSeconds": 200}, **fields)
    assert experiment_status(decide(more, BEST)).search_finished_at is None
    less = searched(budget={"maxTrials": 9, "maxDurationSeconds": 50}, **fields)
    assert reason_of(experiment_status(decide(less, BEST)), "Succeeded")


def test_other_ends_are_not_undone_by_a_larger_budget() -> None:
    exhausted = condition("Searching", "SpaceExhausted", status="False")
    experiment = searched(budget={"maxTrials": 9}, conditions=(exhausted, condition("Succeeded")))
    assert reason_of(experiment_status(decide(experiment, BEST)), "Succeeded")


def test_more_failures_allowed_go_on() -> None:
    conditions = (
        condition("Searching", "TooManyFailedTrials", status="False"),
        condition("Failed", "TooManyFailedTrials"),
    )
    trials = (make_trial(0, "Failed"), make_trial(1, "Failed"))
    raised = make_experiment(budget={"maxFailedTrials": 2}, conditions=conditions)
    assert not reason_of(experiment_status(decide(raised, *trials)), "Failed")
    same = make_experiment(budget={"maxFailedTrials": 1}, conditions=conditions)
    assert reason_of(experiment_status(decide(same, *trials)), "Failed")


def test_after_it_went_on_only_what_changed_is_evaluated_anew() -> None:
    better = make_trial(2, "Succeeded", score=0.9, metrics=make_metrics(0.9))
    again = (make_finalist(better), make_finalist(BEST))
    budget, attempts = {"maxTrials": 2}, {"untrained": 3, "largest": 1}
    experiment = searched(budget=budget, evaluations=evaluations(), attempts=attempts, finalists=again)
    status = experiment_status(decide(experiment, BEST, better))
    rows = by_name(status)
    assert {name for name, row in rows.items() if row.accuracy is None} == {"best", "untrained"}
    assert rows["best"].architecture == better.spec.architecture
    assert (rows["finalist"].architecture, rows["finalist"].accuracy) == (BEST.spec.architecture, ACCURACY)
    assert status.attempts == {"largest": 1}


def test_a_trial_by_hand_is_tried_after_the_end_and_may_become_the_best() -> None:
    by_hand = make_trial(None, "Built")
    experiment = ended(evaluations=evaluations())
    going = decide(experiment, BEST, by_hand, jobs={})
    assert [job.name for job in going.create_jobs] == ["digits-worker"]
    assert len(going.tasks) == 1
    assert experiment_status(going).search_finished_at == experiment.status.search_finished_at
    task = going.tasks[0].task_id
    resumed = experiment.model_copy(update={"status": experiment_status(going)})
    answer = make_answer(task, accuracy={"value": 0.99, "samples": 500})
    done = experiment_status(decide(resumed, BEST, by_hand, results={task: (answer,)}))
    assert done.best is not None
    assert done.best.trial == "by-hand"
    assert [finalist.trial for finalist in done.finalists if finalist.ranked is None] == ["by-hand"]
    assert not reason_of(done, "Succeeded")


def test_a_trial_by_hand_that_meets_a_fault_after_the_end_fails_alone() -> None:
    by_hand, experiment = make_trial(None, "Built"), searched(evaluations=evaluations())
    task = measure_task(experiment, by_hand.status.artifact, artifact("reference")).task_id
    plan = decide(experiment, BEST, by_hand, results={task: (make_answer(task, failure="UnknownDataset"),)})
    assert reason_of(plan.trial_status["by-hand"], "Failed") == "UnknownDataset"
    assert reason_of(experiment_status(plan), "Succeeded")


def test_a_trial_by_hand_of_an_experiment_that_is_at_fault_is_withdrawn() -> None:
    conditions = (condition("Searching", "UnknownDataset", status="False"), condition("Failed", "UnknownDataset"))
    plan = decide(make_experiment(conditions=conditions, observed_generation=1), make_trial(None))
    assert reason_of(plan.trial_status["by-hand"], "Failed") == "Withdrawn"
    assert (plan.builds, plan.create_jobs) == ([], [])
    assert experiment_status(plan).trials.failed == 1


@pytest.mark.parametrize(
    "reason", ["UnknownDataset", "ImagePullBackOff", "WaitingForAgents", "NoReference", "JobFailed"]
)
def test_a_failed_experiment_is_tried_again_once_its_spec_is_changed(reason: str) -> None:
    failed = {"conditions": (condition("Failed", reason),), "finished_at": NOW, "attempts": {"digits-tune": 2}}
    assert decide(make_experiment(observed_generation=1, **failed)).create_trials == []
    plan = decide(make_experiment(observed_generation=1, generation=2, **failed), suggestions=suggest(0))
    status = experiment_status(plan)
    assert (reason_of(status, "Failed"), status.finished_at, status.attempts) == (None, None, {})
    assert [trial.metadata.name for trial in plan.create_trials] == ["digits-00000"]
    assert "TriedAgain" in [event.reason for event in plan.events]


@pytest.mark.parametrize("reason", ["NoFeasibleArchitecture", "NoTrialSucceeded", "SupernetReplaced"])
def test_what_was_measured_stays_whatever_is_changed_beside_it(reason: str) -> None:
    failed = {"conditions": (condition("Failed", reason),), "observed_generation": 1, "generation": 2}
    plan = decide(make_experiment(**failed), suggestions=suggest(0))
    assert (plan.create_trials, reason_of(experiment_status(plan), "Failed")) == ([], reason)
