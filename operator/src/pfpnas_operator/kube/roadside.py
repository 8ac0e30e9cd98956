"""Sweeping Redis: keys, tasks and answers of owners that are gone, and candidates that no task names.

Nothing is taken at first sight, and nothing is a loss: candidates are put there again before they are measured.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from pfpnas_api.bus import OperatorBus, Received, keys
from pfpnas_api.bus.connection import Client, text
from pfpnas_api.messages import MeasureTask
from pfpnas_operator.kube.present import Present

_UID: Final = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_OF_OWNER: Final = re.compile(rf"{keys.PREFIX}:(?:\{{{_UID}\}}:.*|progress:{_UID}-.*)")
_OF_CANDIDATE: Final = re.compile(rf"{keys.PREFIX}:\{{(.+)\}}:blob:([0-9a-f]{{64}}):[0-9]+")
_OF_POOL: Final = re.compile(rf"{keys.PREFIX}:\{{(.+)\}}:tasks")

_Place: TypeAlias = tuple[str, str]
"""Of a task: its pool, and its entry there."""

_Answer: TypeAlias = tuple[str, str, str]
"""Its pool, agent and entry."""


class RoadSweep:
    """Remembers what nobody needed at its last look: who, or whose task, has just come is not listed yet."""

    def __init__(self, client: Client, bus: OperatorBus) -> None:
        self._client, self._bus = client, bus
        self._suspects: set[str | _Place | _Answer] = set()
        """Names of keys, tasks and answers."""

    def sweep(self, present: Present) -> int:
        """Remove what nobody has needed at this look and the last one; how much.

        Args:
            present: Who is there, and who is gone.

        Raises:
            RedisError: Redis is away, or full; the next sweep goes on.
        """
        names = [text(key) for key in self._client.scan_iter(match=f"{keys.PREFIX}:*", count=1000)]
        pools = list(filter(None, map(pool_of_key, names)))
        # Answers before tasks: else one to a task that comes in between would seem to be to none.
        answers = [(pool, received) for pool in pools for received in self._bus.results(pool)]
        tasks = {(pool, queued.entry): task for pool in pools for queued, task in self._bus.tasks(pool)}

        void = self._void(tasks, present)
        unasked = _unasked(answers, tasks)
        wanted = {place: task for place, task in tasks.items() if place not in void}
        useless = _ownerless(names, present) | _unmeasured(names, wanted)
        needless = useless | void | unasked
        gone = self._suspects & needless
        self._withdraw({place: tasks[place] for place in void & gone})
        for pool, agent, entry in unasked & gone:
            self._bus.delete_result(pool, Received(agent=agent, entry=entry, result=None))
        for name in useless & gone:
            self._client.delete(name)
        # Not before: a Redis that refused in the middle would have what is left there for two more looks.
        self._suspects = needless - gone
        return len(gone)

    def _void(self, tasks: dict[_Place, MeasureTask], present: Present) -> set[_Place]:
        """Tasks whose experiment is gone, or measures on another pool by now; but for those that an agent is at.

        An answer that comes after its task went would be one that nobody asked for, and its agent be blamed.
        """
        found = {place for place, task in tasks.items() if _is_void(place[0], task, present)}
        pools = {pool for pool, _ in found}
        begun = {(pool, beat.task_id) for pool in pools for beat in self._bus.agents(pool).values()}
        return {place for place in found if (place[0], tasks[place].task_id) not in begun}

    def _withdraw(self, tasks: dict[_Place, MeasureTask]) -> None:
        """Take tasks off the road, and the answers to them before those."""
        for pool in {pool for pool, _ in tasks}:
            self._bus.delete_answers(pool, {task.task_id for place, task in tasks.items() if place[0] == pool})
        for pool, entry in tasks:
            self._bus.delete_task(pool, entry)


def forget_owner(client: Client, uid: str) -> None:
    """Remove the keys of an owner that is gone, at once.

    Raises:
        RedisError: Redis is away; the sweep finds them.
    """
    for key in client.scan_iter(match=f"{keys.PREFIX}:*{uid}*", count=1000):
        if owner_of_key(text(key)) == uid:
            client.delete(key)


def _is_void(pool: str, task: MeasureTask, present: Present) -> bool:
    return present.lacks(task.experiment) or present.pools.get(task.experiment, pool) != pool


def _ownerless(names: Iterable[str], present: Present) -> set[str]:
    """Keys of owners that are gone."""
    return {name for name in names if (uid := owner_of_key(name)) is not None and present.lacks(uid)}


def _unmeasured(names: Iterable[str], tasks: dict[_Place, MeasureTask]) -> set[str]:
    """Keys of candidates that none of some tasks names."""
    models = ((pool, model) for (pool, _), task in tasks.items() for model in (task.model, task.reference))
    measured = {(pool, model.sha256) for pool, model in models if model}
    return {name for name in names if (one := candidate_of_key(name)) is not None and one not in measured}


def _unasked(answers: Iterable[tuple[str, Received]], tasks: dict[_Place, MeasureTask]) -> set[_Answer]:
    """Answers to no task that is on the road: whoever waits for one looks every few seconds, so nobody does."""
    asked = {(pool, task.task_id) for (pool, _), task in tasks.items()}
    return {
        (pool, one.agent, one.entry)
        for pool, one in answers
        if one.result is None or (pool, one.result.task_id) not in asked
    }


def owner_of_key(name: str) -> str | None:
    """Uid of the Supernet or NASExperiment that a key belongs to; None for those of pools."""
    found = _OF_OWNER.fullmatch(name)
    return (found.group(1) or found.group(2)) if found else None


def candidate_of_key(name: str) -> tuple[str, str] | None:
    """Pool and digest of the candidate that a key holds a chunk of; None for every other key."""
    found = _OF_CANDIDATE.fullmatch(name)
    return (found.group(1), found.group(2)) if found else None


def pool_of_key(name: str) -> str | None:
    """The pool whose tasks a key holds; None for every other key."""
    found = _OF_POOL.fullmatch(name)
    return found.group(1) if found else None
