"""Long-lived child processes: each with a log and a record by which a later run knows it for its own."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

STOP_SECONDS = 15.0
"""After that a process is killed."""


def start(name: str, command: Sequence[str | Path], folder: Path, *, env: dict[str, str] | None = None) -> None:
    """Start a process in a session of its own (it outlives this one), log to `NAME.log`, record to `NAME.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [str(part) for part in command]
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    streams = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate((null, log, log))]
    closed = [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inherited()]
    # Not subprocess.Popen: its object complains when it is dropped while the process runs on, as it shall here.
    pid = os.posix_spawnp(words[0], words, {**os.environ, **(env or {})}, file_actions=[*streams, *closed], setsid=True)
    os.close(log)
    os.close(null)
    record = {"pid": pid, "started": started(pid), "command": words}
    (folder / f"{name}.json").write_text(json.dumps(record))


def running(name: str, folder: Path) -> int | None:
    """Process id of the recorded process, if it is still that one: an id may have gone to another since."""
    try:
        record = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    pid = int(record["pid"])
    return pid if record["started"] is not None and started(pid) == record["started"] else None


def recorded(folder: Path) -> list[str]:
    """Names of all processes ever started here."""
    return sorted(path.stem for path in folder.glob("*.json"))


def stop(name: str, folder: Path) -> None:
    """End the recorded process, politely at first; nothing when it is gone."""
    pid = running(name, folder)
    if pid is not None:
        end([pid])
    (folder / f"{name}.json").unlink(missing_ok=True)


def end(pids: Iterable[int], *, politely: bool = True) -> None:
    """End these processes and wait until they are gone; those that don't go are killed."""
    known = {pid: started(pid) for pid in pids}
    _signal(known, signal.SIGTERM if politely else signal.SIGKILL)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(known) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(known, signal.SIGKILL)
    while _alive(known) and time.monotonic() < deadline + STOP_SECONDS:
        time.sleep(0.05)


def tail(name: str, folder: Path, lines: int = 15) -> str:
    """The last lines of a process's log."""
    try:
        return "\n".join((folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def started(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when there is none or it is only waiting to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def children() -> dict[int, list[int]]:
    """All processes' children by parent."""
    tree: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            tree.setdefault(parent, []).append(int(path.parent.name))
    return tree


def with_descendants(pids: Iterable[int]) -> list[int]:
    """These processes and all below them."""
    tree = children()
    found = list(pids)
    for pid in found:  # grows while it is walked
        found += tree.get(pid, [])
    return found


def _inherited() -> list[int]:
    """Files that this process was given and would pass on, such as a lock that its caller holds."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists the folder is gone by now
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _alive(known: dict[int, str | None]) -> list[int]:
    return [pid for pid, begin in known.items() if begin is not None and started(pid) == begin]


def _signal(known: dict[int, str | None], number: signal.Signals) -> None:
    for pid in _alive(known):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(ChildProcessError):  # reap it when it is our own child
            os.waitpid(pid, os.WNOHANG)
