"""How a run ends: its exit code, what is said, and which failures the next attempt forgets."""

from typing import TypeVar

from pfpnas_api.kinds import (
    Condition,
    NASExperiment,
    NASExperimentStatus,
    Supernet,
    SupernetStatus,
    find_condition,
    is_true,
)
from pfpnas_api.messages import EXPERIMENT_REASONS
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.observer import Records
from pfpnas_operator.reconcile import names

DONE, FAILED, INVALID, INFEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of `pfpnas run`."""

OWN_FAULT = EXPERIMENT_REASONS | {"BadInput"}
"""Reasons of a failed experiment or Supernet that its author can mend."""

MENDABLE = OWN_FAULT | {"JobFailed", "BuildFailed"}
"""Failures that the same command may outlive: data put in place, a disk that is no longer full."""

AnyStatus = TypeVar("AnyStatus", SupernetStatus, NASExperimentStatus)


def finished(records: Records) -> bool:
    """Whether the run has ended, and neither a changed budget nor a trial made by hand may make it go on."""
    status = records.experiment.status
    if records.active or status.observed_generation != records.experiment.metadata.generation:
        return False
    return is_true(status.conditions, "Succeeded") or is_true(status.conditions, "Failed")


def outcome(supernet: Supernet, experiment: NASExperiment) -> tuple[int, str]:
    """Exit code and, where something went wrong, one readable message."""
    lost = true_condition(supernet.status.conditions, "Failed")
    if lost is not None:
        text = f"Supernet {supernet.metadata.name} failed ({lost.reason}): {lost.message}"
        return (INVALID if lost.reason in OWN_FAULT else FAILED), text
    failure = true_condition(experiment.status.conditions, "Failed")
    if failure is None:
        return DONE, ""
    text = f"{experiment.metadata.name} failed ({failure.reason}): {failure.message}"
    if failure.reason == "NoFeasibleArchitecture":
        return INFEASIBLE, text
    return (INVALID if failure.reason in OWN_FAULT else FAILED), text


def mended(folder: RunFolder, records: Records) -> Records:
    """The records without failures that their author may have mended since: data, aliases, a disk that was full."""
    supernet, experiment = records.supernet, records.experiment
    for uid in names.supernet_manifests(supernet):
        manifest = folder.store.read_manifest(uid)
        if manifest is not None and manifest.outcome != "Done":
            folder.store.delete_ref(uid)
    if true_condition(supernet.status.conditions, "Failed"):
        records.supernet = supernet.model_copy(update={"status": _without_failure(supernet.status)})
    failure = true_condition(experiment.status.conditions, "Failed")
    if failure is not None and failure.reason in MENDABLE:
        status = _without_failure(experiment.status).model_copy(update={"search_finished_at": None})
        records.experiment = experiment.model_copy(update={"status": status})
    return records


def _without_failure(status: AnyStatus) -> AnyStatus:
    kept = tuple(c for c in status.conditions if c.type not in ("Failed", "Ready", "Succeeded"))
    return status.model_copy(update={"conditions": kept, "attempts": {}, "finished_at": None})


def true_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of this type, if it holds."""
    found = find_condition(conditions, kind)
    return found if found is not None and found.status == "True" else None
