"""`pretrain` as a real process: killed at any step it ends as if it never had been."""

import signal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import OperatorBus
from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_DONE, EXIT_RETRY, PretrainJob
from pfpnas_workloads.training import load_calibration, load_supernet
from support.tiny_supernet import tiny_spec
from support.training_process import (
    first_step,
    run_killed_before_its_manifest,
    run_workload,
    running_workload,
    wait_until,
)
from support.workload_service import workload


def make_job(**changes: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Pretrain", "uid": "tiny", "spec": tiny_spec(**changes).document()}


def store_of(folder: Path) -> FolderStore:
    return FolderStore(folder / "store")


def saved_step(folder: Path) -> int:
    return int((store_of(folder).read_ref("tiny.checkpoint") or {}).get("step", 0))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert run_workload("pretrain", make_job(), folder)[0] == EXIT_DONE
    return folder


def outcome(folder: Path) -> tuple[str, dict[str, float]]:
    manifest = store_of(folder).read_manifest("tiny")
    assert manifest is not None
    figures = {name: figure for name, figure in manifest.figures.items() if name != "seconds"}
    return manifest.artifacts["checkpoint"].sha256, figures


def test_leaves_a_checkpoint_calibration_images_and_figures(unbroken: Path) -> None:
    store = store_of(unbroken)
    manifest = store.read_manifest("tiny")
    assert manifest is not None
    assert manifest.outcome == "Done"
    supernet = load_supernet(store.get(manifest.artifacts["checkpoint"].sha256))
    assert supernet.space == tiny_spec().search_space.space(classes=10)
    calibration = load_calibration(store.get(manifest.artifacts["calibration"].sha256))
    assert calibration.shape == (64, 3, 16, 16)
    assert manifest.figures["classes"] == 10
    assert 0 <= manifest.figures["smallestAccuracy"] <= 1


def test_forgets_the_checkpoint_in_progress(unbroken: Path) -> None:
    manifest = store_of(unbroken).read_manifest("tiny")
    assert manifest is not None
    kept = {path.name for path in (unbroken / "store/sha256").glob("*/*")}
    assert kept == {artifact.sha256 for artifact in manifest.artifacts.values()}


@pytest.mark.parametrize("kills", [(4,), (8,), (20,), (4, 12, 16)], ids=lambda kills: "-".join(map(str, kills)))
def test_killed_training_ends_with_the_same_bits(unbroken: Path, tmp_path: Path, kills: tuple[int, ...]) -> None:
    """Killed as soon as these steps are saved, so within one of the steps that follow."""
    for step in kills:
        with running_workload("pretrain", make_job(), tmp_path) as process:
            wait_until(lambda step=step: saved_step(tmp_path) >= step, process)  # type: ignore[misc]
        assert saved_step(tmp_path) >= step
    saved = saved_step(tmp_path)
    code, errors = run_workload("pretrain", make_job(), tmp_path)
    assert code == EXIT_DONE
    assert first_step(errors) == saved >= kills[-1]  # from the start it would come to the same bits
    assert outcome(tmp_path) == outcome(unbroken)


def test_killed_before_its_manifest_it_trains_no_step_again(unbroken: Path, tmp_path: Path) -> None:
    assert run_killed_before_its_manifest("pretrain", make_job(), tmp_path) == -signal.SIGKILL
    assert store_of(tmp_path).read_manifest("tiny") is None
    code, errors = run_workload("pretrain", make_job(), tmp_path)
    assert code == EXIT_DONE
    assert first_step(errors) == 20
    assert outcome(tmp_path) == outcome(unbroken)
    assert store_of(tmp_path).read_ref("tiny.checkpoint") is None


def test_sigterm_saves_the_step_it_is_at(redis_client: Redis, redis_url: str, tmp_path: Path) -> None:
    """So long a training saves nothing of itself before its last step, which it never reaches."""
    training = {"epochs": 2000, "checkpointEvery": 1_000_000}
    job = PretrainJob(uid="tiny", spec=tiny_spec(training=training))
    folder = tmp_path / "store"

    def reached() -> bool:
        progress = OperatorBus(redis_client).progress("tiny")
        return progress is not None and progress.done > 0

    with workload("pretrain", job=job, store=folder, redis_url=redis_url) as process:
        process.until(reached)
        assert saved_step(tmp_path) == 0
        assert process.terminate() == EXIT_RETRY
        saved = saved_step(tmp_path)
        assert saved > 0
        assert f"stopped at step {saved}" in process.log.read_text()
    with workload("pretrain", job=job, store=folder, redis_url=redis_url) as process:
        process.until(lambda: f"starts at step {saved} of" in process.log.read_text())


def test_another_seed_ends_elsewhere(unbroken: Path, tmp_path: Path) -> None:
    assert run_workload("pretrain", make_job(training={"seed": 1}), tmp_path)[0] == EXIT_DONE
    assert outcome(tmp_path)[0] != outcome(unbroken)[0]


def test_missing_data_are_bad_input_in_one_line(tmp_path: Path) -> None:
    spec = tiny_spec().document()
    spec["dataset"] = {"format": "CIFAR10", "uri": str(tmp_path / "nowhere")}
    code, errors = run_workload("pretrain", {"kind": "Pretrain", "uid": "tiny", "spec": spec}, tmp_path)
    assert code == EXIT_BAD_INPUT
    assert "nowhere does not exist" in errors
    assert "Traceback" not in errors
    manifest = store_of(tmp_path).read_manifest("tiny")
    assert manifest is not None
    assert manifest.outcome == "BadInput"
