"""Writing documents: one patch of a status a cycle, those of trials side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pfpnas_api.kinds import API_VERSION, NASExperiment, Supernet, Trial
from pfpnas_operator.kube.api import EXPERIMENTS, TRIALS, Api, ApiError, Exists, Object, Place, is_refusal
from pfpnas_operator.kube.looking import LOOK_AGAIN
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.kube.patches import status_patch
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile import TrialsRefused

FORGOTTEN: Final = timedelta(minutes=1)
"""After it, a refusal says nothing: it would be tried every `LOOK_AGAIN`."""


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


@dataclass(frozen=True, kw_only=True)
class _Refused:
    """Trials were not made."""

    why: str
    since: datetime
    at: datetime
    """When that was last tried."""


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
    taken: set[str] = field(default_factory=set)
    """Names that a trial of this search should have had, and that an object which isn't its own has."""
    _refused: "_Refused | None" = None

    def create_trials(self, trials: Sequence[Trial], *, now: datetime) -> Iterator[Trial]:
        """Make trials one by one, up to the first that can't be made; their statuses are written with the next step.

        In their order, since what was suggested for an index is lost once a later one is there. If one is refused,
        `refused` says so from then on, until all that were asked for could be made.
        """
        for place, trial in enumerate(trials):
            made = self._create(trial)
            if isinstance(made, str):
                before = self.refused(now) if place == 0 else None
                self._refused = _Refused(why=made, since=before.since if before else now, at=now)
            if not isinstance(made, Trial):
                return
            yield made
        if trials:
            self._refused = None

    def refused(self, now: datetime) -> TrialsRefused | None:
        """Whether new trials can't be made; forgotten if that was not tried for a while, as in a suspended search."""
        known = self._refused
        if known is None or now - known.at > FORGOTTEN:
            return None
        return TrialsRefused(why=known.why, since=known.since, due=now - known.at > LOOK_AGAIN)

    def forget_refusal(self) -> None:
        """What was refused before a search ended says nothing of one that is tried again."""
        self._refused = None

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

    def _create(self, trial: Trial) -> Trial | str | None:
        """A trial as it was made, or why it is refused; None if its name is another one's: it gets the next."""
        found: Object | None
        try:
            found = self.api.create(TRIALS, self.owner.namespace, trial_body(trial, self.owner))
        except Exists:
            found = self._mine(trial)
        except ApiError as e:
            if not is_refusal(e):
                raise
            return f"the API server refuses Trial {trial.metadata.name}: {e}"
        if found is None:
            gone = f"Trial {trial.metadata.name} was there, and is gone"
            return None if trial.metadata.name in self.taken else gone
        made = Trial.model_validate({**found, "status": found.get("status") or trial.status.document()})
        self.knows(made, found.get("status") or {})
        return made

    def _mine(self, trial: Trial) -> Object | None:
        """The trial of this name, if it was made by an operator that was killed before it could remember."""
        found = self.api.get(TRIALS, self.owner.namespace, trial.metadata.name)
        if found is None:
            return None
        owners = [reference["uid"] for reference in found["metadata"].get("ownerReferences", ())]
        if self.owner.uid not in owners or found["spec"]["architecture"] != trial.spec.architecture:
            self.taken.add(trial.metadata.name)
            return None
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
