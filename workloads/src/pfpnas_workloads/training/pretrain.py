"""The workload `pretrain`: from a Supernet's specification to a checkpoint."""

import time
from collections.abc import Callable
from math import isfinite
from typing import TypeVar

from torch import Tensor

from pfpnas_api.jobs import Manifest, PretrainJob
from pfpnas_api.messages import Progress
from pfpnas_workloads.data import DataError, PublicData, load
from pfpnas_workloads.runtime import BadInput, Interrupted, JobContext, logger
from pfpnas_workloads.training.calibration import choose_calibration, save_calibration
from pfpnas_workloads.training.checkpoint import save_supernet
from pfpnas_workloads.training.evaluation import evaluate
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.training.pace import Pace
from pfpnas_workloads.training.precision import choose_device
from pfpnas_workloads.training.ranks import joined
from pfpnas_workloads.training.resume import Bookmark
from pfpnas_workloads.training.trainer import Trainer

Clock = Callable[[], float]

Returned = TypeVar("Returned")


def run_pretrain(job: PretrainJob, context: JobContext, *, clock: Clock = time.monotonic) -> Manifest | None:
    """Train the supernet, going on from the job's checkpoint in progress if there is one; it stays there.

    Under torchrun together with the other ranks; only the leading one returns a manifest.

    Raises:
        BadInput: The data are missing or damaged, there are more ranks than images, or the training diverged.
        Interrupted: Some rank was told to stop, or is gone; a checkpoint is kept.
        Unreachable: The other ranks were not found, or the data can't be read now.
    """
    keep_freed_memory()
    started, device = clock(), choose_device()
    try:
        data = load(job.spec.dataset, store=context.store, side=max(job.spec.search_space.resolutions))
        with joined(device) as ranks:
            trainer = Trainer(job.spec.training, job.spec.search_space, data, device=device, ranks=ranks)
            bookmark = Bookmark(context.store, context.uid, job.spec)
            bookmark.restore(trainer)
            logger.info("starts at step %d of %d", trainer.step, trainer.schedule.steps)
            _train(trainer, bookmark, context, clock=clock)
            manifest = _finish(job, trainer, data, context, seconds=clock() - started) if ranks.leading else None
            if manifest is not None and ranks.world > 1:
                # Whoever leaves before it is there may never be started again, and one alone can't go on.
                context.store.write_manifest(manifest)
            ranks.meet()
        return manifest
    except DataError as e:
        raise BadInput(str(e)) from e


def forget_training(job: PretrainJob, context: JobContext) -> None:
    """Remove the checkpoint in progress; only once the manifest is there, or a kill in between costs the training."""
    Bookmark(context.store, context.uid, job.spec).remove()


def _train(trainer: Trainer, bookmark: Bookmark, context: JobContext, *, clock: Clock) -> None:
    pace = Pace(trainer.schedule)
    while trainer.step < trainer.schedule.steps:
        if _kept(trainer, bookmark, lambda: trainer.ranks.any(context.stopping())):
            _save(bookmark, trainer)
            raise Interrupted(f"stopped at step {trainer.step}")
        shrinking, before = trainer.shrinking, clock()
        loss = _kept(trainer, bookmark, trainer.advance)
        pace.took(clock() - before, shrinking=shrinking)
        _report(trainer, loss, context, eta=pace.remaining(trainer.step))
        if trainer.step % trainer.spec.checkpoint_every == 0 or trainer.step == trainer.schedule.steps:
            _save(bookmark, trainer)


def _kept(trainer: Trainer, bookmark: Bookmark, together: Callable[[], Returned]) -> Returned:
    """What all ranks do together; if another is gone in its midst, the weights are still those before it, and kept."""
    try:
        return together()
    except Interrupted:
        _save(bookmark, trainer)
        raise


def _save(bookmark: Bookmark, trainer: Trainer) -> None:
    if trainer.ranks.leading:
        bookmark.save(trainer)


def _report(trainer: Trainer, loss: Tensor, context: JobContext, *, eta: float | None) -> None:
    value = float(loss)
    if not isfinite(value):
        raise _diverged(trainer)
    schedule = trainer.schedule
    context.report(
        Progress(
            stage="Pretrain",
            done=trainer.step,
            total=schedule.steps,
            epoch=min(schedule.epoch(trainer.step) + 1, schedule.epochs),
            epochs=schedule.epochs,
            eta_seconds=eta,
            loss=value,
        )
    )


def _diverged(trainer: Trainer) -> BadInput:
    return BadInput(
        f"the training diverged at step {trainer.step}: its loss or its weights are no numbers any more; lower "
        f"training.learningRate (now {trainer.spec.learning_rate})"
    )


def _finish(job: PretrainJob, trainer: Trainer, data: PublicData, context: JobContext, *, seconds: float) -> Manifest:
    """Judge the largest and the smallest subnet, and write checkpoint and calibration images."""
    supernet, spec = trainer.supernet, job.spec.training
    # The last step's loss was finite; what that step made of the weights no loss has told yet.
    if not all(bool(tensor.isfinite().all()) for tensor in supernet.state_dict().values()):
        raise _diverged(trainer)
    calibration = choose_calibration(data, spec.calibration_images, seed=spec.seed)
    largest, smallest = (
        evaluate(
            supernet,
            architecture,
            calibration=calibration,
            images=data.validation_images,
            labels=data.validation_labels,
        )
        for architecture in (trainer.space.maximum(), trainer.space.minimum())
    )
    return Manifest(
        uid=context.uid,
        outcome="Done",
        artifacts={
            "checkpoint": context.store.put(save_supernet(supernet)),
            "calibration": context.store.put(save_calibration(calibration)),
        },
        figures={
            "largestAccuracy": largest,
            "smallestAccuracy": smallest,
            "classes": float(data.classes),
            "seconds": seconds,
        },
    )
