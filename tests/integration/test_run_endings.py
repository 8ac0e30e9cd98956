"""How a run may end otherwise than with a best architecture of another data set."""

import json
from collections.abc import Callable

import pytest

from pfpnas_api.kinds import find_condition
from support.run_process import Place

pytestmark = pytest.mark.timeout(600)


def test_latency_that_no_candidate_meets_ends_with_the_closest_and_3(trained: Callable[..., Place]) -> None:
    limit = {"objective": {"constraints": [{"metric": "Latency", "max": "0.001ms"}]}, "budget": {"maxTrials": 2}}
    place = trained({"spec": limit})
    with place.run() as run:
        assert run.wait() == 3, run.stdout + run.stderr
        assert "NoFeasibleArchitecture" in run.stderr
        assert "the closest is tiny-0000" in run.stderr
    failed = find_condition(place.documents()[1].status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "NoFeasibleArchitecture"
    assert json.loads((place.out / "best" / "architecture.json").read_text())["feasible"] is False
    with place.run() as run:
        assert run.wait() == 3
        assert "has ended already" in run.stdout


def test_limit_that_no_architecture_can_meet_is_seen_beforehand(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"objective": {"constraints": [{"metric": "FLOPs", "max": "1000"}]}}})
    with place.run() as run:
        assert run.wait() == 2
        assert "FLOPs is limited to 1000" in run.stderr
        assert run.children() == {}
    assert not place.trials()


def test_supernets_own_head_is_scored_on_equal_classes(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"target": {"head": "Supernet"}, "budget": {"maxTrials": 1}}}, classes=10)
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    evaluations = {evaluation.name: evaluation.accuracy for evaluation in place.documents()[1].status.evaluations}
    assert evaluations.keys() == {"best", "largest", "smallest", "untrained"}
    assert None not in evaluations.values()
    assert not (place.out / "best" / "deployable.onnx").exists(), "model.onnx has the right classes already"


def test_supernets_own_head_on_other_classes_is_refused_beforehand(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"target": {"head": "Supernet"}}}, classes=4)
    with place.run() as run:
        assert run.wait() == 2
        assert "10" in run.stderr
        assert "head" in run.stderr
        assert "Traceback" not in run.stderr
    assert not place.trials()


def test_goal_that_is_reached_ends_the_search_and_a_higher_one_goes_on(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"objective": {"goal": "0.001"}, "budget": {"maxTrials": 3, "parallelTrials": 1}}})
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert _reason(place) == "GoalReached"
    assert len(place.trials()) == 1
    with place.run("--set", "experiment.objective.goal=1.0") as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert _reason(place) in ("BudgetSpent", "GoalReached")
    assert len(place.trials()) > 1 or _reason(place) == "GoalReached"
    assert set(place.measured().values()) == {1}


def _reason(place: Place) -> str | None:
    succeeded = find_condition(place.documents()[1].status.conditions, "Succeeded")
    return succeeded.reason if succeeded else None
