"""Starting warm: what other experiments found is measured here first, bounded, once, and told to the tuner."""

from collections.abc import Sequence
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, PredictorStatus, Trial
from pfpnas_operator.reconcile import LogView, Plan, names, reconcile_experiment
from pfpnas_operator.reconcile.summary import rank
from support.reconcile_builders import (
    NOW,
    architecture,
    condition,
    experiment_status,
    make_experiment,
    make_metrics,
    make_trial,
    message_of,
    observe,
    suggest,
)

FOREIGN = "r999-k3e2-k3e2"


def source(name: str, *numbers: int | str, over: bool = True) -> NASExperiment:
    """Another experiment with these architectures on its front, best first."""
    front = []
    for place, number in enumerate(numbers):
        trial = make_trial(place, "Succeeded", metrics=make_metrics(0.9 - place / 100), score=0.9 - place / 100)
        net = number if isinstance(number, str) else architecture(number)
        front.append(rank(trial).model_copy(update={"architecture": net}))
    return make_experiment(name=name, front=tuple(front), search_finished_at=NOW if over else None)


def begin(*sources: NASExperiment, wanted: Sequence[str] | None = None, **fields: Any) -> Plan:
    """The first cycle of a search."""
    names_of = tuple(wanted or (one.metadata.name for one in sources))
    experiment = make_experiment(sources=names_of, started_at=None, budget=fields.pop("budget", None))
    there = {one.metadata.name: one for one in sources}
    return reconcile_experiment(observe(experiment, sources=there, **fields), NOW)


def nets(trials: Sequence[Trial]) -> list[str]:
    return [trial.spec.architecture for trial in trials]


def warm_trial(experiment: NASExperiment, number: int, state: str = "Pending") -> Trial:
    trial = make_trial(None, state, name=names.warm_trial(experiment, architecture(number)))
    spec = trial.spec.model_copy(update={"architecture": architecture(number), "origin": "WarmStart"})
    return trial.model_copy(update={"spec": spec})


def test_the_fronts_take_turns_best_first_and_nothing_comes_twice() -> None:
    plan = begin(source("a", 10, 11, 12), source("b", 20, 10, 21), budget={"maxTrials": 40, "parallelTrials": 10})
    assert nets(plan.create_trials) == [architecture(number) for number in (10, 20, 11, 12, 21)]
    assert {(trial.spec.origin, trial.spec.index) for trial in plan.create_trials} == {("WarmStart", None)}
    assert all(trial.metadata.name.startswith("digits-w") for trial in plan.create_trials)


@pytest.mark.parametrize(("trials", "measured"), [(40, 10), (8, 2), (3, 1), (1, 1)])
def test_at_most_a_quarter_of_the_budget_but_one_at_least(trials: int, measured: int) -> None:
    plan = begin(source("a", *range(20)), budget={"maxTrials": trials, "parallelTrials": 30})
    assert len(plan.create_trials) == measured


def test_they_are_bounded_by_the_parallelism_and_the_tuner_follows() -> None:
    experiment = make_experiment(sources=("a",), budget={"maxTrials": 20, "parallelTrials": 2})
    there, made = {"a": source("a", 1, 2, 3)}, [warm_trial(experiment, number) for number in (1, 2)]
    suggestions = suggest(10, 11)
    first = reconcile_experiment(observe(experiment, sources=there, suggestions=suggestions), NOW)
    assert nets(first.create_trials) == [architecture(1), architecture(2)]
    full = reconcile_experiment(observe(experiment, *made, sources=there, suggestions=suggestions), NOW)
    assert full.create_trials == []
    done = warm_trial(experiment, 1, "Succeeded")
    room = reconcile_experiment(observe(experiment, done, made[1], sources=there), NOW)
    assert nets(room.create_trials) == [architecture(3)]
    assert [entry for entry in room.log if entry.event == "Ask"] == []
    last = [warm_trial(experiment, number, "Succeeded") for number in (1, 2)] + [warm_trial(experiment, 3)]
    follows = reconcile_experiment(observe(experiment, *last, sources=there), NOW)
    assert [entry.count for entry in follows.log if entry.event == "Ask"] == [1]


