"""The artifact store: content-addressed files, and references that name a job's result.

The digest is the name, so a write is safe to repeat and a read is verified. Nothing is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
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
    def read_ref(self, name: str) -> dict[str, Any] | None:
        """A reference, or None."""

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
        if not target.exists() or target.stat().st_size != len(content):
            write_atomically(target, content)
        return ArtifactRef(sha256=digest, size=len(content))

    def get(self, digest: str) -> bytes:  # noqa: D102
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError as e:
            raise ArtifactMissing(f"no artifact {digest} in {self.root}") from e
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArtifactError(f"artifact {digest} is damaged: delete {self.path(digest)} and run again")
        return content

    def has(self, digest: str) -> bool:  # noqa: D102
        return self.path(digest).exists()

    def delete(self, digest: str) -> None:  # noqa: D102
        self.path(digest).unlink(missing_ok=True)

    def write_ref(self, name: str, value: dict[str, Any]) -> None:  # noqa: D102
        write_atomically(self._ref(name), json.dumps(value, sort_keys=True).encode())

    def read_ref(self, name: str) -> dict[str, Any] | None:  # noqa: D102
        try:
            value = json.loads(self._ref(name).read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as e:
            raise ArtifactError(f"reference {name} is unreadable: {e}") from e
        return value if isinstance(value, dict) else None

    def _ref(self, name: str) -> Path:
        if not _REF_NAME.fullmatch(name):
            raise ArtifactError(f"{name!r} is no name of a reference")
        return self.root / "refs" / f"{name}.json"


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or nothing.

    Raises:
        ArtifactError: it can't be written; names the file and the system's reason.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise ArtifactError(f"can't write {target}: {e.strerror or e}") from e


def open_store(address: str) -> ArtifactStore:
    """The store at an address: a folder, or ``file://…``.

    Raises:
        ArtifactError: a scheme that isn't known.
    """
    parsed = urlparse(address)
    if parsed.scheme in ("", "file"):
        return FolderStore(Path(unquote(parsed.path) if parsed.scheme else address))
    raise ArtifactError(f"artifact store {address!r}: schemes known are file:// and plain folders")
