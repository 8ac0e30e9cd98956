"""What differs between drivers: where Jobs run, where documents are written, how manifests are read."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, Trial
from pfpnas_operator.reconcile import BadManifest, JobRequest, JobView


class Jobs(Protocol):
    """The Jobs of one owner: processes, or those of an API server."""

    def views(self, now: datetime) -> Mapping[str, JobView]:
        """Every Job as it stands, by name; what it said of its progress is not the driver's to know."""

    def uids(self) -> Mapping[str, str]:
        """Uids of the documents of those that say how far they are, by the Job's name."""

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        """Start Jobs; one of a name that is there already is left alone, but for one that waits and would be made
        otherwise now, which may be made anew."""

    def delete(self, names: Iterable[str]) -> None:
        """Stop Jobs and forget them; a name that isn't there is no error."""


class Manifests(Protocol):
    """What Jobs left behind."""

    def read(self, uids: Iterable[str], *, over: Set[str]) -> dict[str, Manifest | BadManifest]:
        """The manifests that are there, by uid.

        Args:
            uids: Whose are wanted.
            over: Those among them whose Job has ended: what is not there now never will be.

        Raises:
            ArtifactError: the store can't be read.
        """


class Record(Protocol):
    """Where documents are written. Each call returns once what it wrote can't be lost."""

    def create_trials(self, trials: Sequence[Trial], *, now: datetime) -> Iterable[Trial]:
        """New trials, in their order, each as it is once it is written, up to the first that can't be made."""

    def write_trials(self, trials: Sequence[Trial]) -> Iterable[Trial]:
        """Trials whose status changed, in their order; one that is gone is left out."""

    def write_experiment(self, experiment: NASExperiment) -> None:
        """An experiment whose status changed."""
