"""The register of agents: one ConfigMap an agent in the operator's namespace. Here is what such an object says.

The object holds a digest of the agent's password, never the password. What the operator knows of the agent it writes
into annotations, and only when it changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from pfpnas_api.joining import AgentName
from pfpnas_api.kinds.common import SHA256, Model, Timestamp
from pfpnas_api.kinds.experiment import Alias
from pfpnas_api.messages import summary

CLUSTER_CONFIG_MAP: Final = "pfpnas-agents"
"""Made by the chart: address of Redis (`redisUrl`) and its authority (`ca.crt`, may be empty) for join strings."""

LABEL_AGENT: Final = "pfpnas.io/agent"
SELECTOR: Final = f"app.kubernetes.io/managed-by=pfpnas,{LABEL_AGENT}"

LET_IN: Final = "pfpnas.io/let-in"
"""Annotation: the first digits of the password's digest with which Redis lets the agent in."""
HEARD: Final = "pfpnas.io/heard"
"""Annotation: how many processes of the agent were heard; 0 for one that fell silent."""
HEARD_AT: Final = "pfpnas.io/heard-at"
"""Annotation: when that was so."""
PROBLEM: Final = "pfpnas.io/problem"
"""Annotation: why the agent is not let in."""

REFRESH: Final = timedelta(minutes=5)
"""A statement that still holds is written again so often, that a reader can tell an operator that says nothing."""

_LET_IN_DIGITS: Final = 16


class BadRecord(ValueError):  # noqa: N818 - reads as the state it names
    """A ConfigMap that is no agent's; the message names the field."""


class _Data(Model):
    pool: Alias
    password_sha256: Annotated[str, Field(pattern=SHA256)]


@dataclass(frozen=True)
class Agent:
    """An agent as it is registered, and what the operator last said of it."""

    name: str
    pool: str
    password_sha256: str
    since: datetime | None = None
    let_in: bool = False
    heard: int | None = None
    """Processes; None before the first was heard."""
    heard_at: datetime | None = None
    problem: str = ""


def object_name(name: str) -> str:
    """Name of an agent's ConfigMap."""
    return f"pfpnas-agent-{name}"


def config_map(agent: Agent, *, namespace: str) -> dict[str, Any]:
    """The object to be created for an agent."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object_name(agent.name),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "pfpnas", LABEL_AGENT: agent.name},
        },
        "data": {"pool": agent.pool, "passwordSha256": agent.password_sha256},
    }


def agent_of(config_map: Mapping[str, Any]) -> Agent:
    """What an agent's ConfigMap says.

    Raises:
        BadRecord: a name or a field is wrong: somebody wrote it by hand.
    """
    metadata = config_map["metadata"]
    name = (metadata.get("labels") or {}).get(LABEL_AGENT, "")
    try:
        _NAME.validate_python(name)
        data = _Data.model_validate(config_map.get("data") or {})
        notes = _notes(metadata.get("annotations") or {}, data.password_sha256)
    except ValidationError as e:
        raise BadRecord(f"ConfigMap {metadata['name']}: {summary(e)}") from e
    if metadata["name"] != object_name(name):
        raise BadRecord(f"ConfigMap {metadata['name']}: its label {LABEL_AGENT} says {name}")
    since = metadata.get("creationTimestamp")
    return Agent(
        name, data.pool, data.password_sha256, since=_MOMENT.validate_python(since) if since else None, **notes
    )


_NAME: TypeAdapter[str] = TypeAdapter(AgentName)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Timestamp)
_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0)])


def _notes(annotations: Mapping[str, str], digest: str) -> dict[str, Any]:
    return {
        "let_in": annotations.get(LET_IN) == digest[:_LET_IN_DIGITS],
        "heard": _COUNT.validate_python(annotations[HEARD]) if HEARD in annotations else None,
        "heard_at": _MOMENT.validate_python(annotations[HEARD_AT]) if HEARD_AT in annotations else None,
        "problem": annotations.get(PROBLEM, ""),
    }


def noted(agent: Agent, *, processes: int, problem: str, now: datetime) -> dict[str, str | None]:
    """Annotations to be merged into the agent's object (None removes one); empty when all is said already.

    Args:
        agent: As it is registered now.
        processes: Whose heartbeats lie in Redis now.
        problem: Why it is not let in; empty when it is.
        now: The moment of this statement.
    """
    changes: dict[str, str | None] = {}
    if problem != agent.problem:
        changes[PROBLEM] = problem or None
    if not problem and not agent.let_in:
        changes[LET_IN] = agent.password_sha256[:_LET_IN_DIGITS]
    if processes or agent.heard is not None:
        overdue = agent.heard_at is None or now - agent.heard_at >= REFRESH
        if processes != agent.heard or (processes and overdue):
            changes |= {HEARD: str(processes), HEARD_AT: _rfc3339(now)}
    return changes


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def processes_of(name: str, heartbeats: Mapping[str, object]) -> int:
    """How many ids of a pool's heartbeats are of this agent: its own name, or `name.<more>`."""
    return sum(beating == name or beating.startswith(f"{name}.") for beating in heartbeats)
