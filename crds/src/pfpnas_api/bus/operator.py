"""The operator's side of the bus: groups, tasks and their leases, results, heartbeats, builds, and the tuner's log."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Literal, TypeVar

from pfpnas_api.bus import keys
from pfpnas_api.bus.connection import (
    FIELD,
    READ_COUNT,
    Client,
    bounded,
    delivered,
    ensure_group,
    entries,
    text,
)
from pfpnas_api.bus.names import AgentKeys
from pfpnas_api.kinds.common import ArtifactRef
from pfpnas_api.messages import (
    Bell,
    BuildRequest,
    Heartbeat,
    LogEntry,
    MeasureResult,
    MeasureTask,
    Message,
    MessageError,
    ModelRef,
    Progress,
    Suggestion,
)

AnyMessage = TypeVar("AnyMessage", bound=Message)


@dataclass(frozen=True)
class Queued:
    """An entry of a work stream (tasks or builds), and who holds it."""

    entry: str
    message: bytes
    state: Literal["Waiting", "Claimed", "Answered"]
    consumer: str | None = None
    """Agent or worker; only while claimed."""


@dataclass(frozen=True)
class Received:
    """A result as it came: valid, or not."""

    agent: str
    entry: str
    result: MeasureResult | None


class OperatorBus:
    """What the operator does in Redis.

    Args:
        client: Of Redis.
        agents: Where agents are found; left out, each question has a look of its own.
    """

    def __init__(self, client: Client, *, agents: AgentKeys | None = None) -> None:
        self._client = client
        self.agent_keys = agents or AgentKeys(client)

    # -- measurements ------------------------------------------------------------------------------------------

    def ensure_pool(self, pool: str) -> None:
        """Make the pool's task stream and group."""
        ensure_group(self._client, keys.tasks(pool), keys.AGENTS_GROUP)

    def agents(self, pool: str) -> dict[str, Heartbeat]:
        """Heartbeats by agent; an unreadable one counts as idle, since its writer lives."""
        prefix = keys.heartbeat(pool, "")
        names = self.agent_keys.heartbeats(pool)
        values = self._client.mget(names) if names else []
        return {
            name.removeprefix(prefix): _heartbeat(value)
            for name, value in zip(names, values, strict=True)
            if value is not None
        }

    def publish_task(self, pool: str, task: MeasureTask) -> None:
        """Put a task on the pool's stream."""
        self._client.xadd(keys.tasks(pool), {FIELD: task.encode()})

    def tasks(self, pool: str) -> list[tuple[Queued, MeasureTask]]:
        """Every task on the pool's stream with its state; entries that are none are deleted."""
        found = []
        for queued in self._queued(keys.tasks(pool), keys.AGENTS_GROUP):
            try:
                found.append((queued, MeasureTask.decode(queued.message)))
            except MessageError:
                self.delete_task(pool, queued.entry)
        return found

    def delete_task(self, pool: str, entry: str) -> None:
        """Take a task off the stream: answered, withdrawn, or about to be issued again."""
        _drop(self._client, keys.tasks(pool), keys.AGENTS_GROUP, entry)

    def results(self, pool: str) -> list[Received]:
        """Results that lie unread on the agents' streams, unreadable ones included; at most 1000 an agent at once."""
        prefix = keys.results(pool, "")
        found = []
        for stream in self.agent_keys.results(pool):
            for entry, fields in self._client.xrange(stream, count=READ_COUNT):
                result = _decoded(MeasureResult, fields)
                found.append(Received(agent=stream.removeprefix(prefix), entry=text(entry), result=result))
        return found

    def delete_result(self, pool: str, received: Received) -> None:
        """Forget a result, after the status that holds it was written."""
        self._client.xdel(keys.results(pool, received.agent), received.entry)

    def delete_answers(self, pool: str, task_ids: Set[str]) -> None:
        """Forget all answers to some tasks, known from the road: an answer may name whatever task it likes."""
        for stream in self.agent_keys.results(pool) if task_ids else ():
            for entry, fields in entries(self._client, stream):
                result = _decoded(MeasureResult, fields)
                if result is not None and result.task_id in task_ids:
                    self._client.xdel(stream, entry)

    def withdraw(self, pool: str, *, experiment: str) -> None:
        """Take an experiment that is gone off a pool: its tasks, and the answers to them before those.

        A task that an agent holds stays until a sweep takes it: else its answer would be one that nobody asked for.
        """
        over = {
            queued.entry: task.task_id
            for queued, task in self.tasks(pool)
            if task.experiment == experiment and queued.state != "Claimed"
        }
        self.delete_answers(pool, set(over.values()))
        for entry in over:
            self.delete_task(pool, entry)

    def delete_chunks(self, pool: str, artifact: ArtifactRef) -> None:
        """Take a candidate away that nobody measures any more; an agent that asks for it all the same says so."""
        chunks = ModelRef.of(artifact).chunks
        self._client.delete(*(keys.blob(pool, artifact.sha256, chunk) for chunk in range(chunks)))

    # -- builds ------------------------------------------------------------------------------------------------

    def ensure_experiment(self, experiment: str) -> None:
        """Make the stream of builds and its group."""
        ensure_group(self._client, keys.builds(experiment), keys.WORKERS_GROUP)

    def publish_build(self, experiment: str, request: BuildRequest) -> None:
        """Put a build on the experiment's stream."""
        self._client.xadd(keys.builds(experiment), {FIELD: request.encode()})

    def builds(self, experiment: str) -> list[tuple[Queued, BuildRequest]]:
        """Every build on the stream with its state; entries that are none are deleted."""
        found = []
        for queued in self._queued(keys.builds(experiment), keys.WORKERS_GROUP):
            try:
                found.append((queued, BuildRequest.decode(queued.message)))
            except MessageError:
                self.delete_build(experiment, queued.entry)
        return found

    def delete_build(self, experiment: str, entry: str) -> None:
        """Take a build off the stream."""
        _drop(self._client, keys.builds(experiment), keys.WORKERS_GROUP, entry)

    # -- the tuner ---------------------------------------------------------------------------------------------

    def append_log(self, experiment: str, messages: Iterable[LogEntry]) -> None:
        """Append to the tuner's log, all or nothing."""
        pipeline = self._client.pipeline(transaction=True)
        for message in messages:
            pipeline.xadd(keys.log(experiment), {FIELD: message.encode()})
        pipeline.execute()

    def log(self, experiment: str, *, after: str = "0") -> list[tuple[str, LogEntry]]:
        """The log's entries after an id, with their ids."""
        return _messages(self._client, keys.log(experiment), LogEntry, after=after)

    def log_length(self, experiment: str) -> int:
        """Entries of the tuner's log; fewer than were written means that Redis lost them."""
        return int(self._client.xlen(keys.log(experiment)))

    def suggestions(self, experiment: str, *, after: str = "0") -> list[tuple[str, Suggestion]]:
        """The tuner's suggestions after an id, with their ids."""
        return _messages(self._client, keys.suggestions(experiment), Suggestion, after=after)

    # -- progress ----------------------------------------------------------------------------------------------

    def progress(self, job: str) -> Progress | None:
        """How far a job is, as it last said."""
        return self.progresses([job]).get(job)

    def progresses(self, jobs: Iterable[str]) -> dict[str, Progress]:
        """How far jobs are, as each last said, in one round trip; those that said nothing readable are left out."""
        asked = list(dict.fromkeys(jobs))
        if not asked:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for job in asked:
            pipeline.hget(keys.progress(job), FIELD.decode())
        read = (
            (job, _decoded(Progress, {FIELD: value or b""}))
            for job, value in zip(asked, pipeline.execute(), strict=True)
        )
        return {job: progress for job, progress in read if progress is not None}

    def forget(self, *, experiment: str) -> None:
        """Remove the streams of an experiment that is gone."""
        self._client.delete(keys.builds(experiment), keys.log(experiment), keys.suggestions(experiment))

    def wait_for_bell(self, *, after: str, block_milliseconds: int, pool: str | None = None) -> tuple[str, list[Bell]]:
        """Block until a workload rings, an agent of the pool has an answer lying there, or for so long.

        Returns:
            The id of the events' stream to go on from ("0" to begin with), and the bells.
        """
        streams = {keys.EVENTS: after}
        if pool is not None:
            # Answers are deleted once they are read, so whatever lies there is new.
            streams.update(dict.fromkeys(self.agent_keys.results(pool), "0"))
        reply = self._client.xread(streams, count=READ_COUNT, block=bounded(block_milliseconds))
        bells = []
        for stream, rung in reply or []:
            for entry, fields in rung if text(stream) == keys.EVENTS else []:
                after = text(entry)
                bell = _decoded(Bell, fields)
                if bell is not None:
                    bells.append(bell)
        return after, bells

    def _queued(self, stream: str, group: str) -> list[Queued]:
        # The group's position is read before its pending entries: what is claimed in between then counts as claimed,
        # or as waiting, but never as answered.
        last = delivered(self._client, stream, group)
        holders = {} if last is None else self._holders(stream, group)
        return [
            _state(entry, fields.get(FIELD, b""), delivered=last or "0-0", consumer=holders.get(entry))
            for entry, fields in entries(self._client, stream)
        ]

    def _holders(self, stream: str, group: str) -> dict[str, str]:
        """Who holds which entry: all of them, page by page."""
        found: dict[str, str] = {}
        start = "-"
        while True:
            page = self._client.xpending_range(stream, group, start, "+", READ_COUNT)
            found.update({text(row["message_id"]): text(row["consumer"]) for row in page})
            if len(page) < READ_COUNT:
                return found
            start = f"({text(page[-1]['message_id'])}"


