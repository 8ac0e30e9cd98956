"""What the in-memory world is made of: a stream as Redis has it, a Job's process, an agent."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pfpnas_api.bus import Queued
from pfpnas_api.messages import BuildRequest, FailureReason, MeasureResult, MeasureTask
from pfpnas_operator.reconcile import JobRequest

Message = BuildRequest | MeasureTask


class Stream:
    """A Redis stream with one consumer group."""

    def __init__(self, first: int) -> None:
        self._next, self._delivered = first, first - 1
        self.messages: dict[int, Message] = {}
        self._holders: dict[int, str] = {}

    @property
    def next_entry(self) -> int:
        return self._next

    def add(self, message: Message) -> None:
        self.messages[self._next] = message
        self._next += 1

    def claim(self, consumer: str) -> tuple[int, Message] | None:
        """What this consumer holds already, else the next that nobody was given."""
        held = [entry for entry, holder in self._holders.items() if holder == consumer and entry in self.messages]
        fresh = [entry for entry in self.messages if entry > self._delivered]
        if not held and not fresh:
            return None
        entry = min(held or fresh)
        self._holders[entry] = consumer
        self._delivered = max(self._delivered, entry)
        return entry, self.messages[entry]

    def acknowledge(self, entry: int) -> None:
        self._holders.pop(entry, None)

    def drop(self, entry: str) -> None:
        self.messages.pop(int(entry), None)
        self._holders.pop(int(entry), None)

    def queued(self) -> list[tuple[Queued, Message]]:
        return [(Queued(str(entry), b"", *self._state(entry)), message) for entry, message in self.messages.items()]

    def _state(self, entry: int) -> tuple[Any, str | None]:
        if entry in self._holders:
            return "Claimed", self._holders[entry]
        return ("Answered" if entry <= self._delivered else "Waiting"), None


@dataclass
class Process:
    """A Job's process."""

    request: JobRequest
    since: datetime
    code: int | None = None
    steps: int = 0
    building: tuple[int, BuildRequest] | None = None


@dataclass
class Agent:
    """An agent: what it holds is lost when it dies, its journal is not."""

    name: str
    alive: bool = True
    refuses: FailureReason | None = None
    """What it answers to whatever it is asked."""
    stuck: bool = False
    """Its heart beats, and it takes nothing."""
    shared: bool = False
    """Another search keeps it busy: it is never seen idle."""
    holding: tuple[int, MeasureTask] | None = None
    result: MeasureResult | None = None
    sent: bool = False
    journal: dict[str, MeasureResult] = field(default_factory=dict)

    def die(self) -> None:
        self.alive, self.holding, self.result, self.sent = False, None, None, False
