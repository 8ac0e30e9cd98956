"""The artifact store: content-addressed files, and references that name a job's result.

The digest is the name, so a write is safe to repeat and a read is verified. Nothing is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from pydantic import ValidationError

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds.common import ArtifactRef

_REF_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,120}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactError(Exception):
    """The store can't do what was asked; the message says what and why."""


class ArtifactMissing(ArtifactError):  # noqa: N818 - reads as the state it names
    """No artifact of this digest is there."""


class ArtifactStore(ABC):
    """Where artifacts and references are kept."""

    @abstractmethod
    def put(self, content: bytes) -> ArtifactRef:
        """Keep content under its digest; atomic, and harmless when repeated.

        Raises:
            ArtifactError: it can't be written (disk full, no permission).
        """

    @abstractmethod
    def get(self, digest: str) -> bytes:
        """The content of a digest, verified.

        Raises:
            ArtifactMissing: not there.
            ArtifactError: what is there has another digest.
        """

    @abstractmethod
    def has(self, digest: str) -> bool:
        """Whether an artifact is there."""

    @abstractmethod
    def delete(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error."""

    @abstractmethod
    def write_ref(self, name: str, value: dict[str, Any]) -> None:
        """Write or replace a reference, atomically."""

    @abstractmethod
    def delete_ref(self, name: str) -> None:
        """Remove a reference; one that is not there is no error."""

    @abstractmethod
    def read_ref(self, name: str) -> dict[str, Any] | None:
        """A reference, or None.

        Raises:
            ArtifactError: it is there, and unreadable.
        """

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep what a job left behind, under its uid."""
        self.write_ref(manifest.uid, manifest.document())

    def read_manifest(self, uid: str) -> Manifest | None:
        """What a job left behind, or None.

        Raises:
            ArtifactError: the manifest is unreadable.
        """
        value = self.read_ref(uid)
        try:
            return None if value is None else Manifest.model_validate(value)
        except ValidationError as e:
            raise ArtifactError(f"the manifest of job {uid} is unreadable: {e.error_count()} errors") from e


class FolderStore(ArtifactStore):
    """The store as a folder: ``sha256/ab/abcdef…`` and ``refs/<name>.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where an artifact lies.

        Raises:
            ArtifactError: not a digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest[:80]!r} is no SHA-256 digest")
        return self.root / "sha256" / digest[:2] / digest

    def put(self, content: bytes) -> ArtifactRef:  # noqa: D102
        digest = hashlib.sha256(content).hexdigest()
        target = self.path(digest)
        if not _holds(target, content):
            write_atomically(target, content)
        return ArtifactRef(sha256=digest, size=len(content))

    def get(self, digest: str) -> bytes:  # noqa: D102
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError as e:
            raise ArtifactMissing(f"no artifact {digest} in {self.root}") from e
        except OSError as e:
            raise ArtifactError(f"can't read {path}: {e.strerror or e}") from e
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArtifactError(f"artifact {digest} is damaged: delete {path} and run again")
        return content

    def has(self, digest: str) -> bool:  # noqa: D102
        return self.path(digest).exists()

    def delete(self, digest: str) -> None:  # noqa: D102
        path = self.path(digest)
        try:
            path.unlink(missing_ok=True)
        except OSError as e:
            raise ArtifactError(f"can't delete {path}: {e.strerror or e}") from e

    def write_ref(self, name: str, value: dict[str, Any]) -> None:  # noqa: D102
        write_atomically(self._ref(name), json.dumps(value, sort_keys=True).encode())

    def delete_ref(self, name: str) -> None:  # noqa: D102
        self._ref(name).unlink(missing_ok=True)

    def read_ref(self, name: str) -> dict[str, Any] | None:  # noqa: D102
        path = self._ref(name)
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as e:
            raise ArtifactError(f"can't read {path}: {e.strerror or e}") from e
        except ValueError as e:
            raise ArtifactError(f"{path} is no JSON: delete it and run again") from e
        if not isinstance(value, dict):
            raise ArtifactError(f"{path} is no JSON object: delete it and run again")
        return value

    def _ref(self, name: str) -> Path:
        if not _REF_NAME.fullmatch(name):
            raise ArtifactError(f"{name[:120]!r} is no name of a reference")
        return self.root / "refs" / f"{name}.json"


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has exactly this content; a damaged one has not, and is written anew."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or nothing; its mode follows the umask.

    Raises:
        ArtifactError: it can't be written; names the file and the system's reason.
    """
    # tempfile would make a file that only its owner may read.
    temporary = target.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as e:
        raise ArtifactError(f"can't write {target}: {e.strerror or e}") from e


def open_store(address: str) -> ArtifactStore:
    """The store at an address: a folder, or ``file://…``.

    Raises:
        ArtifactError: no address, or a scheme that isn't known.
    """
    if not address:
        raise ArtifactError("the artifact store has no address: give a folder, or file://…")
    parsed = urlparse(address)
    if parsed.scheme in ("", "file"):
        return FolderStore(Path(unquote(parsed.path) if parsed.scheme else address))
    raise ArtifactError(f"artifact store {address!r}: schemes known are file:// and plain folders")
