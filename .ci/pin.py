"""Write the exact version of every dependency into pyproject.toml: `uv run python .ci/pin.py [--upgrade]`.

`[tool.uv] constraint-dependencies` holds the versions rather than a committed uv.lock, which would name the addresses
of whatever package index its writer used; behind another index the same versions resolve just as well.
"""

import re
import subprocess
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BLOCK = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
EXPORT = ["uv", "export", "--all-packages", "--all-extras", "--all-groups", "--no-hashes", "--no-emit-workspace"]


def main() -> None:
    """Resolve (anew with --upgrade, without the old versions), and replace the block."""
    text = PYPROJECT.read_text()
    if "--upgrade" in sys.argv[1:]:
        PYPROJECT.write_text(BLOCK.sub("constraint-dependencies = [\n]\n", text))
        subprocess.run(["uv", "lock", "--upgrade"], check=True)
    exported = subprocess.run([*EXPORT, "--no-header", "--no-annotate"], check=True, capture_output=True, text=True)
    lines = [f'    "{line.strip()}",\n' for line in exported.stdout.splitlines() if "==" in line]
    PYPROJECT.write_text(BLOCK.sub(lambda _: f"constraint-dependencies = [\n{''.join(lines)}]\n", text))


if __name__ == "__main__":
    main()
