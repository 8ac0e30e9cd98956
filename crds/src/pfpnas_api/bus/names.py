"""Who of a pool is there: the keys that agents write, found by looking through all keys, once for everybody."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal

from pfpnas_api.bus import keys
from pfpnas_api.bus.connection import READ_COUNT, Client, text

Kind = Literal["heartbeat", "results"]

_TYPES: Final[dict[Kind, str]] = {"heartbeat": "string", "results": "stream"}


class AgentKeys:
    """The keys by which agents are heard, of all pools.

    Redis finds keys by looking at each it holds, chunks of candidates among them, so one look serves all pools and all
    who ask within a while. A key that went meanwhile reads as empty.

    Args:
        client: Of Redis.
        good_for_seconds: How long a look is good for; with 0 there is one for each question.
        clock: In seconds.
    """

    def __init__(
        self, client: Client, *, good_for_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._good_for, self._clock = client, good_for_seconds, clock
        self._looking = threading.Lock()
        self._looks: dict[Kind, tuple[float, list[str]]] = {}

    def heartbeats(self, pool: str) -> list[str]:
        """Names of the heartbeats of a pool's agents.

        Raises:
            RedisError: Redis is away.
        """
        return _beginning(keys.heartbeat(pool, ""), self._names("heartbeat"))

    def results(self, pool: str) -> list[str]:
        """Names of the streams of a pool's agents.

        Raises:
            RedisError: Redis is away.
        """
        return _beginning(keys.results(pool, ""), self._names("results"))

    def _names(self, kind: Kind) -> list[str]:
        """Of all pools. Nobody waits for another one's look: a Redis that is away would hold them up one by one."""
        known = self._looks.get(kind)
        if known is None or not self._good_for:
            return self._look(kind)
        if self._clock() - known[0] < self._good_for or not self._looking.acquire(blocking=False):
            return known[1]
        try:
            return self._look(kind)
        finally:
            self._looking.release()

    def _look(self, kind: Kind) -> list[str]:
        """Braces, hyphens and dots mean nothing to Redis' globs; what has another type is none of an agent's."""
        at, pattern = self._clock(), f"{keys.PREFIX}:{{*}}:{kind}:*"
        found = self._client.scan_iter(match=pattern, count=READ_COUNT, _type=_TYPES[kind])
        names = sorted({text(key) for key in found})
        self._looks[kind] = at, names
        return names


def _beginning(prefix: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(prefix)]