def test_they_count_against_the_budget_and_are_told_as_trials_by_hand_are() -> None:
    experiment = make_experiment(sources=("a",), budget={"maxTrials": 4, "parallelTrials": 8})
    done = warm_trial(experiment, 1, "Succeeded")
    fields = {"sources": {"a": source("a", 1)}, "suggestions": suggest(0, 1, 2, 3), "untold": (done,)}
    observed = observe(experiment, done, log=LogView(asked=4), **fields)
    plan = reconcile_experiment(observed, NOW)
    assert [trial.spec.index for trial in plan.create_trials] == [0, 1, 2]
    (entry,) = [entry for entry in plan.log if entry.event == "Finished"]
    assert (entry.index, entry.architecture) == (None, architecture(1))
    assert (entry.outcome, entry.score) == ("Scored", 0.8)
    assert plan.told[done.metadata.name] == "Finished"
    assert observed.summary.tuned == 1
    bad = warm_trial(experiment, 1, "Failed")
    assert observe(experiment, bad).summary.failures == 1


def test_once_the_tuner_has_begun_nothing_is_added() -> None:
    experiment = make_experiment(sources=("a",))
    plan = reconcile_experiment(observe(experiment, make_trial(0), sources={"a": source("a", 5)}), NOW)
    assert plan.create_trials == []


def test_what_is_none_of_this_space_is_left_out_and_said_once() -> None:
    plan = begin(source("a", FOREIGN, 3))
    assert nets(plan.create_trials) == [architecture(3)]
    said = [event for event in plan.events if event.reason == "WarmStart"]
    assert [event.type for event in said] == ["Normal", "Warning"]
    assert FOREIGN in said[1].message


def test_a_source_without_a_front_gives_nothing() -> None:
    plan = begin(source("a"))
    assert plan.create_trials == []
    assert [entry.event for entry in plan.log] == ["Ask"]


@pytest.mark.parametrize(
    ("there", "waits_as", "says"),
    [
        (
            [],
            ("False", "WarmStartNotFound"),
            "no NASExperiment a in this namespace: create it, or take it out; no NASExperiment b in this",
        ),
        (
            [source("a", 1), source("b", 2, over=False)],
            ("Unknown", "WaitingForWarmStart"),
            "NASExperiment b has not ended its search yet",
        ),
    ],
)
def test_the_search_waits_for_its_sources(there: list[NASExperiment], waits_as: tuple[str, str], says: str) -> None:
    plan = begin(*there, wanted=("a", "b"), suggestions=suggest(0, 1))
    status = experiment_status(plan)
    waits = next(found for found in status.conditions if found.type == "Searching")
    assert (waits.status, waits.reason) == waits_as
    assert says in message_of(status, "Searching")
    assert (plan.create_trials, status.started_at) == ([], None)


def test_while_the_search_waits_nothing_is_kept_up_for_it() -> None:
    experiment = make_experiment(sources=("a",), started_at=None, reference=None)
    plan = reconcile_experiment(observe(experiment, jobs={}), NOW)
    assert (plan.create_jobs, plan.builds) == ([], [])
    there = {"a": source("a", 1)}
    assert reconcile_experiment(observe(experiment, jobs={}, sources=there), NOW).create_jobs


def test_two_that_wait_for_each_other_are_told_so() -> None:
    other = make_experiment(name="a", sources=("digits",), started_at=None)
    text = message_of(experiment_status(begin(other)), "Searching")
    assert "NASExperiment a waits for digits in turn: take one of the two out" in text
    searching = make_experiment(name="a", sources=("digits",))
    assert "has not ended its search yet" in message_of(experiment_status(begin(searching)), "Searching")


def test_a_source_that_failed_is_over_too() -> None:
    failed = source("a", 4, over=False)
    status = failed.status.model_copy(update={"conditions": (condition("Failed"),)})
    plan = begin(failed.model_copy(update={"status": status}))
    assert nets(plan.create_trials) == [architecture(4)]


def test_a_search_that_has_begun_never_waits_again() -> None:
    experiment = make_experiment(sources=("a",))
    plan = reconcile_experiment(observe(experiment, suggestions=suggest(0)), NOW)
    assert [trial.spec.index for trial in plan.create_trials] == [0]


# -- what the tuner says of its predictors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "said", "kept"), [(None, 8, 8), (12, 8, 12), (8, 12, 12), (12, None, 12), (None, None, None)]
)
def test_the_predictors_by_the_most_labels_are_kept(known: int | None, said: int | None, kept: int | None) -> None:
    def predictor(labels: int | None) -> PredictorStatus | None:
        return None if labels is None else PredictorStatus(labels=labels, kendall_tau=0.5)

    experiment = make_experiment(predictor=predictor(known))
    status = experiment_status(reconcile_experiment(observe(experiment, predictor=predictor(said)), NOW))
    assert (status.predictor.labels if status.predictor else None) == kept
