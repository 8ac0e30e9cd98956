"""What the next attempt forgets: failures that somebody may have mended since, and the trials that they took along."""

from datetime import datetime
from typing import TypeVar

from pfpnas_api.kinds import NASExperiment, NASExperimentStatus, Supernet, SupernetStatus, Trial, is_true
from pfpnas_api.messages import EXPERIMENT_REASONS, RETRY_REASONS
from pfpnas_operator.driving import left_behind
from pfpnas_operator.local.ending import true_condition
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import BadManifest, Summary, names
from pfpnas_operator.reconcile.ending import NO_SUCCESS, TOO_MANY, goes_on
from pfpnas_operator.reconcile.origins import is_own
from pfpnas_operator.reconcile.reviving import FORGIVEN, failure_of, revived
from pfpnas_operator.reconcile.stopping import overdue

HOSTS = RETRY_REASONS | {"BlobMissing", "BuildFailed"}
"""Reasons of a failed trial that a full disk, a lack of memory or a busy device has too."""

MENDABLE = EXPERIMENT_REASONS | HOSTS | {"BadInput", "JobFailed"}
"""Failures of an experiment that the same command may outlive: data put in place, a disk that is no longer full."""

AnyStatus = TypeVar("AnyStatus", SupernetStatus, NASExperimentStatus)


def mended(folder: RunFolder, records: Records, *, now: datetime) -> tuple[Records, tuple[Trial, ...]]:
    """The records without failures that may be mended by now, and the trials that therefore go on.

    The trials are to be written before the experiment: killed in between, the next attempt finds its failure again.
    """
    _forget_refusals(folder, records)
    supernet, experiment = _mended_supernet(records.supernet), _mended_experiment(records)
    reasons = FORGIVEN if experiment is records.experiment else FORGIVEN | HOSTS
    lost = [trial for trial in records.finished if failure_of(trial) in reasons]
    others = [trial for trial in records.finished if failure_of(trial) not in reasons] + [*records.active.values()]
    without = Records.of(supernet, experiment, others)
    if not _goes_on(experiment, without.summary, now):
        return Records.of(supernet, experiment, [*records.finished, *records.active.values()]), ()
    again = tuple(_revived(folder, trial) for trial in lost)
    return Records.of(supernet, experiment, [*others, *again]), again


def _goes_on(experiment: NASExperiment, summary: Summary, now: datetime) -> bool:
    """Whether trials that are not finished would be measured."""
    conditions = experiment.status.conditions
    ended = is_true(conditions, "Succeeded") or is_true(conditions, "Failed")
    if experiment.status.search_finished_at is None and not ended:
        return overdue(experiment, now) is None
    return goes_on(experiment, summary, now)


def _revived(folder: RunFolder, trial: Trial) -> Trial:
    artifact = trial.status.artifact
    return revived(trial, built=artifact is not None and folder.store.has(artifact.sha256))


def _mended_supernet(supernet: Supernet) -> Supernet:
    if true_condition(supernet.status.conditions, "Failed") is None:
        return supernet
    return supernet.model_copy(update={"status": _without_failure(supernet.status)})


def _mended_experiment(records: Records) -> NASExperiment:
    experiment = records.experiment
    failure = true_condition(experiment.status.conditions, "Failed")
    if failure is None or not _mendable(failure.reason, records):
        return experiment
    status = _without_failure(experiment.status).model_copy(update={"search_finished_at": None})
    return experiment.model_copy(update={"status": status})


def _mendable(reason: str, records: Records) -> bool:
    """Whether a failure may be mended; one that only sums up its trials may, when what befell them may."""
    if reason not in (NO_SUCCESS, TOO_MANY):
        return reason in MENDABLE
    befell = [trial for trial in records.finished if failure_of(trial) in EXPERIMENT_REASONS | HOSTS]
    left = records.summary.failures - sum(is_own(trial) for trial in befell)
    return bool(befell) and left <= records.experiment.spec.budget.max_failed_trials


def _without_failure(status: AnyStatus) -> AnyStatus:
    kept = tuple(c for c in status.conditions if c.type not in ("Failed", "Ready", "Succeeded"))
    return status.model_copy(update={"conditions": kept, "attempts": {}, "interruptions": {}, "finished_at": None})


def _forget_refusals(folder: RunFolder, records: Records) -> None:
    """Remove what Jobs left that found their input at fault; that an architecture is none of the space stays true."""
    for uid in names.supernet_manifests(records.supernet):
        _forget(folder, uid, {"BadInput", "BadArchitecture"})
    for place in sorted((folder.store.root / "refs").glob(f"{records.experiment.metadata.uid}-*.json")):
        _forget(folder, place.stem, {"BadInput"})


def _forget(folder: RunFolder, uid: str, outcomes: set[str]) -> None:
    left = left_behind(folder.store, uid)
    if isinstance(left, BadManifest) or (left is not None and left.outcome in outcomes):
        folder.store.delete_ref(uid)
