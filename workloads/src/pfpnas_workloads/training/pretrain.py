"""The workload `pretrain`: from a Supernet's specification to a checkpoint."""

import time
from collections.abc import Callable
from math import isnan

from torch import Tensor

from pfpnas_api.jobs import Manifest, PretrainJob
from pfpnas_api.messages import Progress
from pfpnas_workloads.data import DataError, PublicData, load
from pfpnas_workloads.runtime import BadInput, Interrupted, JobContext
from pfpnas_workloads.training.calibration import choose_calibration, save_calibration
from pfpnas_workloads.training.checkpoint import save_supernet
from pfpnas_workloads.training.evaluation import evaluate
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.training.pace import Pace
from pfpnas_workloads.training.resume import Bookmark
from pfpnas_workloads.training.trainer import Trainer

Clock = Callable[[], float]


def run_pretrain(job: PretrainJob, context: JobContext, *, clock: Clock = time.monotonic) -> Manifest:
    """Train the supernet, going on from the job's checkpoint in progress if there is one.

    Raises:
        BadInput: The data are missing or damaged, or the training diverged.
        Interrupted: Told to stop; a checkpoint is kept.
    """
    keep_freed_memory()
    started = clock()
    try:
        data = load(job.spec.dataset, store=context.store, side=max(job.spec.search_space.resolutions))
        trainer = Trainer(job.spec.training, job.spec.search_space, data)
        bookmark = Bookmark(context.store, context.uid, job.spec)
        bookmark.restore(trainer)
        _train(trainer, bookmark, context, clock=clock)
        manifest = _finish(job, trainer, data, context, seconds=clock() - started)
    except DataError as e:
        raise BadInput(str(e)) from e
    bookmark.remove()
    return manifest


def _train(trainer: Trainer, bookmark: Bookmark, context: JobContext, *, clock: Clock) -> None:
    pace = Pace(trainer.schedule)
    while trainer.step < trainer.schedule.steps:
        if context.stopping():
            bookmark.save(trainer)
            raise Interrupted(f"stopped at step {trainer.step}")
        shrinking, before = trainer.shrinking, clock()
        loss = trainer.advance()
        pace.took(clock() - before, shrinking=shrinking)
        _report(trainer, loss, context, eta=pace.remaining(trainer.step))
        if trainer.step % trainer.spec.checkpoint_every == 0 or trainer.step == trainer.schedule.steps:
            bookmark.save(trainer)


def _report(trainer: Trainer, loss: Tensor, context: JobContext, *, eta: float | None) -> None:
    value = float(loss)
    if isnan(value):
        raise BadInput(
            f"the training diverged at step {trainer.step}: its loss is no number; lower training.learningRate "
            f"(now {trainer.spec.learning_rate})"
        )
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


def _finish(job: PretrainJob, trainer: Trainer, data: PublicData, context: JobContext, *, seconds: float) -> Manifest:
    """Judge the largest and the smallest subnet, and write checkpoint and calibration images."""
    supernet, spec = trainer.supernet, job.spec.training
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
