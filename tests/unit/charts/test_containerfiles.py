"""The Containerfiles keep their shape: any base, a numeric user, no tools at the end, our code in the last layer."""

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from cluster.settings import ROOT
from cluster.shell import run
from support.charts import uv

FOLDERS = ("operator", "workloads", "edge-agent")
AARCH64 = 183
"""ELF's `e_machine` of ARM's 64-bit processors."""
PLATFORM = ("--python-platform", "aarch64-manylinux_2_28", "--only-binary", ":all:")


def _lines(folder: str) -> list[str]:
    text = (ROOT / folder / "Containerfile").read_text()
    joined = re.sub(r"\\\n(\s*#.*\n)*", " ", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.fixture(params=FOLDERS)
def lines(request: pytest.FixtureRequest) -> list[str]:
    return _lines(request.param)


def test_every_stage_is_of_the_one_base(lines: list[str]) -> None:
    assert lines[0].startswith("ARG BASE=")
    froms = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert froms == ["${BASE}", "tools", "${BASE}"]


def test_the_user_is_a_number_beyond_the_hosts_own(lines: list[str]) -> None:
    assert [line for line in lines if line.startswith("USER")] == ["USER 65532:65532"]


def test_our_code_is_the_last_layer(lines: list[str]) -> None:
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM")) :]
    layers = [line for line in last if line.startswith(("RUN", "COPY"))]
    assert layers[-1] == "COPY --from=ours /opt/pfpnas /opt/pfpnas"
    assert not [line for line in last if line.startswith("COPY --from=tools /opt")]


def test_versions_are_those_of_the_project(lines: list[str]) -> None:
    exports = [line for line in lines if "uv export" in line]
    assert len(exports) == 1
    assert "requirements.txt" in exports[0]
    others, ours = (
        [line for line in lines if "uv pip install" in line and ("requirements.txt" in line) == theirs]
        for theirs in (True, False)
    )
    assert (len(others), len(ours)) == (1, 1), "what others wrote, by the export; then our own members"
    assert all("--no-deps" in line for line in (*others, *ours))


def test_the_tool_is_of_one_exact_version() -> None:
    """What is installed from an index without the export's versions: uv alone, and the same in all three."""
    installed = {word for folder in FOLDERS for line in _lines(folder) if "pip install --quiet --no-cache-dir" in line
                 for word in line.split() if "uv" in word and "/" not in word}  # fmt: skip
    assert installed == {'"uv==${UV_VERSION}"'}
    versions = {line for folder in FOLDERS for line in _lines(folder) if line.startswith("ARG UV_VERSION=")}
    assert len(versions) == 1
    assert re.fullmatch(r"ARG UV_VERSION=\d+\.\d+\.\d+", versions.pop())


def test_the_context_holds_sources_only() -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert (ROOT / ".dockerignore").resolve() == ROOT / ".containerignore"
    for folder in FOLDERS:
        copied = [line.split()[1] for line in _lines(folder) if line.startswith("COPY") and "--from" not in line]
        assert [path for path in copied if f"!{path}" not in ignored] == []


@pytest.mark.skipif(not os.environ.get("CI"), reason="CI is not set: only there a package index is asked")
def test_all_that_the_agent_needs_has_a_wheel_for_arm(tmp_path: Path) -> None:
    """As docs/install.md says; the image itself is built for x86-64 only."""
    projects = [tomllib.loads((ROOT / one / "pyproject.toml").read_text())["project"] for one in ("crds", "edge-agent")]
    asked = [line for one in projects for line in one["dependencies"] if not line.startswith("pfpnas-")]
    (tmp_path / "asked.txt").write_text("\n".join(asked))
    versions = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    (tmp_path / "versions.txt").write_text("\n".join(versions))
    found = run(
        uv(), "pip", "compile", "asked.txt", "--constraint", "versions.txt", "--no-header", "--no-annotate",
        "--python-version", "3.12", *PLATFORM, cwd=tmp_path, timeout_seconds=300,
    )  # fmt: skip
    assert {"numpy", "onnxruntime", "pillow"} <= {line.partition("==")[0] for line in found.splitlines()}


@pytest.mark.skipif(not os.environ.get("CI"), reason="CI is not set: only there 60 MB of wheels for ARM are fetched")
def test_what_the_agents_image_installs_on_arm_is_of_that_processor_and_small(tmp_path: Path) -> None:
    """Nothing of it runs here: it is laid out by the Containerfile's own commands, for Debian 12's Python, and read."""
    packages = _packages_for_arm(tmp_path)
    machines = {path.relative_to(packages): machine for path in packages.rglob("*") if (machine := _machine(path))}
    assert {path: machine for path, machine in machines.items() if machine != AARCH64} == {}
    assert {"numpy", "onnxruntime", "PIL", "pydantic_core"} <= {path.parts[0] for path in machines}
    # The limit of the end-to-end test of the image for x86-64. Our own code is not in it here: a megabyte.
    assert sum(path.lstat().st_size for path in packages.rglob("*") if not path.is_dir()) / 1e6 <= 200


def _packages_for_arm(folder: Path) -> Path:
    """The folder of packages as it is in the image."""
    for project in (".", "crds", "operator", "workloads", "edge-agent"):
        (folder / project).mkdir(exist_ok=True)
        shutil.copy(ROOT / project / "pyproject.toml", folder / project)
    export, changes = (_steps(one) for one in ("uv export", "compileall"))
    _shell(" && ".join(export).replace("/opt/uv/bin/uv", uv()), folder)
    run(
        uv(), "pip", "install", "--quiet", "--no-deps", "--target", "packages", "--python-version", "3.11", *PLATFORM,
        "--requirement", "requirements.txt", cwd=folder,
    )  # fmt: skip
    inside = [step for step in changes if step.startswith(("find ", "rm "))]
    assert len(inside) == 2
    # Byte code is written by the Python that is here: what it holds is the same for every processor.
    _shell(" && ".join([*inside, f"{sys.executable} -m compileall -q ."]), folder / "packages")
    return folder / "packages"


def _steps(named: str) -> list[str]:
    """The commands of the agent's RUN line in which one is called so."""
    (line,) = (line for line in _lines("edge-agent") if line.startswith("RUN") and named in line)
    return [step.strip() for step in line.removeprefix("RUN ").split("&&")]


def _shell(commands: str, folder: Path) -> None:
    run("sh", "-ec", commands, cwd=folder, env={"UV_PYTHON": sys.executable})


def _machine(path: Path) -> int | None:
    """For which processor a file is; None where that is nothing it says."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        head = file.read(20)
    return int.from_bytes(head[18:20], "little") if head.startswith(b"\x7fELF") else None
