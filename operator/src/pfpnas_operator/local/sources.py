"""Starting warm on one machine: the runs of the experiments that `warmStartFrom` names lie beside this run's folder."""

from pfpnas_api.kinds import NASExperiment
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.reconcile.warming import has_searched


def read_sources(folder: RunFolder, experiment: NASExperiment) -> dict[str, NASExperiment]:
    """The experiments to start warm from, by name; a search that has begun goes on with those that are still there.

    Raises:
        DocumentError: one was never run there, or has not searched to its end, and the search has not begun yet.
    """
    found: dict[str, NASExperiment] = {}
    problems = []
    for number, reference in enumerate(experiment.spec.warm_start_from):
        source, problem = _read(RunFolder(folder.root.resolve().parent / reference.name), reference.name)
        if source is not None:
            found[reference.name] = source
        if problem:
            problems.append(
                f"NASExperiment/{experiment.metadata.name}: spec.warmStartFrom[{number}].name: "
                f"{problem}, or take it out of warmStartFrom"
            )
    if problems and experiment.status.started_at is None:
        raise DocumentError("\n".join(problems))
    return found


def _read(place: RunFolder, name: str) -> tuple[NASExperiment | None, str | None]:
    """A source, and what is wrong with it."""
    if not place.has_documents():
        return None, f"there is no run of {name} in {place.root}: run it first, with --out {place.root}"
    try:
        source = place.read()[1]
    except FolderError as e:
        return None, f"its run can't be read ({e}): run it anew in another folder"
    if source.metadata.name != name:
        return None, f"{place.root} holds the run of {source.metadata.name}: run {name} in a folder of its own name"
    if not has_searched(source):
        return source, f"{name} has not ended its search in {place.root}: let its command go on first"
    return source, None
