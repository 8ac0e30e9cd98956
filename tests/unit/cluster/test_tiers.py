"""What tests/run.py says of a tier, by what pytest really did in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import run

PASSES = "def test_one(): pass\n"
FAILS = "def test_two(): assert False\n"
SKIPS = "import pytest\n@pytest.mark.skip\ndef test_three(): pass\n"
SKIPS_IN_ITS_FIXTURE = """
import pytest
@pytest.fixture
def cluster(): pytest.skip("no cluster")
def test_four(cluster): pass
def test_five(cluster): pass
"""


@pytest.fixture
def tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of tests, the only ones of the only tier."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    path = tmp_path / "test_it.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(path)]
    monkeypatch.setattr(run, "TIERS", {"e2e": [command]})
    monkeypatch.setattr(run, "IN_CI", False)
    # Those of our environment take seconds to load, and have nothing to do with it.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return path


@pytest.mark.parametrize(
    ("tests", "result", "closing", "code"),
    [
        (PASSES + SKIPS, "passed", "1 passed, 1 skipped", 0),
        (FAILS + SKIPS, "FAILED", "1 failed, 1 skipped", 1),
        (SKIPS_IN_ITS_FIXTURE, "skipped", "2 skipped", 0),
        ("", "FAILED", "no tests ran", 1),
        ("import nothing_that_is_there\n", "FAILED", "1 error", 1),
    ],
)
def test_a_tier_is_told_as_what_it_was(
    tier: Path, capfd: pytest.CaptureFixture[str], tests: str, result: str, closing: str, code: int
) -> None:
    tier.write_text(tests)

    assert run.main(["e2e"]) == code

    before, _, table = capfd.readouterr().out.partition("tier          minutes  result")
    assert [line.split()[0::2] for line in table.split("\n") if line] == [["e2e", result]]
    assert closing in before.strip().splitlines()[-1], "pytest's own last line comes before the table"


def test_in_ci_nothing_but_skips_is_a_failure(
    tier: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "IN_CI", True)
    monkeypatch.setattr(run.packages, "install_missing", lambda _: None)
    tier.write_text(SKIPS_IN_ITS_FIXTURE)

    assert run.main(["e2e"]) == 1

    assert capfd.readouterr().out.split()[-1] == "skipped"


def test_a_tier_without_tests_passes_by_its_commands(
    tier: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "TIERS", {"lint": [["true"], ["true"]]})

    assert run.main([]) == 0

    assert capfd.readouterr().out.split()[-1] == "passed"


def test_a_skipped_part_does_not_hide_that_another_failed(tier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tier.write_text(SKIPS)
    monkeypatch.setattr(run, "TIERS", {"e2e": [*run.TIERS["e2e"], ["false"]]})

    assert run.main([]) == 1


def test_what_runs_beside_the_tiers_has_the_processor_only_when_they_leave_it() -> None:
    beside = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        run.yield_to_others(beside.pid)

        assert os.getpriority(os.PRIO_PROCESS, beside.pid) == 19
        group = Path(f"/proc/{beside.pid}/autogroup")
        assert not group.exists() or group.read_text().split()[-1] == "19", "priorities count within a session only"
    finally:
        beside.kill()
        beside.wait()
