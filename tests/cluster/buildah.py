"""Images with buildah and containerd, without any registry: the engine of the local provider."""

import fcntl
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.images import FOLDER, digest, reference
from cluster.progress import phase
from cluster.settings import ADDRESS, CACHE, CONTAINERD
from cluster.shell import CommandError, run

STORE = CACHE / "buildah"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
DEBOOTSTRAP = ("--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm")
BUILD_SECONDS = 30 * 60
COPY_BYTES = 4 << 20

_buildah = ("buildah", "--root", STORE / "root", "--runroot", STORE / "run", "--storage-driver", "overlay")
_ctr = ("ctr", "--address", CONTAINERD, "-n", "k8s.io")


class Buildah:
    """Builds with buildah; loads through the OCI layout into containerd, only what it lacks."""

    def base(self) -> str:
        """A Debian with Python made by debootstrap, which trusts the authorities that this machine trusts."""
        image = reference("base", digest(repr(DEBOOTSTRAP).encode(), AUTHORITIES.read_bytes()))
        if not self.built(image):
            with _lock():
                if not self.built(image):  # another session may have made it meanwhile
                    with phase("image base: debootstrap"):
                        _build_base(self, image)
        return image

    def built(self, reference: str) -> bool:
        """Whether buildah has this image."""
        try:
            run(*_buildah, "inspect", "--type", "image", "--format", "{{.FromImageID}}", reference)
        except CommandError:
            return False
        return True

    def build(self, reference: str, containerfile: Path, context: Path, build_args: Mapping[str, str]) -> None:
        """Build in a chroot on the machine's network, with its settings of pip and uv mounted, never kept."""
        arguments = [part for name, value in build_args.items() for part in ("--build-arg", f"{name}={value}")]
        with tempfile.TemporaryDirectory() as scratch:
            mounts = [part for mount in package_settings(Path(scratch), os.environ) for part in ("--volume", mount)]
            run(
                *_buildah, "bud", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never",
                *mounts, *arguments, "--file", containerfile, "--tag", reference, context,
                timeout_seconds=BUILD_SECONDS,
            )  # fmt: skip

    def loaded(self, reference: str) -> bool:
        """Whether containerd has this image."""
        return reference in run(*_ctr, "images", "list", "-q").split()

    def load(self, reference: str) -> None:
        """Push into a layout for a moment, import from there what containerd lacks.

        Compressed, as buildah writes no other layout; zstd takes less time than gzip on both sides.
        """
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".oci-") as scratch:
            layout = Path(scratch)
            run(
                *_buildah, "push", "--compression-format", "zstd", reference, f"oci:{layout}:{reference}",
                timeout_seconds=BUILD_SECONDS,
            )  # fmt: skip
            _import(layout, manifest_of(reference, json.loads((layout / "index.json").read_text())))

    def ctr(self, *words: str) -> str:
        """Our own containerd."""
        return run(*_ctr, *words)

    def host_address(self) -> str:
        """The bridge's."""
        return ADDRESS


def package_settings(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Settings files for pip and uv within a build, out of this machine's environment, as volumes.

    They are mounted while RUN lines run, so no layer holds an address of this machine's package index.
    """
    index = environment.get("PIP_INDEX_URL") or environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    uv_index = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or index
    pip = ["[global]", f"cert = {AUTHORITIES}", "disable-pip-version-check = true", "timeout = 180"]
    pip += [f"index-url = {index}"] if index else []
    (folder / "pip.conf").write_text("\n".join(pip) + "\n")
    uv = f'[[index]]\nurl = "{uv_index}"\ndefault = true\n' if uv_index else ""
    (folder / "uv.toml").write_text(uv)
    return [f"{folder}/pip.conf:/etc/pip.conf:ro", f"{folder}/uv.toml:/etc/uv/uv.toml:ro"]


def manifest_of(reference: str, index: dict[str, Any]) -> dict[str, Any]:
    """The manifest's descriptor in a layout's index, under the name that containerd reads.

    Raises:
        KeyError: the layout has no such image.
    """
    name = "org.opencontainers.image.ref.name"
    for manifest in index["manifests"]:
        if manifest.get("annotations", {}).get(name) == reference:
            return {**manifest, "annotations": {"io.containerd.image.name": reference}}
    raise KeyError(reference)


def blobs_to_send(manifest: dict[str, Any], content: dict[str, Any], there: Iterable[str]) -> list[str]:
    """Digests that the import needs: the manifest and its parts, without the layers that containerd has."""
    known = set(there)
    layers = [layer["digest"] for layer in content["layers"] if layer["digest"] not in known]
    return [manifest["digest"], content["config"]["digest"], *dict.fromkeys(layers)]


def _import(layout: Path, manifest: dict[str, Any]) -> None:
    content = json.loads(_blob(layout, manifest["digest"]).read_text())
    blobs = blobs_to_send(manifest, content, run(*_ctr, "content", "list", "-q").split())
    command = [str(part) for part in (*_ctr, "images", "import", "-")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as importer:
        assert importer.stdin is not None
        assert importer.stderr is not None
        try:
            _write_archive(importer.stdin, layout, manifest, blobs)
            importer.stdin.close()
        except BrokenPipeError:
            pass  # it ended early, and says why
        said = importer.stderr.read().decode(errors="replace")
    if importer.returncode != 0:
        raise CommandError(f"ctr images import: exit status {importer.returncode}: {said[-2000:]}")


def _write_archive(pipe: Any, layout: Path, manifest: dict[str, Any], blobs: list[str]) -> None:
    index = {"schemaVersion": 2, "manifests": [manifest]}
    with tarfile.open(fileobj=pipe, mode="w|", bufsize=COPY_BYTES) as archive:
        archive.copybufsize = COPY_BYTES  # type: ignore[attr-defined]  # layers of gigabytes; 16 KiB by default
        for name, text in (
            ("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"})),
            ("index.json", json.dumps(index)),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        for blob in blobs:
            archive.add(_blob(layout, blob), f"blobs/{blob.replace(':', '/')}")


def _blob(layout: Path, name: str) -> Path:
    return layout / "blobs" / name.replace(":", "/")


def _build_base(engine: Buildah, image: str) -> None:
    with tempfile.TemporaryDirectory(dir=STORE.parent, prefix=".base-") as scratch:
        root = Path(scratch) / "root"
        run("debootstrap", *DEBOOTSTRAP, root, timeout_seconds=BUILD_SECONDS)
        target = root / AUTHORITIES.relative_to("/")
        target.write_bytes(AUTHORITIES.read_bytes())
        run("rm", "-rf", f"{root}/var/cache/apt/archives", f"{root}/var/lib/apt/lists")
        run("tar", "--numeric-owner", "--one-file-system", "-C", root, "-cf", f"{scratch}/rootfs.tar", ".")
        run("rm", "-rf", root)
        engine.build(image, FOLDER / "base.containerfile", Path(scratch), {})


@contextmanager
def _lock() -> Iterator[None]:
    """One at a time: sessions that share the cache make its base once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "images.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
