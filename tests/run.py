"""All checks and tests, tier by tier: `python tests/run.py [TIER …]`. Prints the minutes each took.

Tiers: lint (ruff, mypy, import-linter, generated CRDs), unit (pure, fast), integration (real Redis, real processes),
e2e (a real Kubernetes; tests/cluster/README.md says which, and skips with the reason where there is none; only when it
is named, as in `python tests/run.py lint unit integration e2e`).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


class Preparation:
    """The test cluster's programs and images, made beside the other tiers: the first time they take twenty minutes.

    What fails here is tried again, and told, by the tier itself.
    """

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process writes
        command = ["nice", "-n", "19", PYTHON, "tests/cluster/up.py", "prepare"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log)

    def wait(self) -> None:
        """Until it is done; prints what it took."""
        self._process.wait()
        self._log.seek(0)
        print(f"prepared beside the other tiers:\n{self._log.read()}", flush=True)

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def preparation(names: Sequence[str]) -> Iterator[Preparation | None]:
    """The preparation of the e2e tier, where it follows another and a cluster of this machine's processes is wanted."""
    local = os.environ.get("PFPNAS_E2E", "local" if os.environ.get("CI") == "true" else "") == "local"
    if "e2e" not in names[1:] or not local or os.geteuid() != 0:
        yield None
        return
    prepared = Preparation()
    try:
        yield prepared
    finally:
        prepared.stop()


def run_tiers(names: Sequence[str]) -> list[tuple[str, float, bool]]:
    """Run tiers one after the other; each one's name, minutes and whether it passed."""
    rows = []
    with preparation(names) as prepared:
        for name in names:
            start = time.monotonic()
            if name == "e2e" and prepared is not None:
                prepared.wait()
            good = run_tier(name)
            rows.append((name, (time.monotonic() - start) / 60, good))
    return rows


def main(wanted: Sequence[str]) -> int:
    """Run the tiers asked for, or all."""
    unknown = [name for name in wanted if name not in TIERS]
    if unknown:
        print(f"unknown tier {', '.join(unknown)}: there are {', '.join(TIERS)}", file=sys.stderr)
        return 2
    rows = run_tiers(wanted or DEFAULT)
    print("\ntier          minutes  result")
    for name, minutes, good in rows:
        print(f"{name:12}  {minutes:7.1f}  {'passed' if good else 'FAILED'}")
    for name in sorted(TIERS.keys() - {row[0] for row in rows}):
        print(f"{name:12}        –  not run: name it (tests/cluster/README.md says what e2e needs)")
    return 0 if all(good for _, _, good in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
