"""Which suggestions a log asks for, and what they are: a pure function of seed and log."""

from collections.abc import Iterable, Iterator, Mapping

from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.spaces import Architecture
from pfpnas_workloads.tuning.ledger import Ledger
from pfpnas_workloads.tuning.propose import Proposer


class Answers:
    """Answers to one log, from its start.

    An index is answered from what the log held up to the entry that asked for it, so that a tuner that was away, or
    reads in other batches, suggests the same.

    Args:
        proposer: Makes the suggestions.
        made: Suggestions that are there already, by index.
        checkpoint: Digest of the weights that are searched; accuracies of other ones are stale.
    """

    def __init__(self, proposer: Proposer, *, made: Mapping[int, Suggestion], checkpoint: str | None = None) -> None:
        self._proposer, self._made = proposer, dict(made)
        self._ledger = Ledger(proposer.tuner.space, checkpoint=checkpoint)
        self._asked = 0
        self._started: dict[int, str] = {}
        self._known: set[Architecture] = set()

    def to(self, entries: Iterable[LogEntry]) -> Iterator[Suggestion]:
        """The suggestions that further entries of the log ask for, in order, each of which counts as made."""
        entries = list(entries)
        for entry in entries:
            self._foresee(entry)
        for entry in entries:
            if entry.event == "Ask":
                yield from self._up_to(entry.count or 0)
            else:
                self._ledger.add(entry)

    def _foresee(self, entry: LogEntry) -> None:
        """Note what is tried, also behind the entry that asks: it must not be proposed again."""
        architecture = self._ledger.architecture(entry.architecture)
        if entry.event != "Ask" and architecture is not None:
            self._known.add(architecture)
            if entry.index is not None:
                self._started[entry.index] = architecture.id

    def _up_to(self, count: int) -> Iterator[Suggestion]:
        for index in range(self._asked, count):
            self._asked = index + 1
            text = self._answered(index)
            if text is None and index not in self._made:
                suggestion = self._once(self._proposer.suggestion(index, self._ledger.history, self._known))
                self._made[index] = suggestion
                text = suggestion.architecture
                yield suggestion
            architecture = self._ledger.architecture(text)
            if architecture is not None:
                self._known.add(architecture)
                self._ledger.expect(index, architecture)

    def _once(self, suggestion: Suggestion) -> Suggestion:
        """Without how good the predictors are, unless it is the first suggestion since they were fitted."""
        told = {made.predictor.labels for made in self._made.values() if made.predictor}
        if suggestion.predictor is None or suggestion.predictor.labels not in told:
            return suggestion
        return suggestion.model_copy(update={"predictor": None})

    def _answered(self, index: int) -> str | None:
        """What was suggested for an index: as its trial says, or else as the stream of suggestions does."""
        made = self._made.get(index)
        return self._started.get(index) or (made.architecture if made else None)
