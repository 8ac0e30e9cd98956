"""Taking an artifact in: written beside, its digest checked, then renamed; nothing half can be left to see."""

import asyncio
import errno
import hashlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import web
from aiohttp.streams import StreamReader

from pfpnas_api.artifacts import FolderStore

STALL_SECONDS: Final = 60.0
"""Without a byte from the sender: it is gone, and its connection may stay open for ever."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a disk without room."""


class Receiver:
    """Where artifacts arrive.

    Args:
        store: Where they go.
        max_bytes: Of one artifact.
    """

    def __init__(self, store: FolderStore, *, max_bytes: int) -> None:
        self._store, self._max_bytes = store, max_bytes
        self._folder = store.root / "incoming"

    def prepare(self) -> None:
        """Make the folder, and clear away what a killed server has left half.

        Raises:
            OSError: it can't be made or written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in (*self._folder.iterdir(), *(self._store.root / "refs").glob(".tmp-*")):
            left.unlink()
        self.check()

    def check(self) -> None:
        """Raises OSError where no file can be made; a full disk is no reason, since it can still be read."""
        probe = self._folder / f"probe-{secrets.token_hex(8)}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as e:
            if e.errno not in FULL:
                raise

    async def receive(self, digest: str, content: StreamReader, *, length: int | None) -> bool:
        """Keep what arrives under the digest; whether it was there already, put meanwhile by another sender perhaps.

        Raises:
            web.HTTPException: too large, another digest, or the sender has stopped.
            OSError: it can't be written.
        """
        self._admit(length)
        temporary = self._folder / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                found = await _write(file, content)
            if found != digest:
                raise web.HTTPBadRequest(text=f"what arrived has digest {found}, not {digest}")
            target = self._store.path(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            there = target.exists()  # asked here, since others may have sent it too: one of them alone finds it missing
            temporary.replace(target)
            return there
        finally:
            temporary.unlink(missing_ok=True)

    def _admit(self, length: int | None) -> None:
        """Refuse before the first byte what can't end well."""
        if length is None:
            raise web.HTTPLengthRequired(text="say how long it is, by Content-Length")
        if length > self._max_bytes:
            text = f"{length} bytes are more than an artifact may have here ({self._max_bytes})"
            raise web.HTTPRequestEntityTooLarge(max_size=self._max_bytes, actual_size=length, text=text)
        room = free_bytes(self._folder)
        if length > room:
            raise web.HTTPInsufficientStorage(text=f"{length} bytes don't fit into the {room} that are left")


def free_bytes(folder: Path) -> int:
    """Room on the folder's disk that this process may use."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


async def _write(file: BinaryIO, content: StreamReader) -> str:
    """The digest of what has arrived; all of it is on the disk then."""
    digest = hashlib.sha256()

    def keep(piece: bytes) -> None:
        digest.update(piece)
        file.write(piece)

    def flush() -> None:
        file.flush()
        os.fsync(file.fileno())

    while piece := await _next(content):
        await asyncio.to_thread(keep, piece)  # other requests go on meanwhile
    await asyncio.to_thread(flush)
    return digest.hexdigest()


async def _next(content: StreamReader) -> bytes:
    """Some bytes; none at the end."""
    try:
        async with asyncio.timeout(STALL_SECONDS):
            return await content.readany()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"nothing has arrived for {STALL_SECONDS:.0f} s") from None
