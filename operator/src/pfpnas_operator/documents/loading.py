"""Files and folders into validated documents, or one error that lists everything wrong with them."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pfpnas_api.kinds import API_VERSION, NASExperiment, Supernet, Trial
from pfpnas_operator.documents.locations import absolute_uri, uri_problem
from pfpnas_operator.documents.overrides import Override, parse_overrides
from pfpnas_operator.documents.problems import FieldPath, Problem, raise_problems, shown
from pfpnas_operator.documents.reading import RawDocument, read_file
from pfpnas_operator.documents.translation import translate

Document = Supernet | NASExperiment | Trial
_KINDS: dict[str, type[Document]] = {"Supernet": Supernet, "NASExperiment": NASExperiment, "Trial": Trial}
_SUFFIXES = (".yaml", ".yml")
_AGENT_FILES = ("agent.yaml", "agent.yml")


@dataclass(frozen=True)
class Documents:
    """What was read. The agent's own file is only named: its content is nobody's business but the agent's."""

    supernets: tuple[Supernet, ...]
    experiments: tuple[NASExperiment, ...]
    trials: tuple[Trial, ...]
    agent_config_path: Path | None = None

    def supernet_of(self, experiment: NASExperiment) -> Supernet:
        """The Supernet that an experiment refers to; `load` has made sure that it is there."""
        wanted = (experiment.metadata.namespace, experiment.spec.supernet_ref.name)
        return next(net for net in self.supernets if (net.metadata.namespace, net.metadata.name) == wanted)


@dataclass(frozen=True)
class _Loaded:
    raw: RawDocument
    document: Document
    overridden: dict[FieldPath, str]

    def problem(self, path: FieldPath, text: str) -> Problem:
        return Problem(_place(self.raw, path, self.overridden), _subject(self.raw.value), path, text)


def load(paths: Sequence[Path], *, overrides: Sequence[str] = ()) -> Documents:
    """Read files, and folders with all their `*.yaml` and `*.yml` (not those of folders inside).

    A file named `agent.yaml` is not opened. `overrides` such as `experiment.budget.maxTrials=12` are applied to every
    document of the kind before it is checked. A relative `dataset.uri` is made absolute.

    Raises:
        DocumentError: anything is wrong; every problem is a line of the message.
    """
    files, problems = _files(paths)
    wanted, wrong = parse_overrides(overrides)
    problems += wrong
    raws: list[RawDocument] = []
    for file in (file for file in files if file.name not in _AGENT_FILES):
        found, wrong = read_file(file)
        raws += found
        problems += wrong
    loaded, wrong = _validated(raws, wanted)
    problems += wrong
    raise_problems([*problems, *_together(loaded, complete=not problems)])
    return _documents(loaded, [file for file in files if file.name in _AGENT_FILES])


def _documents(loaded: Iterable[_Loaded], agents: Sequence[Path]) -> Documents:
    found = [one.document for one in loaded]
    return Documents(
        supernets=tuple(document for document in found if isinstance(document, Supernet)),
        experiments=tuple(document for document in found if isinstance(document, NASExperiment)),
        trials=tuple(document for document in found if isinstance(document, Trial)),
        agent_config_path=agents[0] if agents else None,
    )


