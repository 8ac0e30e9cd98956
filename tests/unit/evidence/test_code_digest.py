"""Figures that are kept count no more when the code behind them changes, and only then."""

from pathlib import Path

import pytest

from support.code_digest import code_digest

SOURCE = (
    '"""A module."""\n\nLIMIT = 3\n"""Why."""\n\n\ndef f(x: int) -> int:\n    """It adds."""\n    return x + LIMIT\n'
)


def digest(folder: Path, source: str) -> str:
    (folder / "room").mkdir(exist_ok=True)
    (folder / "room/code.py").write_text(source)
    return code_digest(["room"], root=folder)


@pytest.mark.parametrize(
    ("before", "after"), [("It adds.", "It sums up."), ("Why.", "Because."), ("LIMIT = 3", "LIMIT = 3  # three")]
)
def test_words_about_the_code_do_not_count(tmp_path: Path, before: str, after: str) -> None:
    assert digest(tmp_path, SOURCE) == digest(tmp_path, SOURCE.replace(before, after))


@pytest.mark.parametrize(("before", "after"), [("LIMIT = 3", "LIMIT = 4"), ("x + LIMIT", "x - LIMIT")])
def test_a_change_of_the_code_counts(tmp_path: Path, before: str, after: str) -> None:
    assert digest(tmp_path, SOURCE) != digest(tmp_path, SOURCE.replace(before, after))


def test_a_place_that_is_gone_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        code_digest(["room"], root=tmp_path)
