"""The state directory: who this agent is, and the lock that keeps a second one out."""

import fcntl
import os
import re
import secrets
import shutil
from pathlib import Path

from pfpnas_api.artifacts import ArtifactError, write_atomically

_AGENT_ID = re.compile(r"[0-9a-f]{16}")


class StateError(Exception):
    """The state directory can't be used; the message says why and what to do."""


class StateDir:
    """A directory that only its owner may read: id, journal, models, caches, and work under way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = root / "journal"
        self.models = root / "models"
        self.cache = root / "cache"
        self.work = root / "work"
        self._lock: int | None = None

    def make(self) -> None:
        """Make the directories, closed to everybody else.

        Raises:
            StateError: they can't be made.
        """
        try:
            for path in (self.root, self.journal, self.models, self.cache, self.work):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.root.chmod(0o700)
        except OSError as e:
            raise unusable(self.root, e) from e

    def lock(self) -> None:
        """Keep the directory to this process until it ends, and clear what an earlier one left half done.

        Raises:
            StateError: another agent uses it, or it can't be used.
        """
        try:
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            leftovers = list(self.work.iterdir())
        except OSError as e:
            raise unusable(self.root, e) from e
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            os.close(handle)
            raise StateError(f"another agent uses {self.root}: give each its own stateDir (or --state)") from e
        self._lock = handle
        for left in leftovers:
            shutil.rmtree(left, ignore_errors=True)

    def agent_id(self) -> str:
        """A random id made once; it says nothing about the device.

        Raises:
            StateError: it can't be read or written.
        """
        path = self.root / "agent-id"
        try:
            found = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        except OSError as e:
            raise unusable(self.root, e) from e
        if _AGENT_ID.fullmatch(found):
            return found
        made = secrets.token_hex(8)
        try:
            write_atomically(path, made.encode())
        except ArtifactError as e:
            raise StateError(str(e)) from e
        return made


def unusable(root: Path, error: OSError) -> StateError:
    """What to tell of a part of the state directory that the system refuses."""
    where = error.filename or root
    return StateError(f"stateDir: {where} can't be used ({error.strerror}): let the agent's user write there")
