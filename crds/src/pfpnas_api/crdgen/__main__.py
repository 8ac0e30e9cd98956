"""Write the custom resource definitions and their reference, or check that the written ones are those of the models."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pfpnas_api.crdgen.files import COMMAND, default_folder, drifted, write


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 1 when `--check` finds a difference or a file can't be written."""
    parser = argparse.ArgumentParser(prog="python -m pfpnas_api.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file differs")
    parser.add_argument("--out", type=Path, default=default_folder(), help="folder of the files (crds/)")
    options = parser.parse_args(arguments)
    try:
        return _check(options.out) if options.check else _write(options.out)
    except OSError as e:
        print(f"{e.filename or options.out}: {e.strerror or e}", file=sys.stderr)
        return 1


def _check(folder: Path) -> int:
    changed = drifted(folder)
    for path in changed:
        print(f"{path} is not what the models give: run `{COMMAND}` and commit the result", file=sys.stderr)
    return 1 if changed else 0


def _write(folder: Path) -> int:
    for path in write(folder):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
