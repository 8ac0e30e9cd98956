"""The heartbeat: a thread that says every two seconds that the agent is there, also while it measures."""

import contextlib
import threading

from redis.exceptions import RedisError

from pfpnas_api.bus import AgentBus
from pfpnas_api.bus.agent import HEARTBEAT_SECONDS
from pfpnas_api.messages import Heartbeat


class Heart:
    """Beats from `start` until the process ends; at once when what it says changes.

    Until it is first told that the agent is idle it says busy: while data are prepared no task is asked for.
    """

    def __init__(self, bus: AgentBus) -> None:
        self._bus = bus
        self._says = Heartbeat(state="Busy")
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def busy(self, task_id: str) -> None:
        """Say from now on that this task is held."""
        self._says = Heartbeat(state="Busy", task_id=task_id)
        self._changed.set()

    def idle(self) -> None:
        """Say from now on that no task is held."""
        self._says = Heartbeat(state="Idle")
        self._changed.set()

    def _beat(self) -> None:
        while True:
            self._changed.clear()
            # The loop logs an outage and waits for its end; the next beat is the heart's own retry.
            with contextlib.suppress(RedisError):
                self._bus.beat(self._says)
            self._changed.wait(HEARTBEAT_SECONDS)
