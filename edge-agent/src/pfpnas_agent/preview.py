"""`pfpnas-agent preview`: the very bytes that the agent would write to Redis, made by the code that writes them."""

from collections.abc import Callable
from typing import Any

import redis

from pfpnas_api.bus import AgentBus
from pfpnas_api.kinds.metrics import Accuracy, Latency
from pfpnas_api.messages import Heartbeat, MeasureResult

SAMPLE = MeasureResult(
    task_id="0" * 32,
    latency=Latency(p50=1.84, p90=1.97, mad=0.02, runs=64, reference=0.61),
    accuracy=Accuracy(value=0.953, samples=359),
    peak_memory_bytes=5242880,
    seconds=2.4,
)
"""Shown while the journal is empty."""


class _Recorder(redis.Connection):
    """A connection to nowhere: keeps what is written, and says OK."""

    written = b""

    def connect(self) -> None:
        """Stay at home."""

    def send_packed_command(self, command: Any, *args: Any, **options: Any) -> None:
        """Keep the bytes."""
        self.written += b"".join(command) if isinstance(command, list | tuple) else command

    def can_read(self, *args: Any, **options: Any) -> bool:
        """Nothing is ever left unread."""
        return False

    def read_response(self, *args: Any, **options: Any) -> bytes:
        """What Redis answers when all is well."""
        return b"OK"


def heartbeat(pool: str, agent: str, says: Heartbeat) -> bytes:
    """The bytes of a heartbeat."""
    return _written(pool, agent, lambda bus: bus.beat(says))


def result(pool: str, agent: str, measured: MeasureResult) -> bytes:
    """The bytes of a result."""
    return _written(pool, agent, lambda bus: bus.answer(measured))


def _written(pool: str, agent: str, write: Callable[[AgentBus], None]) -> bytes:
    connections = redis.ConnectionPool(connection_class=_Recorder, protocol=2, driver_info=None)
    connection = connections.get_connection()
    assert isinstance(connection, _Recorder)
    connections.release(connection)
    write(AgentBus(redis.Redis(connection_pool=connections), pool=pool, agent=agent))
    return bytes(connection.written)
