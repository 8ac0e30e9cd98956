"""What every artifact store does, and how its errors read."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds.common import ArtifactRef
from pfpnas_api.messages import summary

_REF_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,120}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactError(Exception):
    """The store can't do what was asked; the message says what and why."""


class ArtifactMissing(ArtifactError):  # noqa: N818 - reads as the state it names
    """No artifact of this digest is there."""


class ArtifactDamaged(ArtifactError):  # noqa: N818 - reads as the state it names
    """What is there has another size or digest than its name says."""


class RefUnreadable(ArtifactError):  # noqa: N818 - reads as the state it names
    """A reference is there, but holds no JSON object."""


class ManifestUnreadable(ArtifactError):  # noqa: N818 - reads as the state it names
    """What a job left behind is no manifest: the job is at fault, not the store."""


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
            ArtifactDamaged: what is there has another digest.
            ArtifactError: the store can't be read.
        """

    def pieces(self, artifact: ArtifactRef, piece_bytes: int) -> Iterator[bytes]:
        """The content of an artifact, a piece at a time; the last one comes only when the digest is right.

        Args:
            artifact: Which.
            piece_bytes: Of each piece but the last, which may be shorter.

        Raises:
            ArtifactMissing: not there (any more).
            ArtifactDamaged: what is there has another size or digest; the pieces so far are worth nothing.
            ArtifactError: the store can't be read.
        """
        size, digest, piece = self._size(artifact.sha256), hashlib.sha256(), b""
        if size is None:
            raise ArtifactMissing(f"no artifact {artifact.sha256} in {self}")
        if size != artifact.size:
            raise ArtifactDamaged(f"artifact {artifact.sha256} in {self} has {size} bytes instead of {artifact.size}")
        for start in range(0, size, piece_bytes):
            if piece:
                yield piece
            piece = self._range(artifact.sha256, start, min(start + piece_bytes, size))
            digest.update(piece)
        if digest.hexdigest() != artifact.sha256:
            raise ArtifactDamaged(f"artifact {artifact.sha256} in {self} is damaged: delete it there and run again")
        if piece:
            yield piece

    @abstractmethod
    def __str__(self) -> str:
        """Where the store is."""

    @abstractmethod
    def _size(self, digest: str) -> int | None:
        """Bytes of an artifact, None if it isn't there."""

    @abstractmethod
    def _range(self, digest: str, start: int, end: int) -> bytes:
        """The bytes from `start` until before `end`, which are in it.

        Raises:
            ArtifactMissing: not there.
            ArtifactError: the store can't be read.
        """

    @abstractmethod
    def has(self, digest: str) -> bool:
        """Whether an artifact is there."""

    @abstractmethod
    def delete(self, digest: str, *, unmodified_since: datetime | None = None) -> None:
        """Remove an artifact; one that is not there is no error.

        Args:
            digest: Which.
            unmodified_since: Leave it if it was put again after this moment.
        """

    def release(self, digest: str) -> None:
        """Say that whoever put an artifact needs it no more: it goes now or, where others may need it, by the sweep."""
        self.delete(digest)

    @abstractmethod
    def digests(self) -> Iterator[tuple[str, datetime]]:
        """Every artifact, and when it was last put."""

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

    @abstractmethod
    def refs(self, prefix: str = "") -> Iterator[str]:
        """The names of the references that begin so."""

    def read_refs(self, names: Sequence[str]) -> Iterator[tuple[str, "dict[str, Any] | RefUnreadable | None"]]:
        """Many references; None for one that isn't there, the error for one that is unreadable.

        Raises:
            ArtifactError: the store can't be read.
        """
        for name in names:
            try:
                yield name, self.read_ref(name)
            except RefUnreadable as e:
                yield name, e

    def named(self) -> Iterator[tuple[str, frozenset[str] | None]]:
        """Every reference, and the digests that it names; None for one that is unreadable.

        Raises:
            ArtifactError: the store can't be read.
        """
        for name, value in self.read_refs(list(self.refs())):
            yield name, None if isinstance(value, RefUnreadable) else frozenset(digests_in(value))

    def write_manifest(self, manifest: Manifest) -> None:
        """Keep what a job left behind, under its uid."""
        self.write_ref(manifest.uid, manifest.document())

    def read_manifest(self, uid: str) -> Manifest | None:
        """What a job left behind, or None.

        Raises:
            ManifestUnreadable: it is there, but no manifest.
            ArtifactError: the store can't be read.
        """
        try:
            value = self.read_ref(uid)
            return None if value is None else Manifest.model_validate(value)
        except RefUnreadable as e:
            raise ManifestUnreadable(f"the manifest of job {uid} is unreadable: no JSON object") from e
        except ValidationError as e:
            raise ManifestUnreadable(f"the manifest of job {uid} is unreadable: {summary(e)}") from e


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def digests_in(value: Any) -> Iterator[str]:
    """Every digest that a JSON value names, wherever: bare or as ``sha256:…``. Too many rather than too few."""
    if isinstance(value, str):
        digest = value.removeprefix("sha256:")
        if is_digest(digest):
            yield digest
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from digests_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from digests_in(part)


def is_ref_name(text: str) -> bool:
    """Whether a text can name a reference."""
    return _REF_NAME.fullmatch(text) is not None


def artifact_path(digest: str) -> str:
    """Where an artifact lies below its store's root.

    Raises:
        ArtifactError: not a digest.
    """
    if not is_digest(digest):
        raise ArtifactError(f"{digest[:80]!r} is no SHA-256 digest")
    return f"sha256/{digest[:2]}/{digest}"


def ref_path(name: str) -> str:
    """Where a reference lies below its store's root.

    Raises:
        ArtifactError: not a name.
    """
    if not is_ref_name(name):
        raise ArtifactError(f"{name[:120]!r} is no name of a reference")
    return f"refs/{name}.json"


def encode_ref(value: dict[str, Any]) -> bytes:
    """A reference as it is kept."""
    return json.dumps(value, sort_keys=True).encode()


def decode_ref(content: bytes, place: object) -> dict[str, Any]:
    """A reference as it was written.

    Raises:
        RefUnreadable: no JSON object; names its place.
    """
    try:
        value = json.loads(content)
    except ValueError as e:
        raise RefUnreadable(f"{place} is no JSON: delete it and run again") from e
    if not isinstance(value, dict):
        raise RefUnreadable(f"{place} is no JSON object: delete it and run again")
    return value
