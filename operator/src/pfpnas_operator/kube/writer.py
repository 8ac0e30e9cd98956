"""Writing documents: one patch of a status a cycle, trials side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from pfpnas_api.kinds import API_VERSION, NASExperiment, Supernet, Trial
from pfpnas_operator.kube.api import EXPERIMENTS, TRIALS, Api, Exists, Place
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.kube.patches import status_patch
from pfpnas_operator.kube.together import together


class NameTaken(Exception):  # noqa: N818 - reads as the state it names
    """A child's name belongs to an object that isn't ours."""


@dataclass(kw_only=True)
class Written:
    """The statuses that the API server is known to hold, by the object's name.

    What it holds is known from what was written, and from the object when it was first read: a watch that lags behind
    never undoes a write.
    """

    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, api: Api, place: Place, resource: Supernet | NASExperiment | Trial) -> bool:
        """Write what changed of a status; whether the object is still there.

        Raises:
            Stale: the object is another one by now.
        """
        metadata, new = resource.metadata, resource.status.document()
        patch = status_patch(metadata.uid, self.statuses.get(metadata.name, {}), new)
        if patch and api.amend(place, metadata.namespace, metadata.name, patch, part="status") is None:
            return False
        self.statuses[metadata.name] = new
        return True


@dataclass(kw_only=True)
class ApiRecord:
    """The record of one search, in the API server."""

    api: Api
    pool: Executor
    owner: Owner
    trials: Written = field(default_factory=Written)
    own: Written = field(default_factory=Written)
    uids: dict[str, str] = field(default_factory=dict)
    """Of every trial that is known."""
    gone: set[str] = field(default_factory=set)
    """Trials that somebody deleted while they were under way."""

    def create_trials(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        """Make trials; their statuses are written with the step that comes next."""
        return together(self.pool, self._create, trials)

    def write_trials(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        """Write trials' statuses; those that are gone are left out."""
        for trial, there in together(self.pool, self._write, trials):
            if not there:
                self.gone.add(trial.metadata.name)
                continue
            if trial.finished:
                self.trials.statuses.pop(trial.metadata.name, None)
            yield trial

    def write_experiment(self, experiment: NASExperiment) -> None:
        """Write an experiment's status."""
        self.own.write(self.api, EXPERIMENTS, experiment)

    def knows(self, trial: Trial, status: dict[str, Any]) -> None:
        """Take note of a trial that was read."""
        self.uids[trial.metadata.name] = trial.metadata.uid
        if not trial.finished:
            self.trials.statuses[trial.metadata.name] = status

    def _write(self, trial: Trial) -> tuple[Trial, bool]:
        return trial, self.trials.write(self.api, TRIALS, trial)

    def _create(self, trial: Trial) -> Trial:
        body = trial_body(trial, self.owner)
        try:
            found = self.api.create(TRIALS, self.owner.namespace, body)
        except Exists:
            found = self._mine(trial)
        made = Trial.model_validate({**found, "status": found.get("status") or trial.status.document()})
        self.knows(made, found.get("status") or {})
        return made

    def _mine(self, trial: Trial) -> dict[str, Any]:
        """The trial of this name, made by an operator that was killed before it could remember."""
        found = self.api.get(TRIALS, self.owner.namespace, trial.metadata.name) or {}
        owners = [reference["uid"] for reference in found.get("metadata", {}).get("ownerReferences", ())]
        if self.owner.uid not in owners or found["spec"]["architecture"] != trial.spec.architecture:
            raise NameTaken(
                f"Trial {trial.metadata.name} is another one than the search's own: delete it, or choose another name"
            )
        return found


def trial_body(trial: Trial, owner: Owner) -> dict[str, Any]:
    """A trial as it is created: a status is not taken then."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Trial",
        "metadata": {
            "name": trial.metadata.name,
            "namespace": trial.metadata.namespace,
            "labels": owner.labels("trial"),
            "ownerReferences": [owner.reference],
        },
        "spec": trial.spec.document(),
    }
