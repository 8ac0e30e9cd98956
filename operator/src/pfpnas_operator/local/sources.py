"""Starting warm on one machine: the runs of the experiments that `warmStartFrom` names lie beside this run's folder."""

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.reconcile.warming import has_searched, unlike


def read_sources(folder: RunFolder, experiment: NASExperiment, *, supernet: Supernet) -> dict[str, NASExperiment]:
    """The experiments to start warm from, by name; a search that has begun goes on with those that are still there.

    Raises:
        DocumentError: one was never run there, has not searched to its end, is of another namespace or searched other
            nets than those of `supernet`, and the search has not begun yet.
    """
    found: dict[str, NASExperiment] = {}
    problems = []
    for number, reference in enumerate(experiment.spec.warm_start_from):
        place = RunFolder(folder.root.resolve().parent / reference.name)
        source, problem = _read(place, reference.name, experiment=experiment, supernet=supernet)
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


def _read(
    place: RunFolder, name: str, *, experiment: NASExperiment, supernet: Supernet
) -> tuple[NASExperiment | None, str | None]:
    """A source, and what is wrong with it."""
    if not place.has_documents():
        return None, f"there is no run of {name} in {place.root}: run it first, with --out {place.root}"
    try:
        its, source, _ = place.read()
    except FolderError as e:
        return None, f"its run can't be read ({e}): run it anew in another folder"
    problem = _strange(place, source, its, experiment=experiment, supernet=supernet, name=name)
    if problem is not None:
        return None, problem
    if not has_searched(source):
        return source, f"{name} has not ended its search in {place.root}: let its command go on first"
    return source, None


def _strange(
    place: RunFolder,
    source: NASExperiment,
    its: Supernet,
    *,
    experiment: NASExperiment,
    supernet: Supernet,
    name: str,
) -> str | None:
    """Why a run is none to start from, if it is none."""
    if source.metadata.name != name:
        return f"{place.root} holds the run of {source.metadata.name}: run {name} in a folder of its own name"
    there, here = source.metadata.namespace, experiment.metadata.namespace
    if there != here:
        return f"{name} is of the namespace {there} (metadata.namespace), not {here}: name one of the same"
    other = unlike(supernet, its)
    return f"{name} searched other nets ({other}): name a search of the same ones" if other else None
