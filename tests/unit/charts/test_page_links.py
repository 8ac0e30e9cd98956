"""Links between the pages lead somewhere: to a file that is there, and to a heading that it has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.settings import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "charts/*/*.md", "examples/**/*.md", "*/README.md", "tests/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", sorted(set(PAGES)), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(_broken(page)) == []


def test_pages_are_found() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "install.md", ROOT / "examples" / "eks" / "README.md"} <= set(PAGES)


def _broken(page: Path) -> Iterator[str]:
    for place, heading in LINK.findall(CODE.sub("", page.read_text())):
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (heading and heading not in _anchors(target)):
            yield f"{place}#{heading}" if heading else place


def _anchors(page: Path) -> set[str]:
    """As GitHub and GitLab make them of headings."""
    headings = HEADING.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
