"""The operator's side of the bus: groups, tasks and their leases, results, heartbeats, builds, and the tuner's log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from redis.exceptions import ResponseError

from pfpnas_api.bus import keys
from pfpnas_api.bus.connection import FIELD, Client, ensure_group, is_missing_group, text
from pfpnas_api.messages import (
    Bell,
    BuildRequest,
    Heartbeat,
    LogEntry,
    MeasureResult,
    MeasureTask,
    Message,
    MessageError,
    Progress,
    Suggestion,
)

READ_COUNT = 1000
"""Entries read at once from a stream."""

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
    """What the operator does in Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- measurements ------------------------------------------------------------------------------------------

    def ensure_pool(self, pool: str) -> None:
        """Make the pool's task stream and group."""
        ensure_group(self._client, keys.tasks(pool), keys.AGENTS_GROUP)

    def agents(self, pool: str) -> dict[str, Heartbeat]:
        """Heartbeats by agent; an unreadable one counts as idle, since its writer lives."""
        prefix = keys.heartbeat(pool, "")
        found = {}
        for key in self._client.scan_iter(match=_literal(prefix) + "*", count=READ_COUNT):
            value = self._client.get(key)
            if value is not None:
                found[text(key).removeprefix(prefix)] = _heartbeat(value)
        return found

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
        """Every result that lies unread on the agents' streams, unreadable ones included."""
        prefix = keys.results(pool, "")
        found = []
        for key in self._client.scan_iter(match=_literal(prefix) + "*", count=READ_COUNT):
            agent = text(key).removeprefix(prefix)
            for entry, fields in self._client.xrange(key, count=READ_COUNT):
                found.append(Received(agent=agent, entry=text(entry), result=_decoded(MeasureResult, fields)))
        return found

    def delete_result(self, pool: str, received: Received) -> None:
        """Forget a result, after the status that holds it was written."""
        self._client.xdel(keys.results(pool, received.agent), received.entry)

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

    def append_log(self, experiment: str, entries: Iterable[LogEntry]) -> None:
        """Append to the tuner's log, all or nothing."""
        pipeline = self._client.pipeline(transaction=True)
        for entry in entries:
            pipeline.xadd(keys.log(experiment), {FIELD: entry.encode()})
        pipeline.execute()

    def log(self, experiment: str, *, after: str = "0") -> list[tuple[str, LogEntry]]:
        """The log's entries after an id, with their ids."""
        return _messages(self._client, keys.log(experiment), LogEntry, after=after)

    def suggestions(self, experiment: str, *, after: str = "0") -> list[tuple[str, Suggestion]]:
        """The tuner's suggestions after an id, with their ids."""
        return _messages(self._client, keys.suggestions(experiment), Suggestion, after=after)

    # -- progress ----------------------------------------------------------------------------------------------

    def progress(self, job: str) -> Progress | None:
        """How far a job is, as it last said."""
        value = self._client.hget(keys.progress(job), FIELD.decode())
        if value is None:
            return None
        try:
            return Progress.decode(value)
        except MessageError:
            return None

    def forget(self, *, experiment: str | None = None, job: str | None = None) -> None:
        """Remove the keys of an owner that is gone."""
        if experiment is not None:
            self._client.delete(keys.builds(experiment), keys.log(experiment), keys.suggestions(experiment))
        if job is not None:
            self._client.delete(keys.progress(job))

    def wait_for_bell(self, *, after: str, block_milliseconds: int) -> tuple[str, list[Bell]]:
        """Block until a workload rings, or for so long. Returns the id to go on from, and the bells."""
        reply = self._client.xread({keys.EVENTS: after}, count=READ_COUNT, block=block_milliseconds)
        bells = []
        for _, entries in reply or []:
            for entry, fields in entries:
                after = text(entry)
                bell = _decoded(Bell, fields)
                if bell is not None:
                    bells.append(bell)
        return after, bells

    def _queued(self, stream: str, group: str) -> list[Queued]:
        try:
            groups = self._client.xinfo_groups(stream)
        except ResponseError as e:
            if is_missing_group(e):
                return []
            raise
        delivered = next((text(g["last-delivered-id"]) for g in groups if text(g["name"]) == group), "0-0")
        holders = (
            {
                text(row["message_id"]): text(row["consumer"])
                for row in self._client.xpending_range(stream, group, "-", "+", READ_COUNT)
            }
            if groups
            else {}
        )
        found = []
        for entry, fields in self._client.xrange(stream):
            name = text(entry)
            state: Literal["Waiting", "Claimed", "Answered"] = "Waiting"
            if name in holders:
                state = "Claimed"
            elif _order(name) <= _order(delivered):
                state = "Answered"
            found.append(Queued(entry=name, message=fields.get(FIELD, b""), state=state, consumer=holders.get(name)))
        return found


def _messages(client: Client, stream: str, kind: type[AnyMessage], *, after: str) -> list[tuple[str, AnyMessage]]:
    found = []
    for entry, fields in client.xrange(stream, min=f"({after}" if after != "0" else "-"):
        message = _decoded(kind, fields)
        if message is not None:
            found.append((text(entry), message))
    return found


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
    pipeline = client.pipeline(transaction=True)
    pipeline.xack(stream, group, entry)
    pipeline.xdel(stream, entry)
    pipeline.execute()


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)


def _literal(prefix: str) -> str:
    """A prefix as a glob that matches only itself: pools are aliases, and braces mean nothing to Redis' globs."""
    return prefix.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?").replace("[", "\\[")
