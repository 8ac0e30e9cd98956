"""The finalists: who they are, how they are measured again, what that changes, and what it never does."""

from typing import Any

import pytest

from pfpnas_api.kinds import Accuracy, Evaluation, Finalist, NASExperiment, NASExperimentStatus, Trial
from pfpnas_operator.reconcile import Plan, reconcile_experiment
from pfpnas_operator.reconcile.finalists import REPETITIONS
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.summary import TOP
from support.reconcile_builders import (
    NOW,
    SPACE,
    architecture,
    condition,
    experiment_status,
    make_answer,
    make_experiment,
    make_finalist,
    make_lease,
    make_metrics,
    make_trial,
    message_of,
    observe,
    reason_of,
    seconds,
    summary_of,
)

SEARCHED = condition("Searching", "BudgetSpent", status="False", message="all were started")


def trial_of(index: int, accuracy: float, p50: float = 5.0, **status: Any) -> Trial:
    fields = {"metrics": make_metrics(accuracy, p50), "score": accuracy, **status}
    return make_trial(index, "Succeeded", **fields)


TRIALS = [trial_of(index, 0.5 + index / 100) for index in range(1, 8)]
"""The later the better."""


def searched(budget: Any = None, **fields: Any) -> NASExperiment:
    status = {"search_finished_at": NOW - seconds(9), "conditions": (SEARCHED,)}
    return make_experiment(budget={"maxTrials": 1, **(budget or {})}, **{**status, **fields})


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def finalists_of(plan: Plan) -> dict[str, Finalist]:
    return {finalist.trial: finalist for finalist in experiment_status(plan).finalists}


def again_id(experiment: NASExperiment, trial: Trial, repetition: int) -> str:
    reference = experiment.status.reference
    return measure_task(experiment, trial.status.artifact, reference, repetition=repetition).task_id


def latency(p50: float) -> dict[str, Any]:
    return {"p50": p50, "p90": p50 + 1, "mad": 0.2, "runs": 64, "reference": 2.0}


def answers(experiment: NASExperiment, trial: Trial, *figures: tuple[float, float] | str) -> dict[str, tuple[Any, ...]]:
    """An answer a repetition: accuracy and latency, or why there is none."""
    found = {}
    for repetition, figure in zip(REPETITIONS, figures, strict=False):
        task = again_id(experiment, trial, repetition)
        if isinstance(figure, str):
            found[task] = (make_answer(task, failure=figure),)
        else:
            accuracy = {"value": figure[0], "samples": 500}
            found[task] = (make_answer(task, accuracy=accuracy, latency=latency(figure[1])),)
    return found


# -- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "names"), [(1, [7]), (3, [7, 6, 5]), (5, [7, 6, 5, 4, 3])])
def test_the_best_by_their_scores_are_measured_again_in_turns(most: int, names: list[int]) -> None:
    plan = decide(searched({"finalists": most}), *TRIALS)
    assert list(finalists_of(plan)) == [f"digits-{index:05d}" for index in names]
    assert {(task.repetition, task.split) for task in plan.tasks} == {(REPETITIONS[0], "Validation")}
    assert len(plan.tasks) == most
    assert experiment_status(plan).evaluations == ()


def test_fewer_trials_are_fewer_finalists_and_an_architecture_is_one_only_once() -> None:
    twin = make_trial(None, "Succeeded", metrics=make_metrics(0.52), score=0.52)
    spec = twin.spec.model_copy(update={"architecture": TRIALS[0].spec.architecture})
    plan = decide(searched(), TRIALS[0], twin.model_copy(update={"spec": spec}))
    assert list(finalists_of(plan)) == ["by-hand"]


def test_what_breaks_a_limit_is_no_finalist_but_the_closest_where_nothing_else_is() -> None:
    slow = [trial_of(index, 0.9, 12.0 + index, score=0.4, feasible=False, violation=0.2 + index) for index in (1, 2)]
    assert list(finalists_of(decide(searched(), *slow, TRIALS[2]))) == ["digits-00003"]
    assert list(finalists_of(decide(searched(), *slow))) == ["digits-00001"]