def _state(entry: str, message: bytes, *, delivered: str, consumer: str | None) -> Queued:
    if consumer is not None:
        return Queued(entry, message, "Claimed", consumer)
    return Queued(entry, message, "Answered" if _order(entry) <= _order(delivered) else "Waiting")


def _messages(client: Client, stream: str, kind: type[AnyMessage], *, after: str) -> list[tuple[str, AnyMessage]]:
    decoded = ((entry, _decoded(kind, fields)) for entry, fields in entries(client, stream, after=after))
    return [(entry, message) for entry, message in decoded if message is not None]


def _decoded(kind: type[AnyMessage], fields: dict[bytes, bytes]) -> AnyMessage | None:
    try:
        return kind.decode(fields.get(FIELD, b""))
    except MessageError:
        return None


def _heartbeat(value: bytes) -> Heartbeat:
    try:
        return Heartbeat.decode(value)
    except MessageError:
        return Heartbeat(state="Idle")


def _drop(client: Client, stream: str, group: str, entry: str) -> None:
    # No transaction: a server that is full refuses to queue one, though both calls make room. Cut short after the
    # first, the entry is one that was answered, and is dropped at the next look.
    pipeline = client.pipeline(transaction=False)
    pipeline.xack(stream, group, entry)
    pipeline.xdel(stream, entry)
    pipeline.execute()


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
