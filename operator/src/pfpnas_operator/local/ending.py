"""How a run ends: its exit code, and what is said."""

from pfpnas_api.kinds import Condition, NASExperiment, Supernet, find_condition, is_true
from pfpnas_api.messages import EXPERIMENT_REASONS
from pfpnas_operator.local.observer import Records

DONE, FAILED, INVALID, INFEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of `pfpnas run`."""

OWN_FAULT = EXPERIMENT_REASONS | {"BadInput"}
"""Reasons of a failed experiment or Supernet that its author can mend."""


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


def true_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of this type, if it holds."""
    found = find_condition(conditions, kind)
    return found if found is not None and found.status == "True" else None
