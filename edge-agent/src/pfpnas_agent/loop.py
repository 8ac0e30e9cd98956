"""The agent's loop: claim, measure, journal, answer, acknowledge. It outlasts Redis, and never loses a figure."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

from pfpnas_agent import logs
from pfpnas_agent.heart import Heart
from pfpnas_agent.journal import Journal
from pfpnas_agent.perform import Performer
from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.bus import AgentBus, Claim, GroupMissing, patiently
from pfpnas_api.messages import MeasureResult, MeasureTask

GROUP_WAIT_SECONDS = 1.0
"""Mean wait for a group that isn't there, with jitter, so that a fleet doesn't knock at once."""

ERROR_WAIT_SECONDS = 5.0
"""Mean wait after an answer that is an error (Redis out of memory, a right withdrawn): only its owner can mend it."""

Returned = TypeVar("Returned")


class Agent:
    """One agent of one pool; `redis` is the address as the log may show it."""

    def __init__(self, bus: AgentBus, heart: Heart, *, journal: Journal, performer: Performer, redis: str) -> None:
        self._bus, self._heart, self._journal, self._performer = bus, heart, journal, performer
        self._redis = redis

    def run(self) -> None:
        """Serve for ever: first what was finished but never sent, then what was claimed before, then new tasks.

        Data sets are prepared before that: once a task is claimed, its deadline runs.
        """
        self._heart.start()
        self._performer.prepare()
        self._heart.idle()
        recovered = False
        while True:
            try:
                if not recovered:
                    self._recover()
                    recovered = True
                claim = self._patiently(self._bus.next)
                if claim is not None:
                    self._serve(claim)
            except GroupMissing:
                # The group went (or never came), and with it what was held: look again when it is there.
                recovered = False
                _pause(GROUP_WAIT_SECONDS)
            except RedisError as e:
                recovered = False
                logs.warning("Redis refuses", error=str(e))
                _pause(ERROR_WAIT_SECONDS)

    def _recover(self) -> None:
        for result in self._journal.unsent():
            logs.info("sending an earlier result", task=result.task_id)
            self._answer(result)
            self._journal.mark_sent(result)
        for claim in self._patiently(self._bus.held):
            self._serve(claim)

    def _serve(self, claim: Claim) -> None:
        if claim.task is None:
            logs.warning("unreadable task acknowledged", entry=claim.entry)
            self._patiently(lambda: self._bus.acknowledge(claim))
            return
        result = self._known(claim.task) or self._measured(claim.task)
        self._answer(result)
        self._patiently(lambda: self._bus.acknowledge(claim))
        self._journal.mark_sent(result)
        self._heart.idle()

    def _known(self, task: MeasureTask) -> MeasureResult | None:
        # The id says nothing of the namespace: a figure made for one must not be read by another.
        result = self._journal.find(task.task_id) if self._performer.serves(task) else None
        if result is not None:
            logs.info("already measured", task=task.task_id)
        return result

    def _measured(self, task: MeasureTask) -> MeasureResult:
        logs.info("task claimed", task=task.task_id, namespace=task.namespace, experiment=task.experiment)
        self._heart.busy(task.task_id)
        result = self._patiently(lambda: self._performer.perform(task, self._bus))
        try:
            self._journal.record(result)
        except ArtifactError as e:
            logs.warning("journal not written; sending all the same", task=task.task_id, detail=str(e))
        return result

    def _answer(self, result: MeasureResult) -> None:
        self._patiently(lambda: self._bus.answer(result))

    def _patiently(self, call: Callable[[], Returned]) -> Returned:
        return patiently(call, on_wait=self._away)

    def _away(self, seconds: float, error: Exception) -> None:
        said = {"error": type(error).__name__, "detail": str(error)}
        logs.warning("Redis is away", redis=self._redis, retry_seconds=round(seconds, 1), **said)


def _pause(mean: float) -> None:
    time.sleep(random.SystemRandom().uniform(0.5 * mean, 1.5 * mean))


def refusal(ping: Callable[[], object]) -> str | None:
    """What Redis says when it won't let this agent in (a wrong password, a missing right); None when it is away.

    redis-py counts authentication errors among lost connections; waiting for ever would hide the owner's mistake.
    """
    try:
        ping()
    except (AuthenticationError, AuthorizationError, NoPermissionError) as e:
        return str(e)
    except RedisError:
        return None
    return None
