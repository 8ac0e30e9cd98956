"""What each Redis user may do, as ACL rules: the commands that our code issues, on the keys it issues them on.

Selectors (in parentheses) tie a command to its own keys; they need Redis 7.0. AUTH, HELLO and QUIT are open to every
user. Never `+eval` (a script can freeze the server), and nothing that lists keys except for the operator.
"""

import re

from pfpnas_api.bus import keys

AGENT_PREFIX = "agent-"
OWNER_PREFIX = "owner-"
OPERATOR_USER = "operator"

_PLAIN = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?")
"""What a name may be that becomes a part of a pattern: a `*` in it would open other people's keys."""

_USERS = "+acl|setuser +acl|getuser +acl|deluser +acl|users +acl|save"
_STREAMS = "+xadd +xack +xdel +xrange +xread +xlen +xpending +xgroup|create +xinfo|groups"


def agent_user(name: str) -> str:
    """The Redis user of an agent."""
    return f"{AGENT_PREFIX}{name}"


def owner_user(uid: str) -> str:
    """The Redis user of the Jobs of a Supernet or NASExperiment."""
    return f"{OWNER_PREFIX}{uid}"


def agent_rules(pool: str, name: str) -> list[str]:
    """Take the pool's tasks, read its candidates, answer and beat under the agent's own name (or `name.<more>`).

    A pool is one domain of trust: one of its agents may take or acknowledge what another one holds. It can't write
    another's answers or heartbeat.

    Raises:
        ValueError: pool or name would be more than a name in a pattern.
    """
    _checked(pool, name)
    return [
        "-@all",
        "+ping",
        f"(+xreadgroup +xack %RW~{keys.tasks(pool)})",
        f"(+xadd %W~{keys.results(pool, name)} %W~{keys.results(pool, name)}.*)",
        f"(+set %W~{keys.heartbeat(pool, name)} %W~{keys.heartbeat(pool, name)}.*)",
        f"(+get %R~{keys.blobs(pool)})",
    ]


def release_mark(namespace: str) -> str:
    """By which the users that a release made are known in a Redis that several share: a key that there never is.

    No command goes with it, so it opens nothing.

    Args:
        namespace: The release's own.

    Raises:
        ValueError: it would be more than a name in a pattern.
    """
    _checked(namespace)
    return f"%R~{keys.PREFIX}:release:{namespace}"


def owner_rules(uid: str, pools: list[str]) -> list[str]:
    """What the Jobs of one Supernet or NASExperiment do: progress, bells, its streams, and candidates for its pools.

    Args:
        uid: Of the owner; the uids of its jobs start with it.
        pools: Whose agents its candidates are pushed to.

    Raises:
        ValueError: uid or a pool would be more than a name in a pattern.
    """
    _checked(uid, *pools)
    candidates = " ".join(f"%W~{keys.blobs(pool)}" for pool in pools)
    return [
        "-@all",
        f"(+hset %W~{keys.progress(uid)}-*)",
        f"(+xadd %W~{keys.EVENTS})",
        f"(+xreadgroup +xack +xgroup|create %RW~{keys.builds(uid)})",
        f"(+xread +xlen +xdel %RW~{keys.log(uid)})",
        f"(+xrange +xadd %RW~{keys.suggestions(uid)})",
        *([f"(+set +expire {candidates})"] if pools else []),
    ]


def operator_rules() -> list[str]:
    """Everything that the operator does, on our keys only, and to make and remove users.

    No selectors, so that Redis 6.2 reads them too. Whoever may make users may make one that may do anything: the
    operator's password is Redis' own.
    """
    commands = f"+ping +scan +get +mget +set +expire +del +hget +multi +exec {_STREAMS} {_USERS}"
    return ["-@all", f"~{keys.PREFIX}:*", *commands.split()]


def _checked(*names: str) -> None:
    for name in names:
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"{name!r} can't be part of a Redis user's rules: letters, digits, hyphens and dots only")
