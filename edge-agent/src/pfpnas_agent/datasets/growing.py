"""Files that grow in pieces: work that ends in the midst of it, however it ends, goes on where its last piece ended."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from pfpnas_agent.datasets.errors import DataError

PIECE_SECONDS = 5.0
"""How much work is lost at most when a process is killed."""

MOST_PIECE_BYTES = 16 * 2**20
"""Memory of a piece that isn't written yet."""

Progress = Callable[[int, int], None]
"""Told after each piece: rows that are there, and rows in all."""


def quiet(done: int, total: int) -> None:
    """Tell nobody."""


def grown(
    path: Path, rows: Callable[[int], Iterator[bytes]], *, row_bytes: int, total: int, progress: Progress = quiet
) -> None:
    """Make a file of `total` rows of `row_bytes`; `rows(start)` yields them from number `start` on.

    A file of another length is damaged and made again. When several processes want the same file, one makes it and the
    others wait.

    Raises:
        DataError: it can't be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        if _is_whole(path, row_bytes * total):
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_whole(path, row_bytes * total):
                return
            done = min(_noted(part), os.fstat(file.fileno()).st_size // row_bytes, total)
            file.truncate(done * row_bytes)
            for piece in _pieces(rows(done)):
                file.write(piece)
                done += len(piece) // row_bytes
                _synchronise(file)
                _note(part, done)
                progress(done, total)
            os.replace(part, path)
            synchronise_folder(path.parent)
    except OSError as e:
        raise DataError(f"{path} can't be written ({e.strerror}): make room in the state directory") from e
    _note_of(part).unlink(missing_ok=True)


def _is_whole(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _pieces(rows: Iterator[bytes]) -> Iterator[bytes]:
    piece, began = bytearray(), time.monotonic()
    for row in rows:
        piece += row
        if len(piece) >= MOST_PIECE_BYTES or time.monotonic() - began >= PIECE_SECONDS:
            yield bytes(piece)
            piece, began = bytearray(), time.monotonic()
    if piece:
        yield bytes(piece)


def _note_of(part: Path) -> Path:
    return part.with_suffix(".rows")


def _noted(part: Path) -> int:
    """Rows that are on the disk for certain; after a power cut a file may be longer than what was written of it."""
    try:
        return int(_note_of(part).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _note(part: Path, done: int) -> None:
    fresh = part.with_suffix(".note")
    fresh.write_text(str(done), encoding="ascii")
    os.replace(fresh, _note_of(part))


def _synchronise(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def synchronise_folder(folder: Path) -> None:
    """A renamed file is only there after a power cut when its folder was synchronised too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
