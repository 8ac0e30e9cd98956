"""`pfpnas agents`: who may measure. Adds, lists and removes agents by the register in the operator's namespace."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from pfpnas_api.joining import Join
from pfpnas_api.messages import summary
from pfpnas_operator.access.registry import REFRESH, Agent, BadRecord, agent_of
from pfpnas_operator.access.rules import agent_user
from pfpnas_operator.client.cluster import (
    Cluster,
    ClusterError,
    Context,
    Kubeconfig,
    open_cluster,
)
from pfpnas_operator.client.register import Register

LET_IN_SECONDS = 40.0
"""The operator looks at the register every 10 seconds, and may just be at a look."""

INVALID = 2
FAILED = 1

agents = typer.Typer(
    no_args_is_help=True,
    help="Who may measure: agents of a cluster.\n\nAn agent runs at the owner of a device, who may be somebody else. "
    "'add' makes it a user of its own and prints one string; 'pfpnas-agent join STRING' on the device takes it.",
)

Name = Annotated[str, typer.Argument(help="Of the agent: lower-case letters, digits and hyphens, at most 40.")]
Pool = Annotated[
    str, typer.Option("--pool", help="Its pool: one kind of device, one domain of trust. Experiments name it.")
]
Rotate = Annotated[
    bool, typer.Option("--rotate", help="For an agent that is there: a new password; the old one ends within seconds.")
]
OperatorNamespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", metavar="NS", help="The operator's own, such as pfpnas. Default: the context's."),
]


@agents.command()
def add(
    name: Name,
    pool: Pool,
    rotate: Rotate = False,
    namespace: OperatorNamespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Add an agent and print its join string, once: it holds the agent's password, and nobody keeps it.

    The string goes to standard output, everything else to standard error, so for agents that run as pods:

    pfpnas agents add NAME --pool P -n pfpnas | kubectl create secret generic pfpnas-join --from-file=join=/dev/stdin
    """
    with _one_message():
        register = Register(*_opened(namespace, context, kubeconfig))
        join = _join(register, name, pool)
        _enter(register, join, new=not rotate)
        typer.echo(join.encode())
        said = _let_in(register, join)
    typer.echo(f"agent {name} of pool {pool}: {said}", err=True)


@agents.command(name="list")
def listed(namespace: OperatorNamespace = None, context: Context = None, kubeconfig: Kubeconfig = None) -> None:
    """List the agents, their pools, and whether the operator hears them."""
    with _one_message():
        register = Register(*_opened(namespace, context, kubeconfig))
        rows = list(_rows(register, now=datetime.now(UTC)))
    if not rows:
        typer.echo(f"no agents in namespace {register.namespace}", err=True)
        return
    for line in _aligned([("NAME", "POOL", "AGE", "HEARD"), *rows]):
        typer.echo(line)


@agents.command()
def remove(
    name: Name, namespace: OperatorNamespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Remove an agent, without asking: its user is taken out of Redis and its connections end.

    What it was measuring is given to another agent of its pool. Results that it sent stay. Adding it again makes a new
    password.
    """
    with _one_message():
        register = Register(*_opened(namespace, context, kubeconfig))
        register.remove(name)
    typer.echo(f"agent {name} is removed; Redis shuts it out within 20 seconds")


def _opened(namespace: str | None, context: str | None, kubeconfig: Path | None) -> tuple[Cluster, str]:
    cluster = open_cluster(kubeconfig=kubeconfig, context=context)
    return cluster, namespace or cluster.namespace


def _join(register: Register, name: str, pool: str) -> Join:
    meeting = register.meeting()
    return Join(
        url=meeting.redis_url,
        ca=meeting.ca,
        user=agent_user(name),
        password=secrets.token_urlsafe(32),
        pool=pool,
        name=name,
    )


def _enter(register: Register, join: Join, *, new: bool) -> None:
    digest = _digest(join)
    if new:
        register.add(Agent(join.name, join.pool, digest))
        return
    known = register.agent(join.name)
    if known.pool != join.pool:
        raise ClusterError(f"agent {join.name} is of pool {known.pool}: remove it, then add it to pool {join.pool}")
    register.rotate(join.name, digest)


def _let_in(
    register: Register, join: Join, *, sleep: Callable[[float], None] = time.sleep, seconds: float = LET_IN_SECONDS
) -> str:
    """Wait until the operator says that it let the agent in; what came of it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        agent = register.agent(join.name)
        if agent.problem:
            return f"not let in: {agent.problem}"
        if agent.let_in:
            return "let in; give the string to the device's owner, it is shown only here"
        sleep(0.5)
    return "not let in yet, so the operator may be down; once it runs, the string is good"


def _digest(join: Join) -> str:
    return sha256(join.password.encode()).hexdigest()


def _rows(register: Register, *, now: datetime) -> Iterator[tuple[str, ...]]:
    for found in register.objects():
        try:
            agent = agent_of(found)
        except BadRecord as e:
            yield ("?", "?", "?", str(e))
        else:
            yield (agent.name, agent.pool, _since(agent.since, now), heard(agent, now))


def heard(agent: Agent, now: datetime) -> str:
    """Whether an agent is heard, in words."""
    if agent.problem or not agent.let_in:
        return agent.problem or "not let in yet"
    if agent.heard is None or agent.heard_at is None:
        return "never"
    ago = _since(agent.heard_at, now)
    if not agent.heard:
        return f"not for {ago}"
    if now - agent.heard_at > 2 * REFRESH:
        return f"unknown: the operator says nothing for {ago}"
    return "yes" if agent.heard == 1 else f"yes, {agent.heard} processes"


def _since(then: datetime | None, now: datetime) -> str:
    if then is None:
        return ""
    seconds = max(0, int((now - then) / timedelta(seconds=1)))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@contextmanager
def _one_message() -> Iterator[None]:
    try:
        yield
    except ValidationError as e:
        typer.echo(f"agents: {summary(e)}", err=True)
        raise typer.Exit(INVALID) from None
    except (ClusterError, BadRecord) as e:
        typer.echo(str(e), err=True)
        raise typer.Exit(FAILED) from None
