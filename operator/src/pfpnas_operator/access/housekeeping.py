"""Redis has the users that the register of agents names, and those of the owners that are there; no others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pfpnas_api.bus import OperatorBus
from pfpnas_operator.access import rules
from pfpnas_operator.access.registry import PROBLEM, Agent, BadRecord, agent_of, noted, object_name, processes_of
from pfpnas_operator.access.users import RedisUsers

_NO_USERS = "the operator's configuration says redis.users: Off, so it lets nobody in"


@dataclass(frozen=True)
class Note:
    """Annotations to be merged into a ConfigMap; None removes one."""

    config_map: str
    annotations: dict[str, str | None]


def tend_agents(
    users: RedisUsers | None, bus: OperatorBus, config_maps: Sequence[Mapping[str, Any]], *, release: str, now: datetime
) -> list[Note]:
    """Let the registered agents in, shut out those that were, and say what is new of each.

    To be called every few seconds: nothing tells of a change of the register, and somebody waits to be let in.

    Args:
        users: Of Redis; None where the operator makes none.
        bus: To hear who is there.
        config_maps: ALL of the register: whoever was let in and is not in it is shut out.
        release: Its namespace; the agents of other releases on the same Redis are none of its business.
        now: The present.

    Raises:
        RedisError: Redis is away; nothing is lost by trying again.
    """
    agents, notes = _read(config_maps)
    problem = _NO_USERS if users is None else users.refusal
    if users is not None and problem is None:
        _let_in(users, agents, mark=rules.release_mark(release))
    heartbeats = {pool: bus.agents(pool) for pool in {agent.pool for agent in agents}}
    for agent in agents:
        processes = processes_of(agent.name, heartbeats[agent.pool])
        notes.append(Note(object_name(agent.name), noted(agent, processes=processes, problem=problem or "", now=now)))
    return [note for note in notes if note.annotations]


class OwnerSweep:
    """Removes the users of owners that are gone; remembers whose owner it missed at its last look.

    An owner that came after owners were listed has its user already, and its pods hold connections by it.
    """

    def __init__(self) -> None:
        self._suspects: set[str] = set()

    def sweep(self, users: RedisUsers, is_gone: Callable[[str], bool]) -> list[str]:
        """Remove the users whose owner was gone at this look and the last one; who they were.

        Args:
            users: Of Redis.
            is_gone: Whether the Supernet or NASExperiment of a uid is known to be gone.

        Raises:
            RedisError: Redis is away; the next sweep goes on.
        """
        names = users.names(rules.OWNER_PREFIX)
        ownerless = {name for name in names if is_gone(name.removeprefix(rules.OWNER_PREFIX))}
        removed = [name for name in sorted(self._suspects & ownerless) if users.remove(name)]
        self._suspects = ownerless - set(removed)
        return removed


def _read(config_maps: Sequence[Mapping[str, Any]]) -> tuple[list[Agent], list[Note]]:
    """The agents, and a note to each object that is none."""
    agents, notes = [], []
    for config_map in config_maps:
        try:
            agents.append(agent_of(config_map))
        except BadRecord as e:
            metadata = config_map["metadata"]
            said = (metadata.get("annotations") or {}).get(PROBLEM)
            notes.append(Note(metadata["name"], {} if said == str(e) else {PROBLEM: str(e)}))
    return agents, notes


def _let_in(users: RedisUsers, agents: Sequence[Agent], *, mark: str) -> None:
    wanted = {rules.agent_user(agent.name): agent for agent in agents}
    for name in users.names(rules.AGENT_PREFIX):
        if name not in wanted and users.bears(name, mark):
            users.remove(name)
    for name, agent in wanted.items():
        allowed = [*rules.agent_rules(agent.pool, agent.name), mark]
        users.ensure(name, allowed, password_sha256=agent.password_sha256)
