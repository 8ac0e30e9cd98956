"""The agent's side of the bus: takes tasks, answers on its own stream, and speaks only when it is spoken to."""

from dataclasses import dataclass

from redis.exceptions import ResponseError

from pfpnas_api.bus import keys
from pfpnas_api.bus.connection import BLOCK_MILLISECONDS, FIELD, Client, bounded, is_missing_group, text
from pfpnas_api.messages import Heartbeat, MeasureResult, MeasureTask, MessageError, ModelRef

HEARTBEAT_SECONDS = 2.0
"""How often an agent says that it is there."""

HEARTBEAT_EXPIRY_SECONDS = 15
"""An agent not heard of for so long is dead: seven beats may be lost to a slow link before that."""


class GroupMissing(Exception):  # noqa: N818 - reads as the state it names
    """The operator hasn't made the pool's group (yet): wait."""


class BlobMissing(Exception):  # noqa: N818 - reads as the state it names
    """A chunk isn't there (any more): answer so, and it is pushed again."""


@dataclass(frozen=True)
class Claim:
    """An entry of the task stream that this agent holds."""

    entry: str
    task: MeasureTask | None
    """None when the entry is no task that this agent can read: acknowledge and forget it."""


class AgentBus:
    """What an agent may do: read tasks, acknowledge, read chunks, write its results and its heartbeat."""

    def __init__(self, client: Client, *, pool: str, agent: str) -> None:
        self._client, self.pool, self.agent = client, pool, agent

    def beat(self, heartbeat: Heartbeat) -> None:
        """Say that the agent is there, and what it holds."""
        key = keys.heartbeat(self.pool, self.agent)
        self._client.set(key, heartbeat.encode(), ex=HEARTBEAT_EXPIRY_SECONDS)

    def held(self) -> list[Claim]:
        """What this agent claimed before (a restart, say) and never acknowledged, oldest first."""
        return self._read("0", count=100, block=None)

    def next(self, *, block_milliseconds: int = BLOCK_MILLISECONDS) -> Claim | None:
        """Claim the next task, or None when there is none within the block.

        Raises:
            GroupMissing: the operator hasn't made the group.
        """
        claims = self._read(">", count=1, block=bounded(block_milliseconds))
        return claims[0] if claims else None

    def _read(self, start: str, *, count: int, block: int | None) -> list[Claim]:
        stream = keys.tasks(self.pool)
        try:
            reply = self._client.xreadgroup(keys.AGENTS_GROUP, self.agent, {stream: start}, count=count, block=block)
        except ResponseError as e:
            if is_missing_group(e):
                raise GroupMissing(self.pool) from e
            raise
        return [_claim(entry, fields) for _, entries in reply or [] for entry, fields in entries]

    def answer(self, result: MeasureResult) -> None:
        """Put a result on this agent's own stream."""
        self._client.xadd(keys.results(self.pool, self.agent), {FIELD: result.encode()})

    def acknowledge(self, claim: Claim) -> None:
        """Give a task back as answered; that the operator deleted it meanwhile is no error."""
        self._client.xack(keys.tasks(self.pool), keys.AGENTS_GROUP, claim.entry)

    def fetch(self, model: ModelRef) -> bytes:
        """A candidate's bytes, put together from its chunks; the caller verifies the digest.

        Raises:
            BlobMissing: a chunk is not there.
        """
        parts = []
        for chunk in range(model.chunks):
            part = self._client.get(keys.blob(self.pool, model.sha256, chunk))
            if part is None:
                raise BlobMissing(f"{model.sha256}:{chunk}")
            parts.append(part)
        return b"".join(parts)


def _claim(entry: bytes, fields: dict[bytes, bytes] | None) -> Claim:
    try:
        task = MeasureTask.decode((fields or {})[FIELD])
    except (KeyError, MessageError):
        task = None
    return Claim(entry=text(entry), task=task)
