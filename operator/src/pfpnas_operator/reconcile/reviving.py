"""Trials that ended for no fault of their own: when the search goes on after all, so do they."""

from pfpnas_api.kinds import Trial, TrialStatus, find_condition, is_true
from pfpnas_api.messages import EXPERIMENT_REASONS

FORGIVEN = EXPERIMENT_REASONS | {"Withdrawn"}
"""Reasons that say nothing against a candidate: whatever came of the experiment, nobody has measured it."""


def failure_of(trial: Trial) -> str | None:
    """Why a trial failed, if it did."""
    failure = find_condition(trial.status.conditions, "Failed")
    return failure.reason if failure is not None and failure.status == "True" else None


def revived(trial: Trial, *, built: bool) -> Trial:
    """The trial as it was before it ended: name, index and architecture stay, its attempts begin anew.

    Args:
        trial: One that has failed.
        built: Whether its artifact is there.
    """
    old = trial.status
    status = TrialStatus(
        observed_generation=old.observed_generation, predicted=old.predicted, created_at=old.created_at
    )
    if built and is_true(old.conditions, "Built"):
        status = old.model_copy(
            update={
                "conditions": tuple(condition for condition in old.conditions if condition.type == "Built"),
                "measure_attempts": 0,
                "finished_at": None,
            }
        )
    return trial.model_copy(update={"status": status})