def _files(paths: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    files: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            inside, wrong = _files_inside(path)
            files += inside
            problems += wrong
        elif path.exists():
            files.append(path)
        else:
            problems.append(Problem(str(path), "", (), "there is no such file or folder"))
    # The same file named twice (a folder, and a file in it) is one file, not a duplicate.
    files = list({file.resolve(): file for file in files}.values())
    agents = [file for file in files if file.name in _AGENT_FILES]
    problems += [Problem(str(file), "", (), f"a second agent file beside {agents[0]}: name one") for file in agents[1:]]
    return files, problems


def _files_inside(folder: Path) -> tuple[list[Path], list[Problem]]:
    try:
        inside = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    except OSError as e:
        return [], [Problem(str(folder), "", (), f"can't be read: {e.strerror}")]
    return inside, [] if inside else [Problem(str(folder), "", (), "the folder has no .yaml or .yml file")]


def _validated(raws: Iterable[RawDocument], overrides: Sequence[Override]) -> tuple[list[_Loaded], list[Problem]]:
    loaded: list[_Loaded] = []
    problems: list[Problem] = []
    used: set[str] = set()
    for raw in raws:
        wrong = _envelope_problem(raw)
        if wrong is not None:
            problems.append(wrong)
            continue
        chosen = [override for override in overrides if override.kind == raw.value["kind"]]
        used.update(override.text for override in chosen)
        one, found = _validate(raw, chosen)
        problems += found
        loaded += [one] if one else []
    for override in overrides:
        if override.text not in used:
            text = f"there is no {override.kind} among the documents to set it in"
            problems.append(Problem(f"--set {override.text}", "", (), text))
    return loaded, problems


def _envelope_problem(raw: RawDocument) -> Problem | None:
    """What is wrong with apiVersion and kind, which decide how everything else is read."""
    if not isinstance(raw.value, dict):
        return Problem(raw.place(()), "", (), f"is {shown(raw.value)}, must be a document with apiVersion and kind")
    for field, allowed in (("apiVersion", [API_VERSION]), ("kind", list(_KINDS))):
        found = raw.value.get(field)
        must = f"must be {allowed[0]}" if len(allowed) == 1 else f"must be one of {', '.join(allowed)}"
        if found is None:
            return Problem(raw.place(()), _subject(raw.value), (field,), f"is required, but missing; it {must}")
        if found not in allowed:
            close = (
                difflib.get_close_matches(str(found), allowed, n=1, cutoff=0.6)
                if isinstance(found, str) and len(allowed) > 1
                else []
            )
            hint = f"; did you mean {close[0]}?" if close else ""
            return Problem(raw.place((field,)), _subject(raw.value), (field,), f"is {shown(found)}, {must}{hint}")
    return None


def _subject(value: Any) -> str:
    kind = value.get("kind")
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = kind if isinstance(kind, str) and kind in _KINDS else ""
    return f"{kind}/{name}" if kind and isinstance(name, str) and len(name) <= 63 else kind


def _validate(raw: RawDocument, overrides: Sequence[Override]) -> tuple[_Loaded | None, list[Problem]]:
    _absolute_uri(raw)
    problems: list[Problem] = []
    overridden: dict[FieldPath, str] = {}
    for override in overrides:
        wrong = override.apply(raw.value)
        overridden[override.path] = override.text
        problems += [Problem(f"--set {override.text}", _subject(raw.value), override.path, wrong)] if wrong else []
    model = _KINDS[raw.value["kind"]]
    try:
        # By JSON and strictly, as an API server would take it: no "12" for 12, no 1 for true, no names of Python's.
        document = model.model_validate_json(json.dumps(raw.value), strict=True, by_alias=True, by_name=False)
    except ValidationError as e:
        for path, text in translate(e, model, raw.value):
            problems.append(Problem(_place(raw, path, overridden), _subject(raw.value), path, text))
        return None, problems
    return (None if problems else _Loaded(raw, document, overridden)), problems


def _absolute_uri(raw: RawDocument) -> None:
    spec = raw.value.get("spec")
    dataset = spec.get("dataset") if isinstance(spec, dict) else None
    if isinstance(dataset, dict) and isinstance(dataset.get("uri"), str) and dataset["uri"]:
        dataset["uri"] = absolute_uri(dataset["uri"], raw.file.parent)


def _place(raw: RawDocument, path: FieldPath, overridden: dict[FieldPath, str]) -> str:
    """The override that set a field, or something in or around it; else the file and line."""
    for set_path, text in overridden.items():
        shared = min(len(path), len(set_path))
        if shared > 1 and path[:shared] == set_path[:shared]:
            return f"--set {text}"
    return raw.place(path)


def _together(loaded: Sequence[_Loaded], *, complete: bool) -> list[Problem]:
    """Duplicate names, wrong addresses, and references to what isn't there (only when all could be read)."""
    problems = [*_duplicates(loaded), *_addresses(loaded)]
    if complete:
        problems += _dangling(loaded, kind="NASExperiment", field=("spec", "supernetRef", "name"), wanted="Supernet")
        problems += _dangling(loaded, kind="Trial", field=("spec", "experimentRef", "name"), wanted="NASExperiment")
    return problems


def _duplicates(loaded: Sequence[_Loaded]) -> list[Problem]:
    first: dict[tuple[str, str, str], _Loaded] = {}
    problems = []
    for one in loaded:
        metadata = one.document.metadata
        earlier = first.setdefault((one.document.kind, metadata.namespace, metadata.name), one)
        if earlier is not one:
            place = earlier.raw.place(("metadata", "name"))
            problems.append(one.problem(("metadata", "name"), f"is taken by the {one.document.kind} at {place}"))
    return problems


def _addresses(loaded: Sequence[_Loaded]) -> list[Problem]:
    problems = []
    for one in loaded:
        uri = one.document.spec.dataset.uri if isinstance(one.document, Supernet) else None
        wrong = uri_problem(uri) if uri else None
        problems += [one.problem(("spec", "dataset", "uri"), wrong)] if wrong else []
    return problems


_ELSEWHERE = "give its file too (for one that is in a cluster, `kubectl apply --dry-run=server -f` checks the document)"


def _dangling(loaded: Sequence[_Loaded], *, kind: str, field: FieldPath, wanted: str) -> list[Problem]:
    problems = []
    for one in (one for one in loaded if one.document.kind == kind):
        namespace = one.document.metadata.namespace
        there = [
            other.document.metadata.name
            for other in loaded
            if other.document.kind == wanted and other.document.metadata.namespace == namespace
        ]
        name = one.raw.value["spec"][field[1]]["name"]
        if name not in there:
            exists = f"there is {', '.join(sorted(there))}" if there else f"there is no {wanted} at all: {_ELSEWHERE}"
            text = f"is {shown(name)}, but no such {wanted} is among the documents of namespace {namespace}; {exists}"
            problems.append(one.problem(field, text))
    return problems
