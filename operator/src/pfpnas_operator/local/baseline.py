"""Another search for the same thing to compare a run with: random search in the run's folder, or a run given."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pfpnas_api.kinds import NASExperiment, PredictionSpec, Supernet, TunerSpec
from pfpnas_api.kinds.common import MAX_PARENT_NAME
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.report.points import measured

RANDOM = "random"
"""What to give for --baseline to have the search made."""


def baseline_folder(folder: RunFolder) -> RunFolder:
    """Where a run keeps its own baseline."""
    return RunFolder(folder.root / "baseline")


def own_baseline(folder: RunFolder, records: Records) -> Records | None:
    """The baseline in a run's folder, as far as it is; None where there is none that can be read and compared."""
    try:
        other = Records.of(*baseline_folder(folder).read())
    except FolderError:
        return None
    return None if differences(records.supernet, records.experiment, other) else other


def given_baseline(path: Path, supernet: Supernet, experiment: NASExperiment, *, folder: RunFolder) -> Records:
    """The run at a path, checked against the one in its own `folder`.

    Raises:
        FolderError: there is none, it is the run itself, or it can't be compared; names what differs.
    """
    if path.resolve() == folder.root.resolve():
        raise FolderError(f"--baseline {path}: that is the run itself; give the folder of another one")
    try:
        other = Records.of(*RunFolder(path).read())
    except FolderError as e:
        raise FolderError(f"--baseline {path}: {e}; give the folder of a run, or `{RANDOM}` to `pfpnas run`") from e
    wrong = differences(supernet, experiment, other)
    if wrong:
        listed = "".join(f"\n  {difference}" for difference in wrong)
        raise FolderError(f"--baseline {path}: that run can't be compared with {experiment.metadata.name}:{listed}")
    return other


def differences(supernet: Supernet, experiment: NASExperiment, other: Records) -> list[str]:
    """What makes figures of two searches incomparable, one a line; weights that aren't trained yet are passed over."""
    mine, theirs = experiment.spec, other.experiment.spec
    found = [
        *_fields("searchSpace", supernet.spec.search_space.document(), other.supernet.spec.search_space.document())
    ]
    here, there = supernet.status.checkpoint, other.supernet.status.checkpoint
    if here is not None and there is not None and here.sha256 != there.sha256:
        found.append(f"supernet checkpoint: {there.sha256[:16]}… there, {here.sha256[:16]}… here")
    found += _fields("target", mine.target.document(), theirs.target.document())
    judged = [spec.objective.model_copy(update={"goal": None}).document() for spec in (mine, theirs)]
    return [*found, *_fields("objective", *judged)]


def _fields(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted(here.keys() | there.keys()):
        if here.get(field) != there.get(field):
            yield f"{name}.{field}: {_shown(there.get(field))} there, {_shown(here.get(field))} here"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def measurements(records: Records) -> int:
    """What a search has measured: trials that failed without a figure are not counted, those measured twice twice."""
    return sum(measured(trial) for trial in records.finished)


def begin_random(folder: RunFolder, records: Records) -> RunFolder:
    """Lay out the folder of random search for a run that has ended: same supernet, same store, same measurements.

    What is there already is left as it is.

    Raises:
        FolderError: another baseline is there, or the folder can't be written.
        ArtifactError: a document can't be written.
    """
    place = baseline_folder(folder)
    if place.has_documents():
        given_baseline(place.root, records.supernet, records.experiment, folder=folder)
    else:
        # The experiment last: a folder without it is begun anew.
        place.write_supernet(records.supernet)
        _share_store(place, folder)
        place.write_experiment(random_experiment(records.experiment, measurements(records)))
    return place


def _share_store(place: RunFolder, folder: RunFolder) -> None:
    link = place.root / "artifacts"
    try:
        if not link.exists():
            link.symlink_to(Path("..") / folder.store.root.name, target_is_directory=True)
    except OSError as e:
        raise FolderError(f"{link}: {e.strerror or e}: the baseline shares the run's artifacts by this link") from e


def random_experiment(experiment: NASExperiment, trials: int) -> NASExperiment:
    """The same search by chance: every draw is measured once, and nothing ends it early.

    Its best is named as the search's own is: by the medians of as many finalists.
    """
    spec = experiment.spec
    budget = {"max_trials": trials, "max_duration_seconds": None, "convergence": None}
    changed = {
        "tuner": TunerSpec(algorithm="RandomSearch", seed=spec.tuner.seed),
        "predictor": PredictionSpec(repeats="0"),
        "objective": spec.objective.model_copy(update={"goal": None}),
        "budget": spec.budget.model_copy(update=budget),
        "warm_start_from": (),
    }
    name = f"{experiment.metadata.name[: MAX_PARENT_NAME - len(RANDOM) - 1].rstrip('-')}-{RANDOM}"
    metadata = experiment.metadata.model_copy(
        update={"name": name, "uid": str(uuid.uuid4()), "creation_timestamp": datetime.now(UTC), "generation": 1}
    )
    return NASExperiment(metadata=metadata, spec=spec.model_copy(update=changed))
