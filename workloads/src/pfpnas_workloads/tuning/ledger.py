"""What follows from the tuner's log: which trials there are, and how they ended."""

from collections.abc import Sequence

from pfpnas_api.messages import LogEntry
from pfpnas_api.spaces import Architecture, ArchitectureError, SearchSpace
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning.losses import loss_of


class Ledger:
    """The trials of a log, read from its start up to some entry; entries that come twice change nothing.

    A trial is known by its index; one by hand, which has none, by its architecture. What is no architecture of the
    space is passed over.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials: dict[int | str, Observation] = {}

    def add(self, entry: LogEntry) -> None:
        """Take in what a `Started` or `Finished` entry says."""
        key, architecture = self._key(entry), self.architecture(entry.architecture)
        known = self._trials.get(key) if key is not None else None
        architecture = architecture or (known.architecture if known else None)
        if key is None or architecture is None or entry.event == "Ask":
            return
        if entry.event == "Finished":
            self._trials[key] = Observation(architecture, loss_of(entry))
        else:
            self._trials.setdefault(key, Observation(architecture))

    def expect(self, index: int, architecture: Architecture) -> None:
        """Count a suggestion as under way: it will be started."""
        self._trials.setdefault(index, Observation(architecture))

    @property
    def history(self) -> Sequence[Observation]:
        """All trials, in the order in which they became known."""
        return tuple(self._trials.values())

    def architecture(self, text: str | None) -> Architecture | None:
        """The architecture of an id, if it is one of the space."""
        try:
            return None if text is None else self._space.parse(text)
        except ArchitectureError:
            return None

    @staticmethod
    def _key(entry: LogEntry) -> int | str | None:
        return entry.architecture if entry.index is None else entry.index
