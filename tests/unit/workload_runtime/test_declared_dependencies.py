"""What the workloads import they declare: another member's dependency may go without notice."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

MEMBER = Path(__file__).parents[3] / "workloads"


def imported() -> set[str]:
    """The top-level modules that some file imports, the standard library's apart."""
    names: set[str] = set()
    for file in (MEMBER / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"pfpnas_workloads"}


def declared() -> set[str]:
    """The distributions that the member's pyproject names."""
    project = tomllib.loads((MEMBER / "pyproject.toml").read_text())["project"]
    return {re.split(r"[^a-z0-9-]", name)[0] for name in project["dependencies"]}


def test_every_import_is_declared_and_every_declared_one_imported() -> None:
    distributions = packages_distributions()
    # A member of this workspace is installed in place, and so known by its own name only.
    owners = {name: {o.lower() for o in distributions.get(name, [name.replace("_", "-")])} for name in imported()}
    assert [name for name, owner in owners.items() if not owner & declared()] == []
    assert declared() <= set().union(*owners.values())
