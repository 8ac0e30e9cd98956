"""`pfpnas` for the users of a cluster: installed from crds/ and operator/ alone, it needs nothing else of ours."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from cluster.settings import ROOT

OURS = {"pfpnas-operator": "operator", "pfpnas-api": "crds"}

ALONE = """
import importlib.abc, importlib.metadata, json, sys
there = set(json.loads(sys.argv.pop(1)))
owners = importlib.metadata.packages_distributions()

class Elsewhere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        found = {one.lower().replace("_", "-") for one in owners.get(name.partition(".")[0], ())}
        if found and not found & there:
            raise ModuleNotFoundError(f"No module named {name!r} among {sorted(there)}", name=name)

sys.meta_path.insert(0, Elsewhere())
from pfpnas_operator.cli import main
main()
"""
"""The command, in an interpreter that lacks every distribution but the named ones."""


def _needed(name: str) -> Iterator[str]:
    """A distribution and what it asks for, without extras."""
    pending, known = [name], set()
    while pending:
        known.add(one := pending.pop())
        for line in _asks(one):
            match = re.match(r"[\w.-]+", line)
            asked = match[0].lower().replace("_", "-") if match and "extra ==" not in line else one
            if asked not in known and _is_installed(asked):
                pending.append(asked)
    yield from known


def _asks(name: str) -> list[str]:
    """What a distribution names; ours by their files, as an editable installation may be older."""
    if folder := OURS.get(name):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        return list(project["dependencies"])
    return importlib.metadata.requires(name) or []


def _is_installed(name: str) -> bool:
    """Not so where a marker speaks of another platform."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize("words", [("--help",), ("get", "best", "--help"), ("agents", "add", "--help")], ids=" ".join)
def test_the_command_runs_from_the_operators_package_alone(words: tuple[str, ...]) -> None:
    there = sorted(_needed("pfpnas-operator"))
    assert {"kubernetes", "pfpnas-api", "typer"} <= set(there)
    assert not {"torch", "pfpnas-workloads", "pfpnas-agent", "fsspec"} & set(there)
    command = [sys.executable, "-c", ALONE, json.dumps(there), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
