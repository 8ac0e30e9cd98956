"""The definitions as files: deterministic YAML under a header that says where it comes from."""

from pathlib import Path
from typing import Any

import yaml

from pfpnas_api.crdgen.definition import definitions
from pfpnas_api.crdgen.reference import reference
from pfpnas_api.kinds import GROUP

COMMAND = "uv run python -m pfpnas_api.crdgen"
HEADER = f"# Generated from pfpnas_api.kinds by `{COMMAND}`: don't edit.\n"


class _Dumper(yaml.SafeDumper):
    """Lists indented under their key, and no anchors: every part is written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def file_name(definition: str) -> str:
    """The file of a definition, such as ``pfpnas.io_supernets.yaml`` for ``supernets.pfpnas.io``."""
    return f"{GROUP}_{definition.removesuffix('.' + GROUP)}.yaml"


def rendered() -> dict[str, str]:
    """The text of every file, by its name."""
    return {
        file_name(name): HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for name, content in definitions().items()
    }


def default_folder() -> Path:
    """`crds/` of the checkout that this module lies in."""
    return Path(__file__).resolve().parents[3]


def reference_file(folder: Path) -> Path:
    """Where the page of the definitions in a folder lies: among the docs of the checkout, else beside them."""
    return folder.parent / "docs" / "reference.md" if folder == default_folder() else folder / "reference.md"


def write(folder: Path) -> list[Path]:
    """Write every file; returns those that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed, texts = drifted(folder), _texts(folder)
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return changed


def drifted(folder: Path) -> list[Path]:
    """Files that are missing or differ from what the models give."""
    return [
        path
        for path, content in _texts(folder).items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def _texts(folder: Path) -> dict[Path, str]:
    definitions = {folder / name: content for name, content in rendered().items()}
    return {**definitions, reference_file(folder): reference()}
