"""Images of the tests: named by a digest of what they are made of, built and loaded once."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cluster.progress import phase
from cluster.settings import HERE
from cluster.shell import CommandError, run

FOLDER = HERE / "images"


class Engine(Protocol):
    """What builds images, and how they get onto the cluster's node."""

    def base(self) -> str | None:
        """Reference of the image for `ARG BASE`; None where the Containerfile's own default can be pulled."""
        ...

    def built(self, reference: str) -> bool:
        """Whether the engine has this image."""
        ...

    def build(self, reference: str, containerfile: Path, context: Path, build_args: Mapping[str, str]) -> None:
        """Build it."""
        ...

    def loaded(self, reference: str) -> bool:
        """Whether the node has this image."""
        ...

    def load(self, reference: str) -> None:
        """Bring it onto the node."""
        ...

    def ctr(self, *words: str) -> str:
        """The node's containerd, asked in Kubernetes' own namespace; what it says."""
        ...

    def host_address(self) -> str:
        """The address of this machine that pods reach, and on which a server of the tests may listen."""
        ...


def build_image(
    engine: Engine,
    name: str,
    *,
    containerfile: Path,
    context: Path,
    build_args: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (".",),
    load: bool = True,
) -> str:
    """The image of a Containerfile, on the node and by its full reference; nothing is done when it is there already.

    Args:
        engine: of the provider in use.
        name: last part of the image's name.
        containerfile: its text takes part in the digest.
        context: the folder that COPY sees.
        build_args: as for `--build-arg`; `BASE` is added where the engine has one.
        inputs: files and folders, relative to `context`, on which the image depends; what git ignores doesn't count.
        load: whether the node shall have it.
    """
    arguments = dict(build_args or {})
    base = engine.base()
    if base is not None:
        arguments.setdefault("BASE", base)
    key = digest(containerfile.read_bytes(), *_contents(context, inputs), repr(sorted(arguments.items())).encode())
    return _ensure(engine, name, key, containerfile=containerfile, context=context, build_args=arguments, load=load)


def static_image(engine: Engine, name: str, *, load: bool = True) -> str:
    """The image of a static C program beside this file: `pause` or `noop`."""
    containerfile = FOLDER / "static.containerfile"
    with tempfile.TemporaryDirectory() as scratch:
        run("gcc", "-static", "-Os", "-s", "-o", f"{scratch}/{name}", FOLDER / f"{name}.c")
        context, arguments = Path(scratch), {"PROGRAM": name}
        key = static_key(name)
        return _ensure(engine, name, key, containerfile=containerfile, context=context, build_args=arguments, load=load)


def static_key(name: str) -> str:
    """Digest of what a static program's image is made of; the compiler doesn't count."""
    return digest((FOLDER / "static.containerfile").read_bytes(), (FOLDER / f"{name}.c").read_bytes())


def redis_image(engine: Engine, *, load: bool = True) -> str:
    """Debian's Redis 7 on the base: stands for the `redis` image of the chart."""
    containerfile = FOLDER / "redis.containerfile"
    return build_image(engine, "redis", containerfile=containerfile, context=FOLDER, inputs=(), load=load)


def reference(name: str, key: str) -> str:
    """How pods name it; `localhost` is never pulled from."""
    return f"localhost/pfpnas-e2e/{name}:{key}"


def digest(*parts: bytes) -> str:
    """16 hexadecimal digits over the parts and their bounds."""
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _contents(context: Path, inputs: Sequence[str]) -> list[bytes]:
    """Names and bytes of the input files, in order."""
    if not inputs:
        return []
    try:
        listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *inputs, cwd=context)
        names = {name for name in listed.split("\0") if (context / name).is_file()}
    except CommandError:  # no checkout: a release's archive, or a folder a test made
        found = [path for name in inputs for path in ((context / name), *(context / name).rglob("*"))]
        names = {str(path.relative_to(context)) for path in found if path.is_file()}
    return [part for name in sorted(names) for part in (name.encode(), (context / name).read_bytes())]


def _ensure(
    engine: Engine,
    name: str,
    key: str,
    *,
    containerfile: Path,
    context: Path,
    build_args: Mapping[str, str],
    load: bool,
) -> str:
    image = reference(name, key)
    if load and engine.loaded(image):
        return image
    if not engine.built(image):
        with phase(f"image {name}: build"):
            engine.build(image, containerfile, context, build_args)
    if load:
        with phase(f"image {name}: load"):
            engine.load(image)
    return image
