"""The store as a bucket of an object store, by fsspec."""

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pfpnas_api.artifacts.base import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    RefUnreadable,
    artifact_path,
    decode_ref,
    digests_in,
    encode_ref,
    is_digest,
    is_ref_name,
    ref_path,
)
from pfpnas_api.artifacts.opening import provider_options
from pfpnas_api.kinds.common import ArtifactRef

FRESH: Final = timedelta(minutes=30)
"""An artifact that was put so long ago is put again rather than skipped, which renews its age: half of the sweep's
grace, so that what a job counts on is not swept before its reference is written."""

AT_ONCE: Final = 200
"""References read at a time: each may be a megabyte."""

SETTLED: Final = timedelta(minutes=1)
"""A reference that was written so long ago is remembered by what its listing says of it: a younger one may be written
again without its size and time, in whole seconds, telling."""

_MODIFIED: Final = ("LastModified", "last_modified", "mtime", "created")
"""Where the file systems of S3, Azure and Google, and others, say when an object was written."""


class FsspecStore(ArtifactStore):
    """The store below a prefix of a bucket, laid out as the folder is. A PUT of an object store is atomic.

    Args:
        address: ``s3://bucket/prefix``, ``gs://…``, ``abfs://container@account.dfs.core.windows.net/…``.
        package: What speaks to it, as a remedy where it isn't installed.

    Raises:
        ArtifactError: fsspec or the provider's package isn't installed, or the address is no good.
    """

    def __init__(self, address: str, *, package: str) -> None:
        self.address = address.rstrip("/")
        try:
            core = importlib.import_module("fsspec.core")
            # Others write too: what a listing said a moment ago doesn't hold. And the environment says where and who,
            # which fsspec's cache of file systems doesn't look at.
            options = {"use_listings_cache": False, "skip_instance_cache": True, **provider_options(address)}
            self._files, root = core.url_to_fs(self.address, **options)
        except ImportError as e:
            raise ArtifactError(f"artifact store {address}: needs pip install {package} ({e})") from e
        except Exception as e:  # each provider's package has exceptions of its own
            raise ArtifactError(f"artifact store {address}: {e}") from e
        self._root = root.rstrip("/")
        self._named: dict[str, tuple[str, frozenset[str] | None]] = {}
        """What references name, with the state of each in which it was read."""

    def __str__(self) -> str:
        """Its address."""
        return self.address

    def put(self, content: bytes) -> ArtifactRef:  # noqa: D102
        digest = hashlib.sha256(content).hexdigest()
        place = self._artifact(digest)
        if not self._is_fresh(place, size=len(content)):
            self._write(place, content)
        return ArtifactRef(sha256=digest, size=len(content))

    def get(self, digest: str) -> bytes:  # noqa: D102
        content = self._read(self._artifact(digest))
        if content is None:
            raise ArtifactMissing(f"no artifact {digest} in {self.address}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArtifactDamaged(f"artifact {digest} in {self.address} is damaged: delete it there and run again")
        return content

    def has(self, digest: str) -> bool:  # noqa: D102
        return self._info(self._artifact(digest)) is not None

    def delete(self, digest: str, *, unmodified_since: datetime | None = None) -> None:  # noqa: D102
        place = self._artifact(digest)
        info = None if unmodified_since is None else self._info(place)
        if info is not None and unmodified_since is not None and _modified(info) > unmodified_since:
            return
        self._remove(place)

    def digests(self) -> Iterator[tuple[str, datetime]]:  # noqa: D102
        for place, info in self._below("sha256").items():
            digest = place.rsplit("/", 1)[-1]
            if is_digest(digest):
                yield digest, _modified(info)

    def write_ref(self, name: str, value: dict[str, Any]) -> None:  # noqa: D102
        self._write(self._ref(name), encode_ref(value))

    def delete_ref(self, name: str) -> None:  # noqa: D102
        self._remove(self._ref(name))

    def read_ref(self, name: str) -> dict[str, Any] | None:  # noqa: D102
        place = self._ref(name)
        content = self._read(place)
        return None if content is None else decode_ref(content, f"{place} in {self.address}")

    def read_refs(self, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | RefUnreadable | None]]:
        """Many references, many at a time: one by one each would take a round trip.

        Raises:
            ArtifactError: the store can't be read.
        """
        for start in range(0, len(names), AT_ONCE):
            places = {self._ref(name): name for name in names[start : start + AT_ONCE]}
            with self._doing(f"read references of {self._root}"):
                found: dict[str, bytes | Exception] = self._files.cat(list(places), on_error="return")
                broken = next((one for one in found.values() if _is_broken(one)), None)
                if isinstance(broken, Exception):
                    raise broken
            for place, name in places.items():
                yield name, _decoded(found.get(place), f"{place} in {self.address}")

    def named(self) -> Iterator[tuple[str, frozenset[str] | None]]:
        """Every reference, and the digests that it names; only what is new since the last time is read.

        Raises:
            ArtifactError: the store can't be read.
        """
        young = datetime.now(UTC) - SETTLED
        found = dict(self._refs_below())
        known = {name: named for name, named in self._named.items() if named[0] == _state(found.get(name, {}))}
        for name, value in self.read_refs([name for name in found if name not in known]):
            known[name] = _state(found[name]), _digests(value)
        self._named = {name: named for name, named in known.items() if _modified(found[name]) < young}
        for name, (_, digests) in known.items():
            yield name, digests

    def refs(self, prefix: str = "") -> Iterator[str]:  # noqa: D102
        for name, _ in self._refs_below():
            if name.startswith(prefix):
                yield name

    def _refs_below(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for place, info in self._below("refs").items():
            file = place.rsplit("/", 1)[-1]
            name = file.removesuffix(".json")
            if name != file and is_ref_name(name):
                yield name, info

    def _artifact(self, digest: str) -> str:
        return f"{self._root}/{artifact_path(digest)}"

    def _ref(self, name: str) -> str:
        return f"{self._root}/{ref_path(name)}"

    def _write(self, place: str, content: bytes) -> None:
        try:
            with self._doing(f"write {place}"):
                self._files.pipe_file(place, content)
        except FileNotFoundError as e:
            raise ArtifactError(f"artifact store {self.address}: can't write {place}: {e}: make the bucket") from e

    def _size(self, digest: str) -> int | None:
        info = self._info(self._artifact(digest))
        return None if info is None else int(info["size"])

    def _range(self, digest: str, start: int, end: int) -> bytes:
        content = self._read(self._artifact(digest), start=start, end=end)
        if content is None:
            raise ArtifactMissing(f"no artifact {digest} in {self.address}")
        return content

    def _read(self, place: str, *, start: int | None = None, end: int | None = None) -> bytes | None:
        try:
            with self._doing(f"read {place}"):
                content: bytes = self._files.cat_file(place, start=start, end=end)
        except FileNotFoundError:
            return None
        return content

    def _remove(self, place: str) -> None:
        try:
            with self._doing(f"delete {place}"):
                self._files.rm_file(place)
        except FileNotFoundError:
            return

    def _info(self, place: str) -> dict[str, Any] | None:
        try:
            with self._doing(f"look for {place}"):
                info: dict[str, Any] = self._files.info(place)
        except FileNotFoundError:
            return None
        return info if info.get("type") == "file" else None

    def _is_fresh(self, place: str, *, size: int) -> bool:
        info = self._info(place)
        return info is not None and info.get("size") == size and datetime.now(UTC) - _modified(info) < FRESH

    def _below(self, folder: str) -> dict[str, dict[str, Any]]:
        try:
            with self._doing(f"list {self._root}/{folder}"):
                found: dict[str, dict[str, Any]] = self._files.find(f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        return dict(sorted(found.items()))

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        """Turns each provider's exceptions into ours; those for what isn't there pass."""
        try:
            yield
        except FileNotFoundError:
            raise
        except PermissionError as e:
            raise ArtifactError(f"artifact store {self.address}: may not {what}: give its credentials the right") from e
        except Exception as e:
            raise ArtifactError(f"artifact store {self.address}: can't {what}: {e}") from e


def _is_broken(found: bytes | Exception) -> bool:
    return isinstance(found, Exception) and not isinstance(found, FileNotFoundError)


def _decoded(content: bytes | Exception | None, place: str) -> dict[str, Any] | RefUnreadable | None:
    if not isinstance(content, bytes):
        return None
    try:
        return decode_ref(content, place)
    except RefUnreadable as e:
        return e


def _digests(value: dict[str, Any] | RefUnreadable | None) -> frozenset[str] | None:
    return None if isinstance(value, RefUnreadable) else frozenset(digests_in(value))


def _state(info: dict[str, Any]) -> str:
    """What changes with an object's content, as its listing says."""
    return repr([info.get(key) for key in ("ETag", "etag", "size", *_MODIFIED)])


def _modified(info: dict[str, Any]) -> datetime:
    found = next((info[key] for key in _MODIFIED if info.get(key) is not None), 0.0)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, int | float):
        found = datetime.fromtimestamp(found, UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
