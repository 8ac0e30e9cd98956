"""The run's folder: the same documents as in a cluster, with status, and everything that the run leaves behind."""

import fcntl
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from pfpnas_api.artifacts import FolderStore, write_atomically
from pfpnas_api.kinds import NASExperiment, Supernet, Trial, find_condition
from pfpnas_operator.documents import DocumentError, dump, load

Document = TypeVar("Document", Supernet, NASExperiment)


class FolderError(Exception):
    """The folder can't be used for this run; the message says why and what to do."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run's folder, and reading and writing of its documents."""

    root: Path

    @property
    def store(self) -> FolderStore:
        """The artifact store."""
        return FolderStore(self.root / "artifacts")

    @property
    def trials(self) -> Path:
        """Folder of the trials' documents."""
        return self.root / "trials"

    @property
    def logs(self) -> Path:
        """Folder of what the processes print."""
        return self.root / "logs"

    @property
    def best(self) -> Path:
        """Folder of the best candidate."""
        return self.root / "best"

    @property
    def agent_state(self) -> Path:
        """The local agent's own folder: its journal and its caches."""
        return self.root / "agent"

    def lock(self) -> IO[str]:
        """Hold the folder until the file returned is closed, or this process is gone.

        Raises:
            FolderError: another run holds it, or it can't be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / ".lock").open("w")
        except OSError as e:
            raise FolderError(f"--out {self.root}: {e.strerror or e}: choose a folder that can be written") from e
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            file.close()
            raise FolderError(
                f"--out {self.root}: another run works there: wait for it, or choose another folder"
            ) from e
        return file

    def locked(self) -> bool:
        """Whether a run works here at the moment."""
        try:
            with (self.root / ".lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def has_documents(self) -> bool:
        """Whether a run was begun here."""
        return (self.root / "experiment.yaml").exists() and (self.root / "supernet.yaml").exists()

    def read(self) -> tuple[Supernet, NASExperiment, tuple[Trial, ...]]:
        """Everything that was written here.

        Raises:
            FolderError: no run was begun here, or a document is damaged.
        """
        if not self.has_documents():
            raise FolderError(f"{self.root} holds no run: expected experiment.yaml and supernet.yaml")
        paths = [self.root / "supernet.yaml", self.root / "experiment.yaml"]
        paths += sorted(self.trials.glob("*.yaml"))
        try:
            documents = load(paths)
        except DocumentError as e:
            raise FolderError(f"{self.root} is damaged:\n{e}") from e
        return documents.supernets[0], documents.experiments[0], documents.trials

    def write_supernet(self, supernet: Supernet) -> None:
        """Write the Supernet's document; atomic."""
        write_atomically(self.root / "supernet.yaml", dump(supernet).encode())

    def write_experiment(self, experiment: NASExperiment) -> None:
        """Write the experiment's document; atomic."""
        write_atomically(self.root / "experiment.yaml", dump(experiment).encode())

    def create_trials(self, trials: Sequence[Trial], *, now: datetime) -> Iterator[Trial]:
        """Write new trials, one after the other."""
        return self.write_trials(trials)

    def write_trials(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        """Write trials' documents, one after the other."""
        for trial in trials:
            self.write_trial(trial)
            yield trial

    def write_trial(self, trial: Trial) -> None:
        """Write a trial's document; atomic."""
        write_atomically(self.trials / f"{trial.metadata.name}.yaml", dump(trial).encode())


def begin_or_resume(
    folder: RunFolder, supernet: Supernet, experiment: NASExperiment
) -> tuple[Supernet, NASExperiment, tuple[Trial, ...]]:
    """The documents to work on: those in the folder with the budget and goal now wished, or new ones with uids.

    Raises:
        FolderError: the folder holds another search; names the field that differs.
    """
    if not folder.has_documents():
        return _created(supernet), _created(experiment), ()
    old_supernet, old_experiment, old_trials = folder.read()
    try:
        _same(folder, "Supernet", old_supernet, supernet, free=())
        _same(folder, "NASExperiment", old_experiment, experiment, free=("budget",))
    except FolderError:
        if _came_to_nothing(old_supernet, old_trials):
            return _created(supernet), _created(experiment), ()
        raise
    if old_experiment.spec != experiment.spec:
        generation = old_experiment.metadata.generation + 1
        metadata = old_experiment.metadata.model_copy(update={"generation": generation})
        old_experiment = old_experiment.model_copy(update={"spec": experiment.spec, "metadata": metadata})
    return old_supernet, old_experiment, old_trials


def _came_to_nothing(supernet: Supernet, trials: Collection[Trial]) -> bool:
    """Whether a run failed before it had anything to keep: its documents may be mended in any field."""
    failure = find_condition(supernet.status.conditions, "Failed")
    refused = failure is not None and failure.status == "True" and failure.reason == "BadInput"
    return refused and not trials and supernet.status.checkpoint is None


def _created(document: Document) -> Document:
    metadata = document.metadata.model_copy(
        update={"uid": str(uuid.uuid4()), "creation_timestamp": datetime.now(UTC), "generation": 1}
    )
    status = type(document.status)()
    return document.model_copy(update={"metadata": metadata, "status": status})


def _same(folder: RunFolder, kind: str, old: Document, new: Document, *, free: tuple[str, ...]) -> None:
    if old.metadata.name != new.metadata.name:
        raise FolderError(
            f"--out {folder.root} holds {kind} {old.metadata.name}, not {new.metadata.name}: choose another folder"
        )
    before, after = _fixed(old), _fixed(new)
    for field in sorted(before.keys() | after.keys()):
        if field not in free and before.get(field) != after.get(field):
            raise FolderError(
                f"--out {folder.root}: {kind} {old.metadata.name} was begun with another spec.{field}: choose another"
                " folder, or delete this one (a running search may change its budget and objective.goal only)"
            )


def _fixed(document: Document) -> dict[str, Any]:
    """A spec without the goal, which may change at any time as the budget may."""
    spec = document.spec.document()
    if "objective" in spec:
        spec["objective"] = {field: value for field, value in spec["objective"].items() if field != "goal"}
    return spec


def free_space_problem(folder: Path, *, least_bytes: int) -> str | None:
    """Why there is too little room, if there is."""
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free >= least_bytes:
        return None
    return f"--out {folder}: only {free / 2**20:.1f} MiB of its disk are free, and {least_bytes // 2**20} are needed"
