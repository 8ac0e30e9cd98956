"""`run_pretrain` within this process: progress, interruption, divergence, another specification."""

from pathlib import Path

import pytest
import torch

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import PretrainJob
from pfpnas_api.messages import Progress
from pfpnas_workloads.runtime import BadInput, Interrupted, JobContext
from pfpnas_workloads.training.pretrain import run_pretrain
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


def test_divergence_is_the_specification_s_fault_and_names_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "advance", lambda self: torch.tensor(torch.nan))
    with pytest.raises(BadInput, match=r"training\.learningRate"):
        run_pretrain(JOB, Recorder(tmp_path))