def test_the_top_of_a_summary_is_the_same_in_any_order() -> None:
    forth, back = summary_of(*TRIALS).top, summary_of(*reversed(TRIALS)).top
    assert [one.ranked.trial for one in forth] == [one.ranked.trial for one in back]
    assert len(forth) == 7


# -- how -------------------------------------------------------------------------------------------------------------


def test_two_measurements_follow_one_another_and_the_medians_count() -> None:
    experiment, best = searched({"finalists": 1}), TRIALS[-1]
    first = decide(experiment, *TRIALS, results=answers(experiment, best, (0.61, 6.0)))
    assert [task.repetition for task in first.tasks] == [REPETITIONS[1]]
    status = experiment_status(first)
    assert [again.repetition for again in status.finalists[0].remeasurements] == [REPETITIONS[0]]
    going = experiment.model_copy(update={"status": status})
    results = {again_id(going, best, REPETITIONS[1]): answers(going, best, "OutOfMemory", (0.51, 7.0)).popitem()[1]}
    done = experiment_status(decide(going, *TRIALS, results=results))
    ranked = done.finalists[0].ranked
    assert ranked is not None
    assert ranked.accuracy == pytest.approx(0.57)
    measured = ranked.metrics.latency_milliseconds
    assert measured is not None
    assert (measured.p50, measured.p90, measured.runs, measured.reference) == (6.0, 7.0, 3 * 64, 2.0)
    assert ranked.score == pytest.approx(0.57)
    assert done.best == ranked


def test_the_second_measurement_of_the_search_counts_too() -> None:
    repeat = {"latencyMilliseconds": latency(8.0), "accuracy": {"value": 0.7, "samples": 500}}
    trial = trial_of(1, 0.5, repeat=repeat)
    experiment = searched()
    done = experiment_status(decide(experiment, trial, results=answers(experiment, trial, (0.6, 6.0), (0.6, 6.0))))
    (finalist,) = done.finalists
    assert [again.repetition for again in finalist.remeasurements] == [1, *REPETITIONS]
    assert finalist.ranked is not None
    assert finalist.ranked.accuracy == pytest.approx(0.6)
    assert done.predictor is not None
    assert done.predictor.repeats == 2  # first and second, and the two at the end


def test_a_finalist_that_cannot_be_measured_again_keeps_its_first_figures_with_the_reason() -> None:
    experiment, trial = searched(), TRIALS[0]
    status = experiment_status(decide(experiment, trial, results=answers(experiment, trial, "OutOfMemory")))
    (finalist,) = status.finalists
    assert finalist.reason == "OutOfMemory"
    assert finalist.ranked is not None
    assert (finalist.ranked.accuracy, finalist.ranked.score) == (0.51, 0.51)
    assert status.best == finalist.ranked


def test_what_was_measured_of_a_finalist_before_it_failed_counts() -> None:
    experiment, trial = searched(), trial_of(1, 0.9)
    results = answers(experiment, trial, (0.7, 6.0), "BackendFailed")
    (finalist,) = experiment_status(decide(experiment, trial, results=results)).finalists
    assert (finalist.reason, len(finalist.remeasurements)) == ("BackendFailed", 1)
    assert finalist.ranked is not None
    assert finalist.ranked.accuracy == pytest.approx(0.8)
    assert finalist.ranked.score == pytest.approx(0.8)


def test_one_that_could_not_be_measured_again_is_behind_those_that_were() -> None:
    lucky, steady, slow = trial_of(1, 0.9), trial_of(2, 0.8), trial_of(3, 0.85, 9.9)
    experiment = searched({"finalists": 2})
    results = {
        **answers(experiment, lucky, "BackendFailed"),
        **answers(experiment, steady, (0.8, 5.0), (0.8, 5.0)),
    }
    best = experiment_status(decide(experiment, lucky, steady, results=results)).best
    assert best is not None
    assert best.trial == "digits-00002"
    # What is known to break a limit is no better than what is only unconfirmed.
    results = {
        **answers(experiment, lucky, "BackendFailed"),
        **answers(experiment, slow, (0.85, 12.0), (0.85, 12.0)),
    }
    best = experiment_status(decide(experiment, lucky, slow, results=results)).best
    assert best is not None
    assert best.trial == "digits-00001"


