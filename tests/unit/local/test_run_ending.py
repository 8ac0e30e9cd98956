"""Exit codes, and when a run has ended."""

from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.local.ending import finished, outcome
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import names
from support.reconcile_builders import condition, make_experiment, make_supernet


def _with(resource: Any, *conditions: Any, **status: Any) -> Any:
    changed = resource.status.model_copy(update={"conditions": conditions, **status})
    return resource.model_copy(update={"status": changed})


def _outcome(folder: Path, supernet: Supernet, experiment: NASExperiment) -> tuple[int, str]:
    return outcome(RunFolder(folder), Records(supernet=supernet, experiment=experiment))


@pytest.mark.parametrize(
    ("reason", "code"),
    [("NoFeasibleArchitecture", 3), ("ClassMismatch", 1), ("UnknownDataset", 1), ("TooManyFailedTrials", 1)],
)
def test_reason_of_a_failed_experiment_decides_the_exit_code(tmp_path: Path, reason: str, code: int) -> None:
    experiment = _with(make_experiment(), condition("Failed", reason, message="why"))
    assert _outcome(tmp_path, make_supernet(), experiment) == (code, f"digits failed ({reason}): why")


@pytest.mark.parametrize(("reason", "code"), [("BadInput", 2), ("JobFailed", 1)])
def test_reason_of_a_failed_supernet_comes_first(tmp_path: Path, reason: str, code: int) -> None:
    supernet = _with(make_supernet("New"), condition("Failed", reason, message="why"))
    assert _outcome(tmp_path, supernet, make_experiment()) == (code, f"Supernet tiny failed ({reason}): why")


def test_bad_input_is_no_refusal_once_something_was_trained(tmp_path: Path) -> None:
    trained = _with(make_supernet("Trained"), condition("Failed", "BadInput"))
    assert _outcome(tmp_path / "trained", trained, make_experiment())[0] == 1
    begun = _with(make_supernet("New"), condition("Failed", "BadInput"))
    training, _ = names.supernet_manifests(begun)
    RunFolder(tmp_path / "begun").store.write_ref(f"{training}.checkpoint", {"sha256": "0" * 64, "step": 3})
    assert _outcome(tmp_path / "begun", begun, make_experiment())[0] == 1


def test_success_is_zero(tmp_path: Path) -> None:
    assert _outcome(tmp_path, make_supernet(), _with(make_experiment(), condition("Succeeded"))) == (0, "")


@pytest.mark.parametrize(("seen", "expected"), [(1, True), (0, False)])
def test_finished_only_for_the_spec_that_was_seen(seen: int, expected: bool) -> None:
    experiment = make_experiment()
    metadata = experiment.metadata.model_copy(update={"generation": 1})
    experiment = experiment.model_copy(update={"metadata": metadata})
    ended = _with(experiment, condition("Succeeded"), observed_generation=seen)
    assert finished(Records(supernet=make_supernet(), experiment=ended)) is expected
