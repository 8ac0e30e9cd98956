"""The workload `fit-predictor`: from a checkpoint to an accuracy predictor."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.jobs import FitPredictorJob, Manifest
from pfpnas_api.messages import Progress
from pfpnas_api.spaces import Architecture
from pfpnas_workloads.data import DataError, load
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.prediction.perceptron import Quality, fit_and_judge
from pfpnas_workloads.prediction.samples import Sample, SampleTable, choose_samples
from pfpnas_workloads.runtime import BadInput, Interrupted, JobContext
from pfpnas_workloads.training.calibration import load_calibration
from pfpnas_workloads.training.checkpoint import CheckpointError, load_supernet
from pfpnas_workloads.training.evaluation import evaluate
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.training.precision import choose_device

Clock = Callable[[], float]

FEWEST = 4
"""Architectures of which a predictor can be fitted to some and judged on others."""


@dataclass(frozen=True)
class Judges:
    """What subnets are evaluated with.

    Attributes:
        supernet: The trained supernet.
        calibration: Training images for BatchNorm, uint8 `(n, 3, h, w)`.
        images: Public validation images, uint8 `(m, 3, h, w)`.
        labels: Their classes, `(m,)`.
    """

    supernet: Supernet
    calibration: Tensor
    images: Tensor
    labels: Tensor


def run_fit_predictor(job: FitPredictorJob, context: JobContext, *, clock: Clock = time.monotonic) -> Manifest:
    """Evaluate subnets and fit the predictor; subnets evaluated before an interruption are not evaluated again.

    Raises:
        BadInput: Checkpoint, calibration images or data are missing, damaged or don't fit.
        Interrupted: Told to stop; what was evaluated is kept.
    """
    keep_freed_memory()
    judges = _prepare(job, context)
    space, spec = judges.supernet.space, job.spec.predictor
    table = _table(job, context)
    architectures = choose_samples(space, spec.samples, seed=spec.seed)
    if len(architectures) < FEWEST:
        raise BadInput(
            f"searchSpace has {len(architectures)} architectures, a predictor needs {FEWEST}: give kernelSizes, "
            "expandRatios, depths or resolutions more values"
        )
    accuracies = _evaluate_all(job, context, architectures, judges=judges, table=table, clock=clock)
    predictor, quality = fit_and_judge(
        space, architectures, np.array(accuracies), checkpoint=job.checkpoint.sha256, seed=spec.seed
    )
    artifacts = {"predictor": context.store.put(predictor.save()), "samples": table.put()}
    return Manifest(
        uid=context.uid, outcome="Done", artifacts=artifacts, figures=_figures(quality, samples=len(accuracies))
    )


def forget_samples(job: FitPredictorJob, context: JobContext) -> None:
    """Remove the samples kept for going on; only once the manifest is there, or a kill in between costs them all."""
    _table(job, context).remove()


def _table(job: FitPredictorJob, context: JobContext) -> SampleTable:
    return SampleTable(context.store, context.uid, fingerprint=_fingerprint(job))


def _prepare(job: FitPredictorJob, context: JobContext) -> Judges:
    try:
        supernet = load_supernet(context.store.get(job.checkpoint.sha256))
        calibration = load_calibration(context.store.get(job.calibration.sha256))
        data = load(job.spec.dataset, store=context.store, side=max(job.spec.search_space.resolutions))
        chosen = _spread(len(data.validation_labels), job.spec.predictor.validation_images)
        images, labels = data.validation_images[chosen], data.validation_labels[chosen]
    except (ArtifactError, CheckpointError, DataError) as e:
        raise BadInput(str(e)) from e
    if data.classes != supernet.space.classes:
        raise BadInput(
            f"dataset has {data.classes} classes, the checkpoint {supernet.space.classes}: "
            "both must be of the same data"
        )
    supernet = supernet.to(choose_device())
    return Judges(supernet, calibration[: job.spec.predictor.calibration_images], images, labels)


def _spread(available: int, wanted: int) -> Tensor:
    """`wanted` indices at most, evenly over all, since some data sets are sorted by class."""
    return torch.from_numpy(np.unique(np.linspace(0, available - 1, min(wanted, available)).astype(np.int64)))


def _evaluate_all(
    job: FitPredictorJob,
    context: JobContext,
    architectures: Sequence[Architecture],
    *,
    judges: Judges,
    table: SampleTable,
    clock: Clock,
) -> list[float]:
    """The accuracy of each architecture, from the table where it is there."""
    accuracies: list[float] = []
    spent, fresh = 0.0, 0
    for done, architecture in enumerate(architectures, start=1):
        if context.stopping():
            raise Interrupted(f"stopped after {done - 1} of {len(architectures)} samples")
        sample = table.get(architecture)
        if sample is None:
            before = clock()
            sample = _sample(job, architecture, judges=judges)
            table.add(sample)
            spent, fresh = spent + clock() - before, fresh + 1
        accuracies.append(sample.accuracy)
        eta = spent / fresh * (len(architectures) - done) if fresh else None
        context.report(
            Progress(
                stage="FitPredictor", done=done, total=len(architectures), eta_seconds=eta, accuracy=sample.accuracy
            )
        )
    return accuracies


def _sample(job: FitPredictorJob, architecture: Architecture, *, judges: Judges) -> Sample:
    found = evaluate(
        judges.supernet,
        architecture,
        calibration=judges.calibration,
        images=judges.images,
        labels=judges.labels,
    )
    return Sample(architecture=architecture.id, accuracy=found, checkpoint=job.checkpoint.sha256)


def _fingerprint(job: FitPredictorJob) -> str:
    """A digest of the whole job but its uid."""
    parts = {name: part for name, part in job.document().items() if name != "uid"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _figures(quality: Quality, *, samples: int) -> dict[str, float]:
    return {
        "samples": float(samples),
        "kendallTau": quality.kendall_tau,
        "meanAbsoluteError": quality.mean_absolute_error,
        "constantMeanAbsoluteError": quality.constant_mean_absolute_error,
    }
