"""What follows from the tuner's log: which trials there are, and how they ended."""

from collections.abc import Sequence

from pfpnas_api.messages import LogEntry
from pfpnas_api.spaces import Architecture, ArchitectureError, SearchSpace
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning.figures import excess, fraction_or_none, milliseconds_or_none, plausible_ratios
from pfpnas_workloads.tuning.losses import loss_of


class Ledger:
    """The trials of a log, read from its start up to some entry; entries that come twice change nothing.

    A trial is known by its index; one by hand, which has none, by its architecture. What is no architecture of the
    space is passed over.

    Args:
        space: That is searched.
        checkpoint: Digest of the weights that are searched: accuracies of other ones are stale. None: all count.
    """

    def __init__(self, space: SearchSpace, *, checkpoint: str | None = None) -> None:
        self._space, self._checkpoint = space, checkpoint
        self._under_way: dict[int | str, Observation] = {}
        self._ended: dict[int | str, Observation] = {}

    def add(self, entry: LogEntry) -> None:
        """Take in what a `Started` or `Finished` entry says."""
        key, architecture = self._key(entry), self.architecture(entry.architecture)
        known = self._ended.get(key) or self._under_way.get(key) if key is not None else None
        architecture = architecture or (known.architecture if known else None)
        if key is None or architecture is None or entry.event == "Ask":
            return
        if entry.event == "Finished":
            self._under_way.pop(key, None)
            self._ended[key] = self._result(architecture, entry)
        elif known is None:
            self._under_way[key] = Observation(architecture)

    def expect(self, index: int, architecture: Architecture) -> None:
        """Count a suggestion as under way: it will be started."""
        if index not in self._ended:
            self._under_way.setdefault(index, Observation(architecture))

    @property
    def history(self) -> Sequence[Observation]:
        """The results in the order in which they came, then the trials under way in the order of their beginning."""
        return (*self._ended.values(), *self._under_way.values())

    def architecture(self, text: str | None) -> Architecture | None:
        """The architecture of an id, if it is one of the space."""
        try:
            return None if text is None else self._space.parse(text)
        except ArchitectureError:
            return None

    def _result(self, architecture: Architecture, entry: LogEntry) -> Observation:
        loss = loss_of(entry)
        if entry.outcome not in ("Scored", "Infeasible"):
            return Observation(architecture, loss)
        return Observation(
            architecture,
            loss,
            accuracy=None if self._is_stale(entry) else fraction_or_none(entry.accuracy),
            latency_ms=milliseconds_or_none(entry.latency_ms),
            reference_ms=milliseconds_or_none(entry.reference_ms),
            ratios=plausible_ratios(entry.ratios.items()),
            violation=excess(entry.violation),
            stale=self._is_stale(entry),
        )

    def _is_stale(self, entry: LogEntry) -> bool:
        return self._checkpoint is not None and entry.checkpoint is not None and entry.checkpoint != self._checkpoint

    @staticmethod
    def _key(entry: LogEntry) -> int | str | None:
        return entry.architecture if entry.index is None else entry.index