def test_where_no_finalist_can_be_confirmed_the_next_takes_part() -> None:
    lucky, next_one = trial_of(1, 0.9), trial_of(2, 0.8)
    experiment = searched({"finalists": 1})
    plan = decide(experiment, lucky, next_one, results=answers(experiment, lucky, "BackendFailed"))
    assert list(finalists_of(plan)) == ["digits-00001", "digits-00002"]


def test_a_measurement_that_is_lost_is_asked_for_again_but_not_for_ever() -> None:
    experiment, trial = searched(), TRIALS[0]
    task = again_id(experiment, trial, REPETITIONS[0])
    lost = {task: make_lease(age=10**4, entry="3-0")}
    plan = decide(experiment, trial, tasks=lost)
    assert (finalists_of(plan)["digits-00001"].attempts, len(plan.tasks), plan.delete_tasks) == (1, 1, ["3-0"])
    tired = searched(finalists=(Finalist(trial="digits-00001", attempts=2),))
    assert finalists_of(decide(tired, trial, tasks=lost))["digits-00001"].reason == "Poisoned"


# -- what it changes -------------------------------------------------------------------------------------------------


def test_luck_does_not_decide() -> None:
    lucky, steady = trial_of(1, 0.90), trial_of(2, 0.88)
    experiment = searched()
    results = {
        **answers(experiment, lucky, (0.80, 5.0), (0.80, 5.0)),
        **answers(experiment, steady, (0.87, 5.0), (0.88, 5.0)),
    }
    status = experiment_status(decide(experiment, lucky, steady, results=results))
    assert status.best is not None
    assert (status.best.trial, status.best.accuracy) == ("digits-00002", 0.88)
    going = experiment.model_copy(update={"status": status})
    rows = experiment_status(decide(going, lucky, steady)).evaluations
    assert [(row.name, row.architecture) for row in rows[:2]] == [
        ("best", architecture(2)),
        ("finalist", architecture(1)),
    ]


def test_when_every_finalist_breaks_a_limit_after_all_the_next_takes_part() -> None:
    close, safe = trial_of(1, 0.9, 9.9), trial_of(2, 0.8, 5.0)
    experiment = searched({"finalists": 1})
    plan = decide(experiment, close, safe, results=answers(experiment, close, (0.9, 10.5), (0.9, 10.6)))
    rows = finalists_of(plan)
    assert list(rows) == ["digits-00001", "digits-00002"]
    assert rows["digits-00001"].ranked is not None
    assert not rows["digits-00001"].ranked.feasible
    assert not reason_of(experiment_status(plan), "Failed")


def test_a_best_that_breaks_a_limit_when_measured_again_is_no_success() -> None:
    ranked = make_finalist(trial_of(1, 0.9, 10.4, feasible=False, violation=0.04)).ranked
    only = make_finalist(trial_of(1, 0.9, 9.9), ranked=ranked)
    accuracy = Accuracy(value=0.7, samples=300)
    rows = {"best": 1, "untrained": 1, "largest": SPACE.maximum().id, "smallest": SPACE.minimum().id, "rawPixels": None}
    nets = {name: architecture(net) if isinstance(net, int) else net for name, net in rows.items()}
    done = tuple(Evaluation(name=name, architecture=net, accuracy=accuracy) for name, net in nets.items())
    status = experiment_status(decide(searched(finalists=(only,), evaluations=done), trial_of(1, 0.9, 9.9)))
    assert reason_of(status, "Failed") == "NoFeasibleArchitecture"
    text = "no finalist meets every limit when measured again (1 measured); the closest is digits-00001 "
    assert message_of(status, "Failed").startswith(text)


