"""`pretrain` by several workers under torchrun, as real processes.

| what happens | what is expected |
| --- | --- |
| two workers, a batch that can't be halved | the weights of one process that does both shares in turn |
| a rank is killed | the other ends within seconds with 75, and the next attempt goes on, by one worker as well |
| one worker is told to stop | both stop at the same step with 75, and it is saved |
| the data or the batch are at fault | all end with 42, and one manifest says why |
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_DONE, EXIT_RETRY, Manifest
from pfpnas_workloads.data import load
from pfpnas_workloads.training import load_supernet
from pfpnas_workloads.training.ranks import Ranks
from pfpnas_workloads.training.trainer import Trainer
from support.tiny_supernet import tiny_spec
from support.training_process import DEADLINE_SECONDS, run_workload
from support.training_together import environment, together

UNEVEN = {"batchSize": 15, "epochs": 1, "learningRate": "0.001"}
"""10 steps of 7 and 8 images. BatchNorm over so few multiplies rounding errors: at the usual learning rate they would
be seen after ten steps."""

ROUNDING = 1e-4
"""Of the weights after ten steps; one worker's share alone ends ten times as far away (the next test)."""


def make_job(**training: Any) -> dict[str, Any]:
    return {"kind": "Pretrain", "uid": "tiny", "spec": tiny_spec(training={**UNEVEN, **training}).document()}


def manifest_of(folder: Path) -> Manifest:
    manifest = FolderStore(folder / "store").read_manifest("tiny")
    assert manifest is not None
    return manifest


def saved_step(folder: Path) -> int:
    return int((FolderStore(folder / "store").read_ref("tiny.checkpoint") or {}).get("step", 0))


def parameters_of(folder: Path) -> dict[str, Tensor]:
    content = FolderStore(folder / "store").get(manifest_of(folder).artifacts["checkpoint"].sha256)
    return {name: parameter.detach() for name, parameter in load_supernet(content).named_parameters()}


class OneOfTwo(Ranks):
    """A rank whose gradients stay where they are."""

    def add_up(self, tensors: Any) -> None:
        """Nothing: they add up in the parameters' own `grad`."""


class InTurn(Trainer):
    """Both ranks' shares of each step, one after the other, in a single process."""

    def _gradients(self) -> Tensor:
        losses = []
        for rank in range(2):
            self.ranks = OneOfTwo(rank=rank, world=2)
            losses.append(super()._gradients())
        return losses[0] + losses[1]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the workers have: two threads add up in another order, and ten steps multiply what that makes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained_in_turn(folder: Path, *, kind: type[Trainer] = InTurn, ranks: Ranks = Ranks()) -> dict[str, Tensor]:  # noqa: B008
    spec = tiny_spec(training=UNEVEN)
    data = load(spec.dataset, store=FolderStore(folder), side=16)
    trainer = kind(spec.training, spec.search_space, data, ranks=ranks)
    while trainer.step < trainer.schedule.steps:
        trainer.advance()
    return {name: parameter.detach() for name, parameter in trainer.supernet.named_parameters()}


def farthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of any weight."""
    assert found.keys() == expected.keys()
    return max(float((value - expected[name]).abs().max()) for name, value in found.items())


@pytest.mark.usefixtures("one_thread")
def test_two_workers_come_to_the_weights_of_one_process_that_does_both_shares(tmp_path: Path) -> None:
    with together(make_job(), tmp_path) as training:
        assert training.wait() == [EXIT_DONE, EXIT_DONE], training.words()

    assert farthest(parameters_of(tmp_path), trained_in_turn(tmp_path / "alone")) < ROUNDING


@pytest.mark.usefixtures("one_thread")
def test_one_share_alone_would_be_told_apart(tmp_path: Path) -> None:
    one = trained_in_turn(tmp_path, kind=Trainer, ranks=OneOfTwo(rank=0, world=2))

    assert farthest(one, trained_in_turn(tmp_path)) > 10 * ROUNDING


def test_torchrun_itself_runs_them_and_they_leave_what_one_worker_leaves(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pfpnas_workloads"]
    environ = environment(make_job(), tmp_path)
    ended = subprocess.run(
        [sys.executable, *torchrun, "pretrain"], env=environ, check=False, timeout=DEADLINE_SECONDS, capture_output=True
    )
    assert ended.returncode == EXIT_DONE, ended.stderr.decode()
    assert run_workload("pretrain", make_job(), tmp_path / "alone")[0] == EXIT_DONE
    found, alone = manifest_of(tmp_path), manifest_of(tmp_path / "alone")
    assert (found.outcome, found.artifacts.keys(), found.figures.keys()) == (
        alone.outcome,
        alone.artifacts.keys(),
        alone.figures.keys(),
    )
    kept = {path.name for path in (tmp_path / "store/sha256").glob("*/*")}
    assert kept == {artifact.sha256 for artifact in found.artifacts.values()}


@pytest.mark.parametrize("lost", [0, 1], ids=["leading", "other"])
def test_a_lost_rank_ends_the_other_and_another_number_of_workers_goes_on(tmp_path: Path, lost: int) -> None:
    job = make_job(epochs=2000, checkpointEvery=3)
    with together(job, tmp_path) as training:
        training.until(lambda: saved_step(tmp_path) >= 3)
        (rank,) = training.ranks(lost)
        os.kill(rank, signal.SIGKILL)
        codes = training.wait()
        assert codes[lost] not in (EXIT_DONE, EXIT_BAD_INPUT, EXIT_RETRY), training.words()
        assert codes[1 - lost] == EXIT_RETRY, training.words()
    saved = saved_step(tmp_path)
    assert saved >= 3
    pods = 1 if lost else 2
    with together(job, tmp_path, pods=pods) as training:
        training.until(lambda: f"starts at step {saved} of" in training.words())
        training.until(lambda: saved_step(tmp_path) > saved)


def test_all_stop_at_the_same_step_when_one_is_told_to(tmp_path: Path) -> None:
    """So long a training saves nothing of itself before its last step, which it never reaches."""
    with together(make_job(epochs=2000, checkpointEvery=1_000_000), tmp_path) as training:
        training.until(lambda: training.words().count("starts at step 0 of") == 2)
        training.pods[1].terminate()
        assert training.wait() == [EXIT_RETRY, EXIT_RETRY], training.words()
        words = training.words()
    assert words.count(f'stopped at step {saved_step(tmp_path)}"') == 2


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"dataset": {"format": "CIFAR10", "uri": "/nowhere"}}, "/nowhere does not exist"),
        ({"training": {"batchSize": 3}}, "training.batchSize: a step has 3 images for 2 workers"),
    ],
    ids=["data", "batch"],
)
def test_what_is_at_fault_ends_all_with_42_and_one_manifest(tmp_path: Path, spec: dict[str, Any], says: str) -> None:
    document = make_job()
    document["spec"] |= spec
    with together(document, tmp_path) as training:
        assert training.wait() == [EXIT_BAD_INPUT, EXIT_BAD_INPUT], training.words()
        assert "Traceback" not in training.words()
    assert says in manifest_of(tmp_path).message


def test_a_training_that_is_done_is_not_begun_again(tmp_path: Path) -> None:
    assert run_workload("pretrain", make_job(epochs=1), tmp_path)[0] == EXIT_DONE
    with together(make_job(epochs=1), tmp_path) as training:
        assert training.wait() == [EXIT_DONE, EXIT_DONE]
        assert "starts at step" not in training.words()  # its manifest is there: nothing is left to do
