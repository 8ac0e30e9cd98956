"""Events in the API: posted behind the cycles' back, counted up when they repeat, dropped when there are too many."""

import hashlib
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from pfpnas_api.kinds import API_VERSION
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.api import EVENTS, Api, ApiError, Exists, Object, Terminating
from pfpnas_operator.reconcile import Event

logger = logging.getLogger(__name__)

COMPONENT: Final = "pfpnas-operator"
MOST_WAITING: Final = 1000
"""Events that wait to be posted; what comes on top is dropped, since a cycle never waits for an Event."""

KNOWN: Final = 2000
"""Events that are counted up when they come again, rather than made anew."""

TRIALS_AT_ONCE: Final = 50.0
TRIALS_A_SECOND: Final = 1.0
"""Events of trials that went well: more would be the half of all that the API server has to write."""

MESSAGE_LIMIT: Final = 1024
"""The API's own limit."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an Event is about."""

    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def reference(self) -> Object:
        """As the API writes it."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One Event."""

    subject: Subject
    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    @property
    def name(self) -> str:
        """Equal notices have equal names: the API itself tells a repetition."""
        told = f"{self.subject.uid}\n{self.type}\n{self.reason}\n{self.message}"
        return f"{self.subject.name[:40].rstrip('-')}.{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def event_body(notice: Notice, *, count: int, first: datetime, last: datetime) -> Object:
    """The Event of a notice."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": notice.name, "namespace": notice.subject.namespace},
        "involvedObject": notice.subject.reference,
        "type": notice.type,
        "reason": notice.reason,
        "message": notice.message[:MESSAGE_LIMIT],
        "source": {"component": COMPONENT},
        "firstTimestamp": _time(first),
        "lastTimestamp": _time(last),
        "count": count,
    }


class Allowance:
    """So many at once, and so many a second after that; from any thread."""

    def __init__(self, *, most: float, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._a_second, self._clock = most, a_second, clock
        self._left, self._at, self._lock = most, clock(), threading.Lock()

    def spend(self) -> bool:
        """Whether one more is allowed."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._a_second)
            self._at = now
            allowed = self._left >= 1
            self._left -= allowed
        return allowed


class Announcer:
    """A thread that posts Events."""

    def __init__(self, api: Api, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._api, self._clock = api, clock
        self._waiting: queue.Queue[Notice] = queue.Queue(MOST_WAITING)
        self._trials = Allowance(most=TRIALS_AT_ONCE, a_second=TRIALS_A_SECOND)
        self._known: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        threading.Thread(target=self._post_all, name="events", daemon=True).start()

    def announce(self, notice: Notice) -> None:
        """Post a notice soon; never waits."""
        if notice.subject.kind == "Trial" and notice.type == "Normal" and not self._trials.spend():
            return  # its status tells as much
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            metrics.EVENTS_DROPPED.inc()

    def tell(self, event: Event, subject: Subject) -> None:
        """Post what a decision says."""
        self.announce(Notice(subject=subject, type=event.type, reason=event.reason, message=event.message))

    def _post_all(self) -> None:
        while True:
            notice = self._waiting.get()
            try:
                self._post(notice)
            except Terminating:
                continue
            except ApiError as e:
                metrics.EVENTS_DROPPED.inc()
                logger.warning("an Event was not posted: %s", e)

    def _post(self, notice: Notice) -> None:
        now = self._clock()
        count, first = self._known.pop(notice.name, (0, now))
        self._known[notice.name] = (count + 1, first)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        body = event_body(notice, count=count + 1, first=first, last=now)
        namespace = notice.subject.namespace
        if count == 0:
            try:
                self._api.create(EVENTS, namespace, body)
            except Exists:
                self._api.merge(EVENTS, namespace, notice.name, {"lastTimestamp": _time(now)})
        elif self._api.merge(EVENTS, namespace, notice.name, {"lastTimestamp": _time(now), "count": count + 1}) is None:
            self._api.create(EVENTS, namespace, body)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
