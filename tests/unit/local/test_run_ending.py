"""Exit codes, and when a run has ended."""

from typing import Any

import pytest

from pfpnas_operator.local.ending import finished, outcome
from pfpnas_operator.local.observer import Records
from support.reconcile_builders import condition, make_experiment, make_supernet


def _with(resource: Any, *conditions: Any, **status: Any) -> Any:
    changed = resource.status.model_copy(update={"conditions": conditions, **status})
    return resource.model_copy(update={"status": changed})


@pytest.mark.parametrize(
    ("reason", "code"),
    [("NoFeasibleArchitecture", 3), ("ClassMismatch", 2), ("UnknownDataset", 2), ("TooManyFailedTrials", 1)],
)
def test_reason_of_a_failed_experiment_decides_the_exit_code(reason: str, code: int) -> None:
    experiment = _with(make_experiment(), condition("Failed", reason, message="why"))
    assert outcome(make_supernet(), experiment) == (code, f"digits failed ({reason}): why")


@pytest.mark.parametrize(("reason", "code"), [("BadInput", 2), ("JobFailed", 1)])
def test_reason_of_a_failed_supernet_comes_first(reason: str, code: int) -> None:
    supernet = _with(make_supernet(), condition("Failed", reason, message="why"))
    assert outcome(supernet, make_experiment()) == (code, f"Supernet tiny failed ({reason}): why")


def test_success_is_zero() -> None:
    assert outcome(make_supernet(), _with(make_experiment(), condition("Succeeded"))) == (0, "")


@pytest.mark.parametrize(("seen", "expected"), [(1, True), (0, False)])
def test_finished_only_for_the_spec_that_was_seen(seen: int, expected: bool) -> None:
    experiment = make_experiment()
    metadata = experiment.metadata.model_copy(update={"generation": 1})
    experiment = experiment.model_copy(update={"metadata": metadata})
    ended = _with(experiment, condition("Succeeded"), observed_generation=seen)
    assert finished(Records(supernet=make_supernet(), experiment=ended)) is expected
