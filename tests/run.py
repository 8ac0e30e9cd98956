"""All checks and tests, tier by tier: `python tests/run.py [TIER …]`. Prints the minutes each took.

Tiers: lint (ruff, mypy, import-linter, generated CRDs), unit (pure, fast), integration (real Redis, real processes),
e2e (a real Kubernetes; tests/cluster/README.md says which; only when it is named).
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent

TIERS: dict[str, list[list[str]]] = {
    "lint": [
        [str(BIN / "ruff"), "check", "."],
        [str(BIN / "ruff"), "format", "--check", "."],
        [str(BIN / "mypy")],
        [str(BIN / "lint-imports")],
        [PYTHON, "-m", "pfpnas_api.crdgen", "--check"],
    ],
    "unit": [[PYTHON, "-m", "pytest", "tests/unit"]],
    "integration": [[PYTHON, "-m", "pytest", "tests/integration"]],
    "e2e": [[PYTHON, "-m", "pytest", "tests/e2e"]],
}

DEFAULT = ("lint", "unit", "integration")


def run_tier(name: str) -> bool:
    """Run a tier's commands to their end, all of them; whether each succeeded."""
    good = True
    for command in TIERS[name]:
        print(f"$ {' '.join(Path(part).name if part.startswith(str(BIN)) else part for part in command)}", flush=True)
        good = subprocess.run(command, cwd=ROOT, check=False).returncode == 0 and good
    return good


def main(wanted: Sequence[str]) -> int:
    """Run the tiers asked for, or all."""
    unknown = [name for name in wanted if name not in TIERS]
    if unknown:
        print(f"unknown tier {', '.join(unknown)}: there are {', '.join(TIERS)}", file=sys.stderr)
        return 2
    rows = []
    for name in wanted or DEFAULT:
        start = time.monotonic()
        good = run_tier(name)
        rows.append((name, (time.monotonic() - start) / 60, good))
    print("\ntier          minutes  result")
    for name, minutes, good in rows:
        print(f"{name:12}  {minutes:7.1f}  {'passed' if good else 'FAILED'}")
    return 0 if all(good for _, _, good in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
