"""`fit-predictor` as a real process: what it leaves, and that no subnet is evaluated twice."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_DONE
from pfpnas_workloads.prediction import AccuracyPredictor
from support.tiny_supernet import tiny_spec
from support.training_process import run_killed_before_its_manifest, run_workload, running_workload, wait_until


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    document = {"kind": "Pretrain", "uid": "tiny", "spec": tiny_spec().document()}
    assert run_workload("pretrain", document, folder)[0] == EXIT_DONE
    return folder


def make_job(folder: Path, uid: str, **changes: dict[str, Any]) -> dict[str, Any]:
    manifest = FolderStore(folder / "store").read_manifest("tiny")
    assert manifest is not None
    artifacts = {name: artifact.document() for name, artifact in manifest.artifacts.items()}
    return {"kind": "FitPredictor", "uid": uid, "spec": tiny_spec(**changes).document(), **artifacts}


def kept_samples(folder: Path, uid: str) -> int:
    return len((FolderStore(folder / "store").read_ref(f"{uid}.samples") or {}).get("samples", {}))


def test_leaves_a_predictor_its_samples_and_its_quality(trained: Path) -> None:
    job = make_job(trained, "whole")
    assert run_workload("fit-predictor", job, trained)[0] == EXIT_DONE
    store = FolderStore(trained / "store")
    manifest = store.read_manifest("whole")
    assert manifest is not None
    predictor = AccuracyPredictor.load(store.get(manifest.artifacts["predictor"].sha256))
    assert predictor.checkpoint == job["checkpoint"]["sha256"]
    samples = json.loads(store.get(manifest.artifacts["samples"].sha256))
    assert len({sample["architecture"] for sample in samples}) == manifest.figures["samples"] == 20
    assert {sample["checkpoint"] for sample in samples} == {predictor.checkpoint}
    assert manifest.figures.keys() == {"samples", "kendallTau", "meanAbsoluteError", "constantMeanAbsoluteError"}


def test_killed_one_goes_on_with_the_samples_it_has(trained: Path) -> None:
    """A sample that was kept is not evaluated again: a value that no evaluation gives is still there at the end."""
    store = FolderStore(trained / "store")
    job = make_job(trained, "killed")
    with running_workload("fit-predictor", job, trained) as process:
        wait_until(lambda: kept_samples(trained, "killed") >= 3, process)
    table = store.read_ref("killed.samples")
    assert table is not None
    marked = next(iter(table["samples"]))
    table["samples"][marked]["accuracy"] = 0.123456
    store.write_ref("killed.samples", table)
    assert run_workload("fit-predictor", job, trained)[0] == EXIT_DONE
    manifest = store.read_manifest("killed")
    assert manifest is not None
    samples = json.loads(store.get(manifest.artifacts["samples"].sha256))
    assert len(samples) == 20
    assert {sample["architecture"]: sample["accuracy"] for sample in samples}[marked] == 0.123456


def test_killed_before_its_manifest_it_evaluates_nothing_again(trained: Path) -> None:
    store = FolderStore(trained / "store")
    job = make_job(trained, "late")
    assert run_killed_before_its_manifest("fit-predictor", job, trained) == -signal.SIGKILL
    assert store.read_manifest("late") is None
    table = store.read_ref("late.samples")
    assert table is not None
    assert len(table["samples"]) == 20
    for sample in table["samples"].values():
        sample["accuracy"] = 0.123456  # what no evaluation gives
    store.write_ref("late.samples", table)
    assert run_workload("fit-predictor", job, trained)[0] == EXIT_DONE
    manifest = store.read_manifest("late")
    assert manifest is not None
    samples = json.loads(store.get(manifest.artifacts["samples"].sha256))
    assert [sample["accuracy"] for sample in samples] == [0.123456] * 20
    assert manifest.figures["kendallTau"] == 0  # equal accuracies have no order
    assert store.read_ref("late.samples") is None


def test_a_space_too_small_for_a_predictor_is_bad_input(tmp_path: Path) -> None:
    single = {"kernelSizes": [3], "expandRatios": [2], "depths": [1]}
    spec = tiny_spec(searchSpace=single, training={"epochs": 1}).document()
    assert run_workload("pretrain", {"kind": "Pretrain", "uid": "tiny", "spec": spec}, tmp_path)[0] == EXIT_DONE
    job = make_job(tmp_path, "single") | {"spec": spec}
    code, errors = run_workload("fit-predictor", job, tmp_path)
    assert code == EXIT_BAD_INPUT
    assert "searchSpace has 1 architectures" in errors
    assert "Traceback" not in errors


def test_missing_checkpoint_is_bad_input(trained: Path) -> None:
    job = make_job(trained, "missing")
    job["checkpoint"] = {"sha256": "0" * 64, "size": 1}
    code, errors = run_workload("fit-predictor", job, trained)
    assert code == EXIT_BAD_INPUT
    assert "no artifact " + "0" * 64 in errors
    assert "Traceback" not in errors


def test_something_else_in_the_place_of_the_checkpoint_is_bad_input(trained: Path) -> None:
    job = make_job(trained, "confused")
    job["checkpoint"] = job["calibration"]
    code, errors = run_workload("fit-predictor", job, trained)
    assert code == EXIT_BAD_INPUT
    assert "no checkpoint of a supernet" in errors
