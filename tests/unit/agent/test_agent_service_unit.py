"""The unit of systemd: what it locks, and where systemd is installed its own judgement of that and of every line."""

import configparser
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "edge-agent" / "pfpnas-agent.service"
OLDEST = 252
"""Debian 12's; older ones don't know every line."""

LOCKS = {
    "User": "pfpnas-agent",
    "LimitCORE": "0",
    "ProtectSystem": "strict",
    "ProtectHome": "tmpfs",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "SocketBindDeny": "any",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes",
    "StateDirectoryMode": "0700",
}
"""What a candidate that breaks out of its runtime must find: nothing to read, to write, to listen at or to become."""


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it; skips where there is none, or an old one."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on PATH (Debian: apt install systemd)")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()
    if int(said[1].split(".")[0]) < OLDEST:
        pytest.skip(f"systemd {said[1]} is older than {OLDEST}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there: systemd looks for it."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/pfpnas-agent/bin/pfpnas-agent", sys.executable))
    return path


def test_systemd_finds_no_fault(unit: Path) -> None:
    done = systemd_analyze("verify", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_misspelt_line_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome", "ProtectHomes"))
    assert "ProtectHomes" in systemd_analyze("verify", str(unit)).stderr


def test_the_service_is_little_exposed(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=true", "--json=short", "--no-pager", "--threshold=15", str(unit))
    assert done.returncode == 0, done.stdout
    open_doors = {row["name"] for row in json.loads(done.stdout) if row["exposure"] and float(row["exposure"]) >= 0.3}
    assert open_doors == {"PrivateNetwork=", "RestrictAddressFamilies=~AF_(INET|INET6)"}


def service() -> configparser.SectionProxy:
    """The unit's section about the service."""
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(UNIT)
    return parsed["Service"]


def test_the_service_is_locked_in() -> None:
    found = service()
    assert {name: found.get(name) for name in LOCKS} == LOCKS


def test_it_starts_the_agent_where_the_readme_puts_it() -> None:
    readme = (UNIT.parent / "README.md").read_text()
    for path in ("/opt/pfpnas-agent", "/etc/pfpnas-agent/agent.yaml", "pfpnas-agent.service"):
        assert path in readme
    program, command, *options = service()["ExecStart"].split()
    assert program == "/opt/pfpnas-agent/bin/pfpnas-agent"
    help_text = subprocess.run(
        [sys.executable, "-m", "pfpnas_agent", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(option in help_text for option in options[::2])
