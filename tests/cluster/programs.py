"""The Go programs of the cluster: built once per version, into the cache."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.progress import phase
from cluster.settings import CACHE, GO_PROGRAMS, HERE, KUBERNETES
from cluster.shell import CommandError, run

BIN = CACHE / "bin"
"""Links to the current builds; may be put on a developer's PATH."""

BUILD_SECONDS = 40 * 60


def kubernetes() -> Path:
    """Kubernetes' components and kubectl in one program (`main.go`)."""
    sources = b"".join((HERE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    folder = CACHE / "programs" / f"kubernetes-{KUBERNETES}-{hashlib.sha256(sources).hexdigest()[:12]}"
    return once(folder / "kubernetes", _build_kubernetes)


def kubectl() -> Path:
    """The kubectl of the cluster's own version: a link to the one program, which answers to that name."""
    return _link("kubectl", kubernetes())


def go_program(name: str) -> Path:
    """A program of `GO_PROGRAMS` in its version."""
    module = GO_PROGRAMS[name]
    folder = CACHE / "programs" / f"{name}-{module.rpartition('@')[2]}"
    return _link(name, once(folder / name, lambda out: _install(module, out)))


def _link(name: str, program: Path) -> Path:
    BIN.mkdir(parents=True, exist_ok=True)
    link = BIN / name
    if not link.is_symlink() or link.readlink() != program:
        fresh = BIN / f".{name}.{os.getpid()}"
        fresh.symlink_to(program)
        fresh.rename(link)
    return link


def once(program: Path, build: Callable[[Path], None]) -> Path:
    """The program when it is there, else built beside its place and renamed: an interruption leaves nothing half.

    Who wants it while another process builds it waits.
    """
    if program.exists():
        return program
    folder = program.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return program if program.exists() else _built(program, build)


def _built(program: Path, build: Callable[[Path], None]) -> Path:
    with phase(f"building {program.parent.name}"):
        scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=program.parent.parent))
        try:
            build(scratch)
            scratch.chmod(0o755)
            scratch.rename(program.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return program


def _build_kubernetes(folder: Path) -> None:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    fields = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{field}={value}" for field, value in fields.items())
    command = (_go(), "build", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", folder / "kubernetes", ".")
    run(*command, cwd=HERE, env={"CGO_ENABLED": "0"}, timeout_seconds=BUILD_SECONDS)


def _install(module: str, folder: Path) -> None:
    # Outside any module, as `go install` takes versions only there.
    run(
        _go(), "install", "-trimpath", "-ldflags", "-s -w", module,
        cwd=folder, env={"CGO_ENABLED": "0", "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false"},
        timeout_seconds=BUILD_SECONDS,
    )  # fmt: skip


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise CommandError("there is no `go` (1.24 or newer) on PATH: it builds Kubernetes and helm")
    return found
