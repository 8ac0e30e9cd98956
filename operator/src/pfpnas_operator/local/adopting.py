"""Trials that the user wrote by hand and named among the paths: they join the search, beside the tuner's own."""

import re
from collections.abc import Iterable
from datetime import datetime

from pfpnas_api.kinds import NASExperiment, Trial, TrialStatus
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.reconcile.names import OWN_TRIAL


def by_hand(trials: Iterable[Trial], experiment: NASExperiment) -> tuple[Trial, ...]:
    """Those of the experiment.

    Raises:
        DocumentError: one has an index, or a name or an origin of the kind that the search's own trials get.
    """
    mine = (experiment.metadata.namespace, experiment.metadata.name)
    found = tuple(trial for trial in trials if (trial.metadata.namespace, trial.spec.experiment_ref.name) == mine)
    for trial in found:
        if trial.spec.index is not None:
            raise DocumentError(
                f"Trial/{trial.metadata.name}: spec.index: belongs to the tuner's own trials; leave it out, and choose "
                "another metadata.name"
            )
        if trial.spec.origin == "WarmStart":
            raise DocumentError(
                f"Trial/{trial.metadata.name}: spec.origin: is WarmStart, which is for the search's own trials; leave "
                "it out"
            )
        if re.fullmatch(re.escape(experiment.metadata.name) + OWN_TRIAL, trial.metadata.name):
            raise DocumentError(
                f"Trial/{trial.metadata.name}: metadata.name: is a name of the search's own trials; choose another"
            )
    return found


def adopted(wanted: Iterable[Trial], there: Iterable[Trial], *, now: datetime) -> tuple[Trial, ...]:
    """Those that the run doesn't have yet, as they begin.

    Raises:
        DocumentError: the run has another architecture under the same name.
    """
    known = {trial.metadata.name: trial for trial in there}
    new = []
    for trial in wanted:
        old = known.get(trial.metadata.name)
        if old is None:
            new.append(trial.model_copy(update={"status": TrialStatus(created_at=now)}))
        elif old.spec.architecture != trial.spec.architecture:
            raise DocumentError(
                f"Trial/{trial.metadata.name}: spec.architecture: the run has it with {old.spec.architecture}; a Trial "
                "never changes, so make one with another name"
            )
    return tuple(new)
