"""What figures that are kept depend on, besides their inputs: the code that made them."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def code_digest(places: Iterable[str], *, root: Path = ROOT) -> str:
    """Of the Python sources in some files and folders, as paths from `root`.

    Comments, docstrings and layout don't count: rewording changes no figure.

    Raises:
        FileNotFoundError: There is no such place: it was renamed, and would silently count no more.
    """
    digest = hashlib.sha256()
    for place in places:
        for path in _sources(root / place):
            digest.update(f"{path.relative_to(root).as_posix()}\n{_bare(path)}\n".encode())
    return digest.hexdigest()[:16]


def _sources(place: Path) -> list[Path]:
    if not place.exists():
        raise FileNotFoundError(place)
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _bare(path: Path) -> str:
    """A file's syntax without strings that are statements."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [one for one in statements if not _is_text(one)])
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