@pytest.mark.parametrize("most", [1, 5])
def test_beyond_the_finalists_wished_for_there_is_a_reserve(most: int) -> None:
    many = [trial_of(index, 0.5 + index / 100, 9.9) for index in range(2 * TOP)]

    def broken(trial: Trial) -> Finalist:
        row = make_finalist(trial)
        assert row.ranked is not None
        return row.model_copy(update={"ranked": row.ranked.model_copy(update={"feasible": False, "violation": 0.1})})

    best = [trial.metadata.name for trial in reversed(many)]
    for done in range(most, TOP):
        known = tuple(broken(trial) for trial in list(reversed(many))[:done])
        assert list(finalists_of(decide(searched({"finalists": most}, finalists=known), *many))) == best[: done + 1]
    known = tuple(broken(trial) for trial in list(reversed(many))[:TOP])
    rows = finalists_of(decide(searched({"finalists": most}, finalists=known), *many))
    assert list(rows) == best[:TOP]


# -- what it never does ----------------------------------------------------------------------------------------------


def at_the_end(**fields: Any) -> tuple[NASExperiment, NASExperimentStatus]:
    """An experiment at its end: three finalists, all scored on the test split."""
    again = tuple(make_finalist(trial) for trial in (TRIALS[6], TRIALS[5], TRIALS[4]))
    accuracy = Accuracy(value=0.7, samples=300)
    names = [("best", 7), ("finalist", 6), ("finalist", 5), ("untrained", 7)]
    rows = [Evaluation(name=name, architecture=architecture(net), accuracy=accuracy) for name, net in names]
    rows += [
        Evaluation(name="largest", architecture=SPACE.maximum().id, accuracy=accuracy),
        Evaluation(name="smallest", architecture=SPACE.minimum().id, accuracy=accuracy),
        Evaluation(name="rawPixels", accuracy=accuracy),
    ]
    experiment = searched(finalists=again, evaluations=tuple(rows), **fields)
    return experiment, experiment.status


def unscored(status: NASExperimentStatus) -> list[tuple[str, str | None]]:
    return [(row.name, row.architecture) for row in status.evaluations if row.accuracy is None]


def test_no_net_is_scored_on_the_test_split_twice_although_better_ones_come() -> None:
    experiment, _ = at_the_end()
    better = [trial_of(8, 0.9), trial_of(9, 0.91), trial_of(10, 0.92)]
    ends = tuple(make_finalist(trial) for trial in reversed(better))
    going = experiment.model_copy(update={"status": experiment.status.model_copy(update={"finalists": ends})})
    status = experiment_status(decide(going, *TRIALS, *better))
    assert {net for name, net in unscored(status) if name != "untrained"} == {architecture(n) for n in (8, 9, 10)}
    kept = [row.architecture for row in status.evaluations if row.name == "finalist" and row.accuracy]
    assert kept == [architecture(net) for net in (7, 6, 5)]
    # Somebody wishes for more finalists: those that were scored before are so still.
    wider = experiment_status(decide(going, *TRIALS, *better))
    again = tuple(make_finalist(trial) for trial in [*reversed(better), TRIALS[6], TRIALS[5]])
    status = wider.model_copy(update={"finalists": again})
    more = searched({"finalists": 5}).model_copy(update={"status": status})
    rows = experiment_status(decide(more, *TRIALS, *better))
    assert {net for name, net in unscored(rows) if name != "untrained"} == {architecture(n) for n in (8, 9, 10)}


def test_a_finalist_that_is_a_baseline_is_scored_once() -> None:
    smallest = trial_of(0, 0.9)
    rows = (Evaluation(name="smallest", architecture=SPACE.minimum().id, accuracy=Accuracy(value=0.7, samples=300)),)
    experiment = searched(finalists=(make_finalist(smallest),), evaluations=rows)
    assert "best" not in dict(unscored(experiment_status(decide(experiment, smallest))))


