"""`run_pretrain` within this process: progress, interruption, divergence, another specification."""

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import PretrainJob
from pfpnas_api.messages import Progress
from pfpnas_workloads.data import load
from pfpnas_workloads.runtime import BadInput, Interrupted, JobContext, logger
from pfpnas_workloads.training.pretrain import run_pretrain
from pfpnas_workloads.training.ranks import Ranks
from pfpnas_workloads.training.resume import Bookmark
from pfpnas_workloads.training.trainer import Trainer
from support.tiny_supernet import tiny_spec


class Recorder(JobContext):
    """A context that keeps what is reported, and stops after so many reports."""

    def __init__(self, folder: Path, *, stop_after: int | None = None) -> None:
        super().__init__("tiny", FolderStore(folder))
        self.reports: list[Progress] = []
        self._stop_after = stop_after

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)
        if len(self.reports) == self._stop_after:
            self.stop()


JOB = PretrainJob(uid="tiny", spec=tiny_spec())


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The workloads' log lines; their logger may have been cut off from the root before."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def _single_thread():  # type: ignore[no-untyped-def]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_step_is_reported_with_epoch_loss_and_time_left(tmp_path: Path) -> None:
    context = Recorder(tmp_path)
    run_pretrain(JOB, context)
    assert [progress.done for progress in context.reports] == list(range(1, 21))
    assert {progress.total for progress in context.reports} == {20}
    assert [progress.epoch for progress in context.reports] == [1] * 9 + [2] * 11
    assert all(progress.loss is not None and progress.loss > 0 for progress in context.reports)
    assert context.reports[-1].eta_seconds == 0


def test_stopped_training_goes_on_at_the_step_it_had_reached(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_pretrain(JOB, Recorder(tmp_path, stop_after=7))
    context = Recorder(tmp_path)
    manifest = run_pretrain(JOB, context)
    assert context.reports[0].done == 8
    whole = run_pretrain(JOB, Recorder(tmp_path / "whole"))
    assert manifest.artifacts == whole.artifacts


class LostAfterSeven(Ranks):
    """The other rank is gone when the eighth step is about to begin, which is seen when all are asked to stop."""

    asked = 0

    def any(self, said: bool) -> bool:
        LostAfterSeven.asked += 1
        if LostAfterSeven.asked > 7:
            raise Interrupted("lost another worker")
        return super().any(said)


def test_a_rank_lost_between_two_steps_costs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfpnas_workloads.training.pretrain.joined", lambda device: nullcontext(LostAfterSeven()))
    job = PretrainJob(uid="tiny", spec=tiny_spec(training={"checkpointEvery": 1_000_000}))
    with pytest.raises(Interrupted):
        run_pretrain(job, Recorder(tmp_path))
    assert (FolderStore(tmp_path).read_ref("tiny.checkpoint") or {})["step"] == 7


def test_checkpoint_of_another_specification_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_pretrain(JOB, Recorder(tmp_path, stop_after=7))
    context = Recorder(tmp_path)
    run_pretrain(PretrainJob(uid="tiny", spec=tiny_spec(training={"seed": 5, "epochs": 1})), context)
    assert context.reports[0].done == 1


def test_a_checkpoint_whose_artifact_is_gone_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_pretrain(JOB, Recorder(tmp_path, stop_after=2))
    store = FolderStore(tmp_path)
    store.delete((store.read_ref("tiny.checkpoint") or {})["sha256"])
    context = Recorder(tmp_path)
    run_pretrain(JOB, context)
    assert context.reports[0].done == 1


@pytest.mark.parametrize("part", ["artifact", "reference"])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, part: str, log: list[str]) -> None:
    with pytest.raises(Interrupted):
        run_pretrain(JOB, Recorder(tmp_path, stop_after=5))
    digest = (FolderStore(tmp_path).read_ref("tiny.checkpoint") or {})["sha256"]
    damaged = FolderStore(tmp_path).path(digest) if part == "artifact" else tmp_path / "refs/tiny.checkpoint.json"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    context = Recorder(tmp_path)
    manifest = run_pretrain(JOB, context)
    assert context.reports[0].done == 1
    assert manifest.outcome == "Done"
    assert any("checkpoint in progress is lost" in line and str(damaged) in line for line in log)


def test_divergence_is_the_specification_s_fault_and_names_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loss in (torch.nan, torch.inf):
        monkeypatch.setattr(Trainer, "advance", lambda self, loss=loss: torch.tensor(loss))
        with pytest.raises(BadInput, match=r"diverged at step 0.*training\.learningRate \(now 0\.1\)"):
            run_pretrain(JOB, Recorder(tmp_path))


def test_weights_that_only_the_last_step_wrecked_are_never_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer.advance

    def wreck_at_the_end(trainer: Trainer) -> torch.Tensor:
        loss = advance(trainer)
        if trainer.step == trainer.schedule.steps:
            torch.nn.init.constant_(trainer.supernet.classifier.bias, torch.nan)
        return loss

    monkeypatch.setattr(Trainer, "advance", wreck_at_the_end)
    with pytest.raises(BadInput, match=r"diverged at step 20.*training\.learningRate"):
        run_pretrain(JOB, Recorder(tmp_path))


@pytest.mark.parametrize("precision", ["BFloat16", "Float16"])
def test_a_mixed_precision_training_goes_on_to_the_same_bits(tmp_path: Path, precision: str) -> None:
    job = PretrainJob(uid="tiny", spec=tiny_spec(training={"precision": precision}))
    with pytest.raises(Interrupted):
        run_pretrain(job, Recorder(tmp_path, stop_after=9))
    context = Recorder(tmp_path)
    manifest = run_pretrain(job, context)
    assert context.reports[0].done == 10
    assert manifest.artifacts == run_pretrain(job, Recorder(tmp_path / "whole")).artifacts
    assert manifest.artifacts != run_pretrain(JOB, Recorder(tmp_path / "full")).artifacts


def test_the_loss_scale_is_what_it_was(tmp_path: Path) -> None:
    job = PretrainJob(uid="tiny", spec=tiny_spec(training={"precision": "Float16"}))
    store = FolderStore(tmp_path)
    data = load(job.spec.dataset, store=store, side=16)
    first, second = (Trainer(job.spec.training, job.spec.search_space, data) for _ in range(2))
    first.scaler.load_state_dict(first.scaler.state_dict() | {"scale": 512.0, "_growth_tracker": 3})
    first.advance()
    Bookmark(store, "tiny", job.spec).save(first)
    assert Bookmark(store, "tiny", job.spec).restore(second)
    assert second.scaler.state_dict() == first.scaler.state_dict()
    assert second.scaler.state_dict()["scale"] == 512.0
