"""All checks and tests, tier by tier: `python tests/run.py [TIER …]`. Prints the minutes each took.

Tiers: lint (ruff, mypy, import-linter, generated CRDs), unit (pure, fast), integration (real Redis, real processes),
e2e (a real Kubernetes; tests/cluster/README.md says which, and skips with the reason where there is none).

A tier of which nothing ran is told as skipped. In CI (`CI=true`) that counts as failed; there, as root, the Debian
packages that tests call are installed first.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from cluster import packages
from cluster.provider import choose, what_kind_lacks

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent

SLOWEST = "--durations=25"

TOGETHER = ["-n", "2", "--dist", "worksteal"]
"""Two tests at a time: most wait for processes of their own, and more would be too slow for what they wait."""

TIERS: dict[str, list[list[str]]] = {
    "lint": [
        [str(BIN / "ruff"), "check", "."],
        [str(BIN / "ruff"), "format", "--check", "."],
        [str(BIN / "mypy")],
        [str(BIN / "lint-imports")],
        [PYTHON, "-m", "pfpnas_api.crdgen", "--check"],
    ],
    "unit": [[PYTHON, "-m", "pytest", "tests/unit", *TOGETHER]],
    "integration": [[PYTHON, "-m", "pytest", "tests/integration", *TOGETHER, SLOWEST]],
    "e2e": [[PYTHON, "-m", "pytest", "tests/e2e", SLOWEST]],
}

IN_CI = os.environ.get("CI") == "true"

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Images set that variable. Hundreds of processes are started here, and without byte code each would compile torch."""


def run_tier(name: str) -> str:
    """Run a tier's commands to their end, all of them: "passed", "FAILED", or "skipped" where all of its tests were."""
    results = {_run(command) for command in TIERS[name]}
    if "FAILED" in results:
        return "FAILED"
    return "skipped" if results == {"skipped"} else "passed"


def _run(command: Sequence[str]) -> str:
    print(f"$ {' '.join(Path(part).name if part.startswith(str(BIN)) else part for part in command)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        reporting = [f"--junitxml={report}"] if "pytest" in command else []
        if subprocess.run([*command, *reporting], cwd=ROOT, env=ENVIRONMENT, check=False).returncode != 0:
            return "FAILED"
        # pytest ends with 0 though it skipped every test.
        return "skipped" if reporting and _only_skips(report) else "passed"


def _only_skips(report: Path) -> bool:
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    tests, skipped = (sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "skipped"))
    return tests == skipped


class Preparation:
    """The test cluster's programs and images, made beside the other tiers: the first time they take twenty minutes.

    What fails here is tried again, and told, by the tier itself.
    """

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process writes
        command = [PYTHON, "tests/cluster/up.py", "prepare"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=self._log, stderr=self._log, start_new_session=True
        )
        yield_to_others(self._process.pid)

    def wait(self) -> None:
        """Until it is done; prints what it took."""
        self._process.wait()
        self._log.seek(0)
        print(f"prepared beside the other tiers:\n{self._log.read()}", flush=True)

    def stop(self) -> None:
        """End it and the builds it started, if it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()


def yield_to_others(session: int) -> None:
    """Let a session have the time others leave. Where Linux groups by session, `nice` counts only within one."""
    group = Path(f"/proc/{session}/autogroup")
    if group.exists():
        group.write_text("19", encoding="ascii")
    os.setpriority(os.PRIO_PGRP, session, 19)


@contextmanager
def preparation(names: Sequence[str]) -> Iterator[Preparation | None]:
    """The preparation of the e2e tier, where it follows another and runs on a cluster of this machine's processes."""
    if "e2e" not in names[1:] or not _is_local():
        yield None
        return
    prepared = Preparation()
    try:
        yield prepared
    finally:
        prepared.stop()


def _is_local() -> bool:
    return choose(os.environ, is_root=os.geteuid() == 0, kind_lacks=what_kind_lacks).provider == "local"


def run_tiers(names: Sequence[str]) -> list[tuple[str, float, str]]:
    """Run tiers one after the other; each one's name, minutes and result."""
    rows = []
    with preparation(names) as prepared:
        for name in names:
            start = time.monotonic()
            if name == "e2e" and prepared is not None:
                prepared.wait()
            result = run_tier(name)
            rows.append((name, (time.monotonic() - start) / 60, result))
    return rows


def main(wanted: Sequence[str]) -> int:
    """Run the tiers asked for, or all."""
    unknown = [name for name in wanted if name not in TIERS]
    if unknown:
        print(f"unknown tier {', '.join(unknown)}: there are {', '.join(TIERS)}", file=sys.stderr)
        return 2
    if IN_CI and os.geteuid() == 0:
        packages.install_missing(packages.TESTS)
    rows = run_tiers(wanted or list(TIERS))
    print("\ntier          minutes  result")
    for name, minutes, result in rows:
        print(f"{name:12}  {minutes:7.1f}  {result}")
    for name in sorted(TIERS.keys() - {row[0] for row in rows}):
        print(f"{name:12}        –  not asked for")
    # Where tests are to run, a tier that ran none says nothing: a cluster that is missing must not look like a success.
    bad = {"FAILED", "skipped"} if IN_CI else {"FAILED"}
    return 1 if any(result in bad for _, _, result in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
