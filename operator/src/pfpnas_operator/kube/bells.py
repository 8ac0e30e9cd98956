"""One reader of Redis for all: it wakes whoever a bell or an answer is for."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from redis.exceptions import RedisError

from pfpnas_api.bus import AgentKeys, keys
from pfpnas_api.bus.connection import BLOCK_MILLISECONDS, FIELD, Client, text
from pfpnas_api.messages import Bell, MessageError
from pfpnas_operator.kube import metrics

logger = logging.getLogger(__name__)

AWAY_SECONDS: Final = 1.0
"""Between two tries while Redis is away."""

STREAMS_SECONDS: Final = 2.0
"""How long the list of agents' streams is good for: the first answer of a new agent waits no longer."""

READ_COUNT: Final = 200
"""Entries at once: they only wake."""


class Listener(Protocol):
    """Who is woken; called from the reader's thread."""

    def pools(self) -> set[str]:
        """Pools whose agents' answers matter."""

    def rang(self, uid: str) -> None:
        """A workload rang: the uid of its document."""

    def answered(self, pool: str) -> None:
        """An agent of a pool has an answer lying there."""

    def redis_is(self, *, up: bool, why: str = "") -> None:
        """Redis went away, or came back."""


class BellReader:
    """A thread that reads the bells and looks for answers. It takes nothing away: each keeper reads for itself.

    Args:
        client: Of Redis.
        listener: Who is woken.
        agents: Where agents are found, shared with the keepers; left out, it looks for itself.
        clock: In seconds.
    """

    def __init__(
        self,
        client: Client,
        listener: Listener,
        *,
        agents: AgentKeys | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._listener, self._clock = client, listener, clock
        self._agents = agents or AgentKeys(client)
        self._after: dict[str, str] = {keys.EVENTS: "0"}
        self._pools: dict[str, str] = {}
        """Pool of each stream of answers."""
        self._streams_at = -STREAMS_SECONDS
        self._up: bool | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bells", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.listen_once()
            except RedisError as e:
                self._is(up=False, why=str(e))
                self._over.wait(AWAY_SECONDS)
            except Exception as e:  # without bells every search would go on by its looks alone, and nobody would know
                metrics.ERRORS.labels("Bells", type(e).__name__).inc()
                logger.exception("bells: tried again")
                self._over.wait(AWAY_SECONDS)

    def listen_once(self, *, block_milliseconds: int = BLOCK_MILLISECONDS) -> None:
        """Wait for the next bell or answer, and wake whom it is for."""
        self._find_streams()
        reply = self._client.xread(dict(self._after), count=READ_COUNT, block=block_milliseconds)
        self._is(up=True)
        for stream, entries in reply or []:
            name = text(stream)
            self._after[name] = text(entries[-1][0])
            if name == keys.EVENTS:
                self._ring(entries)
            elif name in self._pools:
                self._listener.answered(self._pools[name])

    def _ring(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for uid in dict.fromkeys(filter(None, (_uid(fields) for _, fields in entries))):
            self._listener.rang(uid)

    def _find_streams(self) -> None:
        """Agents' streams of the pools in use; a server that lost everything begins its events anew."""
        if self._clock() - self._streams_at < STREAMS_SECONDS:
            return
        self._streams_at = self._clock()
        if not self._client.xlen(keys.EVENTS):
            self._after[keys.EVENTS] = "0"
        self._pools = {stream: pool for pool in self._listener.pools() for stream in self._agents.results(pool)}
        known = {keys.EVENTS: self._after[keys.EVENTS]}
        self._after = known | {stream: self._after.get(stream, "0") for stream in self._pools}

    def _is(self, *, up: bool, why: str = "") -> None:
        metrics.REDIS_UP.set(up)
        if up != self._up:
            self._up = up
            self._listener.redis_is(up=up, why=why)


def _uid(fields: dict[bytes, bytes]) -> str | None:
    try:
        return Bell.decode(fields.get(FIELD, b"")).uid
    except MessageError:
        return None
