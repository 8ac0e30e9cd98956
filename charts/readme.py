"""Write the tables of values in the charts' READMEs: `python charts/readme.py [--check]`.

A row is a value, its default from values.yaml, and the description from values.schema.json.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).resolve().parent
MARKS = re.compile(r"(<!-- values -->\n).*?(<!-- /values -->)", re.DOTALL)


def rows(schema: dict[str, Any], values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, default, description) of every value that has a description of its own."""
    for name, part in schema["properties"].items():
        if name == "global":
            continue
        path = f"{prefix}{name}"
        if "description" in part:
            yield path, json.dumps(values.get(name)), part["description"]
        else:
            yield from rows(part, values[name], f"{path}.")


def table(chart: Path) -> str:
    """The Markdown table of a chart."""
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, default, description in rows(schema, values):
        text = description.replace("|", "\\|")
        lines.append(f"| `{path}` | `{default}` | {text} |")
    return "\n".join(lines) + "\n"


def renewed(chart: Path) -> str:
    """The README's text with its table written anew.

    Raises:
        ValueError: it has no place for the table.
    """
    text = (chart / "README.md").read_text(encoding="utf-8")
    if not MARKS.search(text):
        raise ValueError(f"{chart.name}/README.md has no <!-- values --> … <!-- /values -->")
    return MARKS.sub(lambda found: f"{found[1]}{table(chart)}{found[2]}", text)


def main(arguments: list[str]) -> int:
    """Write them, or with --check only tell which are not what they should be."""
    stale = [chart for chart in _charts() if renewed(chart) != (chart / "README.md").read_text(encoding="utf-8")]
    for chart in stale:
        if "--check" in arguments:
            print(f"{chart.name}/README.md: run `python charts/readme.py`", file=sys.stderr)
        else:
            (chart / "README.md").write_text(renewed(chart), encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


def _charts() -> list[Path]:
    return sorted(path.parent for path in CHARTS.glob("*/Chart.yaml"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
