"""The run's folder: one run at a time, the same search as before, or a clear no."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.documents import load
from pfpnas_operator.local.folder import FolderError, RunFolder, begin_or_resume, free_space_problem
from support.reconcile_builders import condition
from support.run_process import EXPERIMENT, SUPERNET, merged


def _documents(tmp_path: Path, experiment: dict[str, Any] | None = None, supernet: dict[str, Any] | None = None) -> Any:
    path = tmp_path / "documents.yaml"
    path.write_text(yaml.safe_dump_all([merged(SUPERNET, supernet or {}), merged(EXPERIMENT, experiment or {})]))
    documents = load([path])
    return documents.supernets[0], documents.experiments[0]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "out")


def _begun(folder: RunFolder, supernet: Supernet, experiment: NASExperiment) -> tuple[Supernet, NASExperiment]:
    supernet, experiment, _ = begin_or_resume(folder, supernet, experiment)
    folder.write_supernet(supernet)
    folder.write_experiment(experiment)
    return supernet, experiment


def test_is_held_by_one_run_at_a_time(folder: RunFolder) -> None:
    assert not folder.locked()
    with folder.lock():
        assert folder.locked()
        with pytest.raises(FolderError, match="another run works there"):
            folder.lock()
    folder.lock().close()
    assert not folder.locked()


def test_new_documents_get_identities(folder: RunFolder, tmp_path: Path) -> None:
    supernet, experiment, trials = begin_or_resume(folder, *_documents(tmp_path))
    assert supernet.metadata.uid != experiment.metadata.uid
    assert (experiment.metadata.generation, trials) == (1, ())


def test_same_documents_go_on_under_the_same_identity(folder: RunFolder, tmp_path: Path) -> None:
    _begun(folder, *_documents(tmp_path))
    assert begin_or_resume(folder, *_documents(tmp_path)) == folder.read()


def test_changed_budget_is_a_new_generation_of_the_same_search(folder: RunFolder, tmp_path: Path) -> None:
    _, begun = _begun(folder, *_documents(tmp_path))
    changed = _documents(tmp_path, {"spec": {"budget": {"maxTrials": 9}}})
    _, experiment, _ = begin_or_resume(folder, *changed)
    assert (experiment.metadata.uid, experiment.metadata.generation) == (begun.metadata.uid, 2)
    assert experiment.spec.budget.max_trials == 9


@pytest.mark.parametrize(
    ("experiment", "supernet", "named"),
    [
        ({"spec": {"tuner": {"seed": 3}}}, {}, "NASExperiment tiny was begun with another spec.tuner"),
        ({}, {"spec": {"training": {"epochs": 5}}}, "Supernet tiny-net was begun with another spec.training"),
        ({"metadata": {"name": "other"}}, {}, "holds NASExperiment tiny, not other"),
    ],
)
def test_another_search_is_refused(
    folder: RunFolder, tmp_path: Path, experiment: dict[str, Any], supernet: dict[str, Any], named: str
) -> None:
    _begun(folder, *_documents(tmp_path))
    with pytest.raises(FolderError, match=named):
        begin_or_resume(folder, *_documents(tmp_path, experiment, supernet))


def test_search_that_failed_on_its_input_may_change_in_any_field(folder: RunFolder, tmp_path: Path) -> None:
    supernet, _ = _begun(folder, *_documents(tmp_path))
    status = supernet.status.model_copy(update={"conditions": (condition("Failed", "BadInput"),)})
    folder.write_supernet(supernet.model_copy(update={"status": status}))
    changed = _documents(tmp_path, supernet={"spec": {"training": {"epochs": 5}}})
    anew, _, _ = begin_or_resume(folder, *changed)
    assert anew.metadata.uid != supernet.metadata.uid
    assert anew.spec.training.epochs == 5


def test_search_whose_training_died_keeps_what_it_has(folder: RunFolder, tmp_path: Path) -> None:
    supernet, _ = _begun(folder, *_documents(tmp_path))
    status = supernet.status.model_copy(update={"conditions": (condition("Failed", "JobFailed"),)})
    folder.write_supernet(supernet.model_copy(update={"status": status}))
    changed = _documents(tmp_path, supernet={"spec": {"training": {"epochs": 5}}})
    with pytest.raises(FolderError, match=r"spec\.training"):
        begin_or_resume(folder, *changed)


def test_damaged_document_is_named(folder: RunFolder, tmp_path: Path) -> None:
    _begun(folder, *_documents(tmp_path))
    (folder.root / "experiment.yaml").write_text("kind: NASExperiment\n")
    with pytest.raises(FolderError, match=r"is damaged:\n.*experiment\.yaml"):
        folder.read()


def test_folder_without_a_run_says_so(folder: RunFolder) -> None:
    with pytest.raises(FolderError, match="holds no run"):
        folder.read()


def test_room_is_compared_with_what_is_needed(tmp_path: Path) -> None:
    assert free_space_problem(tmp_path, least_bytes=1) is None
    assert f"--out {tmp_path}: only" in str(free_space_problem(tmp_path, least_bytes=2**60))
