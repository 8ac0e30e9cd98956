"""Whose trial it is: the search's own are bounded by its budget, those made by hand are their author's business."""

from pfpnas_api.kinds import Trial


def is_own(trial: Trial) -> bool:
    """Whether the search started it: it counts against the budget, and its failures against `maxFailedTrials`."""
    return trial.spec.index is not None or trial.spec.origin == "WarmStart"
