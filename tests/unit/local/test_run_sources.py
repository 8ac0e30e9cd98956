"""Other runs that a run starts warm from, and the fields of a spec that may change between two commands."""

from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.local.folder import FolderError, RunFolder, begin_or_resume
from pfpnas_operator.local.sources import read_sources
from support.reconcile_builders import NOW, make_experiment, make_supernet


def _ran(root: Path, name: str, *, folder: str | None = None, over: bool = True) -> None:
    place = RunFolder(root / (folder or name))
    place.write_supernet(make_supernet())
    place.write_experiment(make_experiment(name=name, search_finished_at=NOW if over else None))


def _read(tmp_path: Path, experiment: NASExperiment) -> dict[str, NASExperiment]:
    return read_sources(RunFolder(tmp_path / "mine"), experiment, supernet=make_supernet())


def _wanted(*sources: str, **status: Any) -> NASExperiment:
    return make_experiment(sources=sources, **{"started_at": None, **status})


def _problem(tmp_path: Path, *sources: str) -> str:
    with pytest.raises(DocumentError) as refused:
        _read(tmp_path, _wanted(*sources))
    return str(refused.value)


def test_runs_beside_the_folder_are_found_by_their_names(tmp_path: Path) -> None:
    _ran(tmp_path, "a")
    _ran(tmp_path, "b")
    found = _read(tmp_path, _wanted("b", "a"))
    assert {name: source.metadata.name for name, source in found.items()} == {"a": "a", "b": "b"}


def test_what_is_lacking_is_listed_with_the_remedy(tmp_path: Path) -> None:
    _ran(tmp_path, "other", folder="b")
    _ran(tmp_path, "c", over=False)
    lines = _problem(tmp_path, "a", "b", "c").splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"spec.warmStartFrom[{n}].name" for n in range(3)]
    assert f"there is no run of a in {tmp_path / 'a'}: run it first, with --out {tmp_path / 'a'}" in lines[0]
    assert "holds the run of other" in lines[1]
    assert "c has not ended its search" in lines[2]


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    _ran(tmp_path, "a")
    (tmp_path / "a" / "experiment.yaml").write_text("kind: [")
    assert "its run can't be read" in _problem(tmp_path, "a")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("backbone", "ProxylessNAS", "spec.searchSpace.backbone is ProxylessNAS there"),
        ("width_multiplier", "0.7", "spec.searchSpace.widthMultiplier is 0.7 there"),
    ],
)
def test_a_search_of_other_nets_is_no_source_although_its_ids_read_the_same(
    tmp_path: Path, field: str, value: str, named: str
) -> None:
    _ran(tmp_path, "a")
    other = make_supernet()
    space = other.spec.search_space.model_copy(update={field: value})
    changed = other.model_copy(update={"spec": other.spec.model_copy(update={"search_space": space})})
    RunFolder(tmp_path / "a").write_supernet(changed)
    assert named in _problem(tmp_path, "a")


def test_a_run_of_another_namespace_is_no_source(tmp_path: Path) -> None:
    _ran(tmp_path, "a")
    for file in ("supernet.yaml", "experiment.yaml"):
        path = tmp_path / "a" / file
        path.write_text(path.read_text().replace("namespace: default", "namespace: elsewhere"))
    assert "the namespace elsewhere (metadata.namespace)" in _problem(tmp_path, "a")


def test_a_search_that_has_begun_goes_on_without_them(tmp_path: Path) -> None:
    assert _read(tmp_path, _wanted("a", started_at=NOW)) == {}


def test_the_goal_may_change_between_two_commands_and_the_limits_may_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_supernet(make_supernet())
    folder.write_experiment(make_experiment())
    wished = make_experiment(objective={"goal": "0.9"}, budget={"maxTrials": 9})
    _, experiment, _ = begin_or_resume(folder, make_supernet(), wished)
    assert (experiment.spec.objective.goal, experiment.metadata.generation) == ("0.9", 2)
    with pytest.raises(FolderError, match=r"another spec\.objective: .*budget and objective\.goal only"):
        begin_or_resume(folder, make_supernet(), make_experiment(constraints=()))
