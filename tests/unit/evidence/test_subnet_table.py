"""The subnets that the tables measure once: what is on disk is not measured again."""

from dataclasses import asdict
from json import dumps
from pathlib import Path

import pytest

from pfpnas_api.artifacts import ArtifactError, FolderStore
from pfpnas_api.kinds import ArtifactRef
from support.code_digest import code_digest
from support.subnet_table import MEASURING, Subnet, SubnetTable
from support.tiny_supernet import tiny_spec
from support.trained_supernet import NotTrained, TrainedSupernet, from_run

SUBNET = Subnet(0.9, 360, (1.0, 1.1), 0.2, 0.4, 0.1)
NOWHERE = ArtifactRef(sha256="0" * 64, size=1)


def table(folder: Path, *, told: list[str] | None = None) -> SubnetTable:
    """Of a supernet that isn't there: whatever is measured fails."""
    store = FolderStore(folder / "store")
    supernet = TrainedSupernet(tiny_spec(), store, NOWHERE, NOWHERE, NOWHERE, 10)
    return SubnetTable(supernet, folder, tell=[].append if told is None else told.append)


def known(folder: Path, *, cut: str = "", told: list[str] | None = None, **code: str) -> SubnetTable:
    """A table whose smallest subnet was measured before."""
    empty = table(folder)
    line = {"architecture": empty.supernet.space.minimum().id, **code, **asdict(SUBNET)}
    empty.path.write_text(dumps(line) + "\n" + cut)
    return table(folder, told=told)


def test_a_known_subnet_is_not_measured(tmp_path: Path) -> None:
    subnets = known(tmp_path)
    assert subnets.of(subnets.supernet.space.minimum()) == SUBNET
    assert subnets.measured_now == 0


def test_an_unknown_subnet_is_measured(tmp_path: Path) -> None:
    subnets = known(tmp_path)
    with pytest.raises(ArtifactError):
        subnets.of(subnets.supernet.space.maximum())


@pytest.mark.parametrize("code", [{"code": "of another day"}, {}])
def test_subnets_that_other_code_measured_are_used_and_told_of(tmp_path: Path, code: dict[str, str]) -> None:
    told: list[str] = []
    subnets = known(tmp_path, told=told, **code)
    assert subnets.of(subnets.supernet.space.minimum()) == SUBNET
    assert len(told) == 1
    assert told[0].startswith(f"1 of 1 subnets in {subnets.path}")


def test_of_subnets_that_this_code_measured_nothing_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    known(tmp_path, told=told, code=code_digest(MEASURING))
    assert told == []


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    subnets = known(tmp_path, cut='{"architecture": "r16-')
    assert len(subnets) == 1
    assert subnets.path.read_text().endswith("\n")


def test_a_search_draws_one_of_the_measured_latencies_always_the_same() -> None:
    drawn = [SUBNET.drawn(seed, "net") for seed in range(20)]
    assert set(drawn) == {1.0, 1.1}
    assert drawn == [SUBNET.drawn(seed, "net") for seed in range(20)]


def test_the_noise_floor_is_what_a_perfect_predictor_would_show(tmp_path: Path) -> None:
    assert known(tmp_path).noise == pytest.approx(0.09524 / 2**0.5, rel=1e-3)
    assert table(tmp_path / "empty").noise is None


def test_a_folder_that_holds_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotTrained, match=r"--run .*: no run's folder; give the --out of a finished"):
        from_run(tmp_path, FolderStore(tmp_path))
