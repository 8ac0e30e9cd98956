"""What is known of Redis' content between two looks, and forgotten with it."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from pfpnas_api.bus import Queued
from pfpnas_api.kinds import PredictorStatus, Trial
from pfpnas_api.messages import Heartbeat, LogEntry, Suggestion
from pfpnas_operator.reconcile import Lease, LogView, ResultView
from pfpnas_operator.reconcile.willing import AGENTS_REASONS


@dataclass(kw_only=True)
class Road:
    """What is known of Redis' content between two looks, and forgotten with it."""

    started: set[str] = field(default_factory=set)
    """Names of the trials that the tuner's log tells of."""
    finished: set[str] = field(default_factory=set)
    """Of those it tells how they ended."""
    told: int = 0
    """So many of the finished trials, from the first on, were told: only the rest is looked through in every cycle."""
    asked: int = 0
    asked_at: datetime | None = None
    appended: int = 0
    """Entries written to the tuner's log; fewer there means that Redis lost it."""
    suggestions: dict[int, Suggestion] = field(default_factory=dict)
    predictor: PredictorStatus | None = None
    """The one by the most labels that came with a suggestion."""
    last_suggestion: str = "0"
    refusers: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """Agents that refused a task for what is theirs, and measured none since; why, and when the last time."""
    refusals: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """The answers that were such refusals, by task: agent and entry."""
    words: dict[str, tuple[Heartbeat, datetime]] = field(default_factory=dict)
    """What each agent says, and since when without a break."""
    since: dict[tuple[str, str, str, str | None], datetime] = field(default_factory=dict)
    """When each lease was first seen in its state; of those seen at the last look."""

    @classmethod
    def recalled(cls, log: Sequence[LogEntry], trials: Iterable[Trial], *, now: datetime) -> Self:
        """The road as the tuner's log tells of it: an operator that was restarted goes on where it was.

        The log knows a trial by its index, or (one by hand) by its architecture: of equal ones the first by name.
        """
        road = cls(appended=len(log))
        road.asked = max((entry.count or 0 for entry in log if entry.event == "Ask"), default=0)
        road.asked_at = now if road.asked else None
        # Keys only: ten thousand trials are not to lie in memory at once.
        known = sorted((trial.metadata.name, _known_by(trial.spec.index, trial.spec.architecture)) for trial in trials)
        for event, told in (("Started", road.started), ("Finished", road.finished)):
            left = Counter(_known_by(entry.index, entry.architecture) for entry in log if entry.event == event)
            for name, key in known:
                if left[key]:
                    left[key] -= 1
                    told.add(name)
        return road

    def note_log(self, entries: Iterable[LogEntry], told: Mapping[str, str], *, now: datetime) -> None:
        """Keep what was appended to the tuner's log."""
        for entry in entries:
            self.appended += 1
            if entry.event == "Ask" and (entry.count or 0) > self.asked:
                self.asked, self.asked_at = entry.count or 0, now
        self.started.update(told)
        self.finished.update(name for name, state in told.items() if state == "Finished")

    def note_suggestion(self, entry: str, suggestion: Suggestion) -> None:
        """Keep what the tuner suggested, the first time of an index, and what it says of its predictors."""
        self.suggestions.setdefault(suggestion.index, suggestion)
        self.last_suggestion = entry
        said, known = suggestion.predictor, self.predictor
        if said is not None and (known is None or said.labels >= known.labels):
            self.predictor = said

    def note_answers(self, results: Mapping[str, Sequence[ResultView]], *, now: datetime) -> None:
        """Keep who refuses this experiment's tasks; who takes one, with whatever result, refuses no longer."""
        for task_id, answers in results.items():
            for answer in answers:
                if answer.result.failure in AGENTS_REASONS:
                    self.refusers[answer.agent] = answer.result.failure, now
                    self.refusals.setdefault(task_id, set()).add((answer.agent, answer.entry))
                else:
                    self.refusers.pop(answer.agent, None)
                    self.refusals.pop(task_id, None)

    def refusing(self, agents: Container[str]) -> dict[str, str]:
        """Those of some agents that refuse; one that is not among them may have another mind when it is back."""
        self.refusers = {agent: refusal for agent, refusal in self.refusers.items() if agent in agents}
        return {agent: why for agent, (why, _) in self.refusers.items()}

    def refused_ago(self, now: datetime) -> dict[str, timedelta]:
        """How long ago each of those that refuse did so last."""
        return {agent: now - last for agent, (_, last) in self.refusers.items()}

    def note_agents(self, agents: Mapping[str, Heartbeat], *, now: datetime) -> None:
        """Keep what agents say; one that says something else, or was not heard meanwhile, begins anew."""
        same = {agent: known for agent, known in self.words.items() if known[0] == agents.get(agent)}
        self.words = {agent: (says, now) for agent, says in agents.items()} | same

    def said_for(self, now: datetime) -> dict[str, timedelta]:
        """How long each agent has said what it says."""
        return {agent: now - since for agent, (_, since) in self.words.items()}

    def untold(self, finished: Sequence[Trial]) -> tuple[Trial, ...]:
        """Finished trials whose end the tuner's log lacks; what was told once is not looked at again."""
        while self.told < len(finished) and finished[self.told].metadata.name in self.finished:
            self.told += 1
        return tuple(trial for trial in finished[self.told :] if trial.metadata.name not in self.finished)

    def leases(self, stream: str, queued: Iterable[Queued], now: datetime) -> list[Lease]:
        """The entries of a stream, each with the time at which its state was first seen."""
        keyed = [((stream, one.entry, one.state, one.consumer), one) for one in queued]
        seen = {key: self.since.get(key, now) for key, _ in keyed}
        self.since = {key: moment for key, moment in self.since.items() if key[0] != stream} | seen
        return [Lease(entry=one.entry, state=one.state, since=seen[key], consumer=one.consumer) for key, one in keyed]

    def reanchor(self, now: datetime) -> None:
        """After an outage: nobody could answer while Redis was away, so every deadline begins anew."""
        self.since.clear()
        self.words.clear()
        if self.asked_at is not None:
            self.asked_at = now

    def view(self) -> LogView:
        """The log as a decision sees it; its sets are not copied, since they grow with the trials."""
        return LogView(asked=self.asked, asked_at=self.asked_at, started=self.started, finished=self.finished)


def _known_by(index: int | None, architecture: str | None) -> int | str:
    return architecture or "" if index is None else index
