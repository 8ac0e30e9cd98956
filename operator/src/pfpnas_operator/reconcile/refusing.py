"""What is said of documents that no decision is made about: they make no resource, or claim to be what they are not."""

import re
from typing import TypeVar

from pfpnas_api.kinds import NASExperimentStatus, SupernetStatus, Trial, TrialStatus
from pfpnas_operator.reconcile.conditions import FALSE, Stamp
from pfpnas_operator.reconcile.names import OWN_TRIAL

ParentStatus = TypeVar("ParentStatus", SupernetStatus, NASExperimentStatus)

SUMS_UP: dict[type, str] = {SupernetStatus: "Ready", NASExperimentStatus: "Succeeded"}
"""The condition that says in one word where a resource stands."""


def rejected(status: ParentStatus, stamp: Stamp, message: str) -> ParentStatus:
    """The status of a document that the API server let pass, though it makes no resource."""
    conditions = stamp.put(status.conditions, "Accepted", FALSE, "Invalid", message)
    conditions = stamp.put(conditions, SUMS_UP[type(status)], FALSE, "Invalid", message)
    return status.model_copy(update={"conditions": conditions, "observed_generation": stamp.generation})


def held_back(status: TrialStatus, stamp: Stamp, reason: str, message: str) -> TrialStatus:
    """The status of a Trial that can't be taken up as things are: its experiment is not there, or it is not its own."""
    conditions = stamp.put(status.conditions, "Accepted", FALSE, reason, message)
    conditions = stamp.put(conditions, "Succeeded", FALSE, reason, message)
    return status.model_copy(update={"conditions": conditions, "observed_generation": stamp.generation})


def claims_to_be_own(trial: Trial, *, experiment: str, uid: str) -> str | None:
    """What a Trial made by hand has that only the search's own trials have; None when it may be adopted, or is own.

    Own is one that has such a name and was made by the operator: its controller is the experiment. Whoever may create
    Trials can choose a name, an index and an origin, and would so spend the budget or stand in for a suggestion.

    Args:
        trial: As it was written.
        experiment: Name of the experiment that it is for.
        uid: Of the same.
    """
    own_name = re.fullmatch(re.escape(experiment) + OWN_TRIAL, trial.metadata.name) is not None
    if own_name and trial.metadata.controlled_by(uid):
        return None
    if own_name:
        return "metadata.name: is a name of the search's own trials; choose another"
    if trial.spec.index is not None:
        return "spec.index: belongs to the search's own trials; leave it out"
    if trial.spec.origin != "User":
        return f"spec.origin: is {trial.spec.origin}, which is for the search's own trials; leave it out"
    return None
