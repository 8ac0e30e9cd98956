"""A keeper: one task that owns a resource's status. It looks, decides and writes; whatever happens only wakes it."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, Final

from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.bus.connection import OUTAGE, delays
from pfpnas_operator.driving.clock import moment_after
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.announcing import Subject
from pfpnas_operator.kube.api import ApiAway, ApiError, Object, Stale, Terminating
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.reconcile import Event

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 30.0
"""A full look at least so often, whatever the watch and the bells say."""

ACTIVE_SECONDS: Final = 5.0
"""While something is under way: heartbeats and deadlines ring no bell."""

LONGEST_BACKOFF_SECONDS: Final = 8.0
"""Between two tries while something is away: so long it may go on being thought away."""


class Keeper(ABC):
    """Keeps one resource.

    Everything but `cycle` (and what that calls) runs in the event loop; the cycle runs in a thread, one at a time.
    """

    kind: str

    def __init__(self, body: Object, parts: Parts, *, threads: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self.namespace, self.name = body["metadata"]["namespace"], body["metadata"]["name"]
        self.uid: str = body["metadata"]["uid"]
        self.body, self.parts = body, parts
        self.now = datetime.fromtimestamp(0, UTC)
        self._threads, self._loop = threads, loop
        self._awake = asyncio.Event()
        self._failures = _backoff()
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    # -- in the event loop -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to keep."""
        self._task = self._loop.create_task(self._keep(), name=f"{self.kind} {self.namespace}/{self.name}")

    def stop(self) -> None:
        """Stop after the cycle that is under way."""
        if self._task is not None:
            self._task.cancel()

    def put(self, body: Object) -> None:
        """What the watch says of the object: its spec and metadata count, unless newer ones are known."""
        if _version(body) > _version(self.body):
            news = _wish(body) != _wish(self.body)
            self.body = body
            if news:
                self.wake()

    def wake(self) -> None:
        """Look soon."""
        self._awake.set()

    def wake_from_thread(self) -> None:
        """Look soon; from any thread."""
        self._loop.call_soon_threadsafe(self._awake.set)

    async def _keep(self) -> None:
        while True:
            self._awake.clear()
            try:
                self.before()
            except Exception:  # nothing that goes wrong ends a keeper
                logger.exception("%s %s/%s", self.kind, self.namespace, self.name)
                await asyncio.sleep(ACTIVE_SECONDS)
                continue
            pause = await self._loop.run_in_executor(self._threads, self._guarded)
            if self._failing:
                # Whatever wakes it would but fail again, and again.
                await asyncio.sleep(pause)
                continue
            try:
                await asyncio.wait_for(self._awake.wait(), pause)
            except TimeoutError:
                continue

    def before(self) -> None:  # noqa: B027 - most have something to take over, none has to
        """In the event loop, before each cycle: take over what only the loop may read."""

    # -- in a thread -------------------------------------------------------------------------------------------

    def _guarded(self) -> float:
        """One cycle; seconds until the next one, if nothing wakes it. Nothing that goes wrong ends a keeper."""
        self.now = moment_after(self.now, clock=datetime.now(UTC))
        try:
            with metrics.RECONCILE_SECONDS.labels(self.kind).time():
                pause = self.cycle(self.now)
        except Terminating:
            self.forget()
            return IDLE_SECONDS
        except Exception as e:
            self._learn(e)
            return self._failed(e)
        if self._failing:
            self._failing, self._failures = False, _backoff()
        return pause

    def _learn(self, error: Exception) -> None:
        """What a failure says of what is remembered, and to whom it has to be told."""
        if isinstance(error, RedisError | ArtifactError):
            self.outage(self.now)
            if isinstance(error, ArtifactError):
                self.parts.rights.doubt(self.uid)
            # That Redis is away the hub tells everybody; that it is full, or refuses, somebody has to know.
            return None if isinstance(error, OUTAGE) else self._tell(error)
        if isinstance(error, ApiAway):
            return None
        self.forget()
        if isinstance(error, Stale):
            return None
        if not isinstance(error, ApiError):
            logger.error("%s %s/%s", self.kind, self.namespace, self.name, exc_info=error)
        return self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Whoever looks at the object is told, too: nothing goes on until this is mended, or passes."""
        message = f"tried again: {type(error).__name__}: {error}"
        return self.say(Event(type="Warning", reason="ReconcileFailed", message=message, subject=self.name))

    def _failed(self, error: Exception) -> float:
        self._failing = True
        metrics.ERRORS.labels(self.kind, type(error).__name__).inc()
        where = f"{self.kind} {self.namespace}/{self.name}"
        logger.warning("%s: tried again: %s: %s", where, type(error).__name__, error)
        return next(self._failures)

    def say(self, event: Event) -> None:
        """Post an Event about the object."""
        self.parts.announcer.tell(event, self.subject)

    @property
    def subject(self) -> Subject:
        """The object, as Events name it."""
        return Subject(kind=self.kind, namespace=self.namespace, name=self.name, uid=self.uid)

    @property
    def ended(self) -> bool:
        """Whether nothing of it is under way; whose end is known says so."""
        return False

    @abstractmethod
    def cycle(self, now: datetime) -> float:
        """Look, decide, do; seconds until the next look."""

    @abstractmethod
    def forget(self) -> None:
        """Read the object anew before the next cycle: what is remembered may be wrong."""

    def outage(self, now: datetime) -> None:  # noqa: B027 - only who counts time has to
        """Nobody could answer, or leave what was made: what is counted begins anew."""


def _backoff() -> Iterator[float]:
    return delays(first=0.3, most=LONGEST_BACKOFF_SECONDS)


def _wish(body: Object) -> tuple[Any, ...]:
    """What a user changes of an object: the status is ours, and no news."""
    metadata = body["metadata"]
    return (metadata.get("generation"), metadata.get("deletionTimestamp"), metadata.get("finalizers"))


def _version(body: Object) -> int:
    """Versions of one object rise: a watch that lags behind brings none newer than an answer to a write."""
    return int(body["metadata"].get("resourceVersion") or 0)
