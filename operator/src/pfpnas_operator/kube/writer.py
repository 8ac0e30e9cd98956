"""Writing documents: one patch of a status a cycle, trials side by side."""

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
        """Make trials side by side; their statuses are written with the step that comes next.

        One that is refused is left out, and `refused` says why from then on. So others of the same call may be made,
        and have a higher index: what was suggested for its own is not asked for again.
        """
        why = None
        for made in together(self.pool, self._create, trials):
            if isinstance(made, Trial):
                yield made
            else:
                why = why or made
        if why is not None:
            before = self.refused(now)
            self._refused = _Refused(why=why, since=before.since if before else now, at=now)
        elif trials:
            self._refused = None

    def refused(self, now: datetime) -> TrialsRefused | None:
        """Whether new trials can't be made; forgotten if that was not tried for a while, as in a suspended search."""
        known = self._refused
        if known is None or now - known.at > FORGOTTEN:
            return None
        return TrialsRefused(why=known.why, since=known.since, due=now - known.at > LOOK_AGAIN)

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

    def _create(self, trial: Trial) -> Trial | str:
        """A trial as it was made, or why it was not."""
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
            self.taken.add(trial.metadata.name)
            return f"Trial {trial.metadata.name} is another one than the search's own: delete it"
        made = Trial.model_validate({**found, "status": found.get("status") or trial.status.document()})
        self.knows(made, found.get("status") or {})
        return made

    def _mine(self, trial: Trial) -> Object | None:
        """The trial of this name, if it was made by an operator that was killed before it could remember."""
        found = self.api.get(TRIALS, self.owner.namespace, trial.metadata.name) or {}
        owners = [reference["uid"] for reference in found.get("metadata", {}).get("ownerReferences", ())]
        if self.owner.uid not in owners or found["spec"]["architecture"] != trial.spec.architecture:
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
