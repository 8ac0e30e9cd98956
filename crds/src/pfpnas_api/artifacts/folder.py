"""The store as a folder, and files that are written whole or not at all."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pfpnas_api.artifacts.base import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    artifact_path,
    decode_ref,
    encode_ref,
    is_digest,
    is_ref_name,
    ref_path,
)
from pfpnas_api.kinds.common import ArtifactRef


class FolderStore(ArtifactStore):
    """The store as a folder: ``sha256/ab/abcdef…`` and ``refs/<name>.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        """Its path."""
        return str(self.root)

    def path(self, digest: str) -> Path:
        """Where an artifact lies.

        Raises:
            ArtifactError: not a digest.
        """
        return self.root / artifact_path(digest)

    def put(self, content: bytes) -> ArtifactRef:  # noqa: D102
        digest = hashlib.sha256(content).hexdigest()
        target = self.path(digest)
        if _holds(target, content):
            self.touch(digest)
        else:
            write_atomically(target, content)
        return ArtifactRef(sha256=digest, size=len(content))

    def touch(self, digest: str) -> bool:
        """Mark an artifact as put just now, which keeps it from a sweep that is under way; False if it isn't there."""
        try:
            os.utime(self.path(digest))
        except OSError:
            return False
        return True

    def get(self, digest: str) -> bytes:  # noqa: D102
        content = self._read(digest)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArtifactDamaged(f"artifact {digest} is damaged: delete {self.path(digest)} and run again")
        return content

    def _size(self, digest: str) -> int | None:
        path = self.path(digest)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as e:
            raise ArtifactError(f"can't read {path}: {e.strerror or e}") from e

    def _range(self, digest: str, start: int, end: int) -> bytes:
        return self._read(digest, start=start, length=end - start)

    def _read(self, digest: str, *, start: int = 0, length: int = -1) -> bytes:
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        except FileNotFoundError as e:
            raise ArtifactMissing(f"no artifact {digest} in {self.root}") from e
        except OSError as e:
            raise ArtifactError(f"can't read {path}: {e.strerror or e}") from e

    def has(self, digest: str) -> bool:  # noqa: D102
        return self.path(digest).exists()

    def delete(self, digest: str, *, unmodified_since: datetime | None = None) -> None:  # noqa: D102
        path = self.path(digest)
        try:
            newer = unmodified_since is not None and _modified(path) > unmodified_since
        except OSError:
            return  # not there
        if not newer:
            _delete(path)

    def digests(self, *, after: str = "") -> Iterator[tuple[str, datetime]]:
        """Every artifact in the order of its digest, and when it was last put.

        Args:
            after: Only digests that come after this one.

        Raises:
            ArtifactError: the folder can't be read.
        """
        for shard in _names(self.root / "sha256"):
            if shard < after[:2]:
                continue
            for digest in _names(self.root / "sha256" / shard):
                if digest > after and is_digest(digest):
                    with contextlib.suppress(FileNotFoundError):  # deleted since
                        yield digest, _modified(self.path(digest))

    def write_ref(self, name: str, value: dict[str, Any]) -> None:  # noqa: D102
        write_atomically(self.root / ref_path(name), encode_ref(value))

    def delete_ref(self, name: str) -> None:  # noqa: D102
        _delete(self.root / ref_path(name))

    def read_ref(self, name: str) -> dict[str, Any] | None:  # noqa: D102
        path = self.root / ref_path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as e:
            raise ArtifactError(f"can't read {path}: {e.strerror or e}") from e
        return decode_ref(content, path)

    def refs(self, prefix: str = "") -> Iterator[str]:
        """The names of the references that begin so, in their order.

        Raises:
            ArtifactError: the folder can't be read.
        """
        files = (file for file in _names(self.root / "refs") if file.endswith(".json"))
        # Sorted again: of the files `a.json` comes after `a.checkpoint.json`, of the names `a` before `a.checkpoint`.
        for name in sorted(file.removesuffix(".json") for file in files):
            if name.startswith(prefix) and is_ref_name(name):
                yield name


def _names(folder: Path) -> list[str]:
    """What is in a folder, sorted; nothing if it isn't there."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as e:
        raise ArtifactError(f"can't read {folder}: {e.strerror or e}") from e


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as e:
        raise ArtifactError(f"can't delete {path}: {e.strerror or e}") from e


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


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