def test_while_a_trial_by_hand_is_under_way_what_was_begun_goes_on_and_nothing_is_planned() -> None:
    experiment, trial = searched({"finalists": 1}), TRIALS[0]
    begun = experiment_status(decide(experiment, trial))
    going = experiment.model_copy(update={"status": begun})
    task = again_id(experiment, trial, REPETITIONS[0])
    plan = decide(going, trial, make_trial(None), tasks={task: make_lease(entry="5-0")})
    assert task in plan.wanted_tasks
    assert plan.delete_tasks == []
    results = answers(going, trial, (0.6, 6.0), (0.6, 6.0))
    done = experiment_status(decide(going, trial, make_trial(None), results=results))
    assert done.finalists[0].ranked is not None
    assert (done.evaluations, reason_of(done, "Succeeded"), done.replicates) == ((), None, 0)


def test_more_finalists_wished_for_after_the_end_are_measured_too() -> None:
    over = (SEARCHED, condition("Succeeded"))
    experiment, _ = at_the_end(budget={"finalists": 4}, conditions=over, finished_at=NOW, generation=2)
    plan = decide(experiment, *TRIALS)
    status = experiment_status(plan)
    assert [task.repetition for task in plan.tasks] == [REPETITIONS[0]]
    assert [finalist.trial for finalist in status.finalists if finalist.ranked is None] == ["digits-00004"]
    assert not reason_of(status, "Succeeded")
    assert not [event for event in plan.events if "raised" in event.message]  # any change of the spec may be the cause
    same, _ = at_the_end(budget={"finalists": 4}, conditions=over, finished_at=NOW, generation=1, observed_generation=1)
    assert decide(same, *TRIALS).tasks == []


def test_fewer_finalists_wished_for_after_the_end_change_nothing() -> None:
    lucky, steady = make_finalist(TRIALS[6]), make_finalist(TRIALS[5])
    assert lucky.ranked is not None
    worse = lucky.ranked.model_copy(update={"score": 0.3})
    over = {"conditions": (SEARCHED, condition("Succeeded")), "finished_at": NOW, "generation": 2}
    rows = (lucky.model_copy(update={"ranked": worse}), steady)
    fewer = searched({"finalists": 1}, finalists=rows, best=steady.ranked, **over)
    status = experiment_status(decide(fewer, *TRIALS))
    assert status.best == steady.ranked
    assert status.finalists == rows
    assert reason_of(status, "Succeeded")


def test_a_finalist_that_was_measured_again_stays_one_when_a_better_trial_comes() -> None:
    experiment, before = at_the_end()
    better = trial_of(8, 0.9)
    plan = decide(experiment, *TRIALS, better)
    rows = finalists_of(plan)
    assert list(rows) == [f"digits-{index:05d}" for index in (8, 7, 6, 5)]
    assert [rows[row.trial] for row in before.finalists] == list(before.finalists)
    assert {task.repetition for task in plan.tasks} == {REPETITIONS[0]}
    assert len(plan.tasks) == 1


def test_there_is_room_for_so_many_finalists() -> None:
    many = [trial_of(index, 0.5 + index / 100) for index in range(3 * TOP)]
    known = tuple(make_finalist(trial) for trial in many[:TOP])
    rows = finalists_of(decide(searched(finalists=known), *many))
    assert len(rows) == TOP
    assert list(rows)[:3] == [trial.metadata.name for trial in reversed(many[-3:])]


def test_a_search_that_goes_on_names_the_best_by_first_measurements_and_keeps_what_was_measured_again() -> None:
    experiment, status = at_the_end(budget={"maxTrials": 20})
    plan = decide(experiment, *TRIALS)
    after = experiment_status(plan)
    assert after.search_finished_at is None
    assert after.finalists == status.finalists
    assert after.best is not None
    assert after.best.trial == "digits-00007"
    assert plan.tasks == []
