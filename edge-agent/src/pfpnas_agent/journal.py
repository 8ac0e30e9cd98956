"""What this agent measured, on its own disk: a finished result outlives a crash and is sent, not measured again."""

import contextlib
import os
from pathlib import Path

from pfpnas_agent.state import unusable
from pfpnas_api.artifacts import write_atomically
from pfpnas_api.messages import MeasureResult, MessageError

MOST_ENTRIES = 4096
"""Results kept after they were sent, the newest; one is some 300 bytes."""


class Journal:
    """One file a result. Unsent ones lie in `unsent`; a figure that was sent is kept in `sent` for a task that comes
    again. A failure is forgotten once it was sent: what failed once (device away, alias unknown) may work next time.

    Raises:
        StateError: its folders can't be used.
    """

    def __init__(self, root: Path, *, most: int = MOST_ENTRIES) -> None:
        self._unsent, self._sent, self._most = root / "unsent", root / "sent", most
        try:
            for folder in (self._unsent, self._sent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.listdir(folder)
        except OSError as e:
            raise unusable(root, e) from e

    def record(self, result: MeasureResult) -> None:
        """Keep a result; on disk when this returns.

        Raises:
            ArtifactError: it can't be written.
        """
        write_atomically(self._unsent / f"{result.task_id}.json", result.encode())
        _sync(self._unsent)

    def find(self, task_id: str) -> MeasureResult | None:
        """The result of a task, sent or not, or None."""
        return _read(self._unsent / f"{task_id}.json") or _read(self._sent / f"{task_id}.json")

    def unsent(self) -> list[MeasureResult]:
        """Results that were never acknowledged as sent, oldest first."""
        return [result for path in _by_age(self._unsent) if (result := _read(path)) is not None]

    def kept(self) -> list[MeasureResult]:
        """Every result on disk, oldest first, unsent ones last."""
        sent = [result for path in _by_age(self._sent) if (result := _read(path)) is not None]
        return sent + self.unsent()

    def mark_sent(self, result: MeasureResult) -> None:
        """Note that a result lies in Redis."""
        path = self._unsent / f"{result.task_id}.json"
        with contextlib.suppress(FileNotFoundError):
            if result.failure is None:
                os.replace(path, self._sent / path.name)
            else:
                path.unlink()
        for old in _by_age(self._sent)[: -self._most]:
            old.unlink(missing_ok=True)


def _read(path: Path) -> MeasureResult | None:
    try:
        return MeasureResult.decode(path.read_bytes())
    except (OSError, MessageError):
        return None


def _by_age(folder: Path) -> list[Path]:
    entries = [entry for entry in os.scandir(folder) if entry.name.endswith(".json")]
    entries.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
    return [Path(entry.path) for entry in entries]


def _sync(folder: Path) -> None:
    """A renamed file is only there after a power cut when its folder was synchronised too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
