"""Which programs count as being on the machine."""

import sys
from pathlib import Path

import pytest

from cluster.packages import missing, which


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_what_the_environment_of_the_tests_brings_is_not_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    program(tmp_path / "bin", "redis-server")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{tmp_path}/usr")
    assert which("redis-server") is None
    assert missing({"redis-server": "redis"})[0] == "redis"

    own = program(tmp_path / "usr", "redis-server")
    assert which("redis-server") == str(own)
    assert "redis" not in missing({"redis-server": "redis"})
