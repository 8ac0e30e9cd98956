"""How a run ends: its exit code, and what is said."""

from pfpnas_api.kinds import Condition, Supernet, find_condition, is_true
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import names

DONE, FAILED, INVALID, INFEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of `pfpnas run`."""


def finished(records: Records) -> bool:
    """Whether the run has ended, and neither a changed budget nor a trial made by hand may make it go on."""
    status = records.experiment.status
    if records.active or status.observed_generation != records.experiment.metadata.generation:
        return False
    return is_true(status.conditions, "Succeeded") or is_true(status.conditions, "Failed")


def outcome(folder: RunFolder, records: Records) -> tuple[int, str]:
    """Exit code and, where something went wrong, one readable message."""
    supernet, experiment = records.supernet, records.experiment
    lost = true_condition(supernet.status.conditions, "Failed")
    if lost is not None:
        text = f"Supernet {supernet.metadata.name} failed ({lost.reason}): {lost.message}"
        return (INVALID if lost.reason == "BadInput" and not _begun(folder, supernet) else FAILED), text
    failure = true_condition(experiment.status.conditions, "Failed")
    if failure is None:
        return DONE, ""
    text = f"{experiment.metadata.name} failed ({failure.reason}): {failure.message}"
    return (INFEASIBLE if failure.reason == "NoFeasibleArchitecture" else FAILED), text


def _begun(folder: RunFolder, supernet: Supernet) -> bool:
    """Whether anything was trained: public data that the training finds bad before its first step start nothing."""
    training, _ = names.supernet_manifests(supernet)
    return supernet.status.checkpoint is not None or folder.store.read_ref(f"{training}.checkpoint") is not None


def true_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of this type, if it holds."""
    found = find_condition(conditions, kind)
    return found if found is not None and found.status == "True" else None
