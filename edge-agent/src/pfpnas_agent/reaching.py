"""Is Redis there for this agent? Logs in as it would, and takes no task."""

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from pfpnas_api.bus import AgentBus, BusError, GroupMissing, check, connect, redacted
from pfpnas_api.bus.connection import Client

_NEW_STRING = {
    True: "an agent that was just added is let in within half a minute, so try again; one that was removed or rotated "
    "needs a new string from `pfpnas agents add`",
    False: "check the user in redis.url and the password in redis.passwordFile",
}
_NEW_RIGHTS = {
    True: "ask for a new join string",
    False: "let redis.url name a user with an agent's rights",
}


def tried(url: str, *, pool: str, agent: str, joined: bool) -> Iterator[str]:
    """Log in, and look whether the pool is in use; what was found, a line each.

    Args:
        url: With user, password and certificates.
        pool: Whose tasks are asked for.
        agent: In whose name.
        joined: Whether it comes from a join string: then a new one is the remedy.

    Raises:
        BusError: not reached, not trusted, not let in; says what to do.
    """
    client = connect(url)
    _logged_in(client, url, joined=joined)
    yield f"connected to {described(url)}"
    try:
        AgentBus(client, pool=pool, agent=agent).held()
    except GroupMissing:
        yield f"pool {pool}: no experiment has used it yet; the agent waits for one"
    except NoPermissionError as e:
        who = user_of(url) or "this agent"
        raise BusError(f"{who} may not take tasks of pool {pool} ({e}): {_NEW_RIGHTS[joined]}") from e
    except RedisError as e:
        raise BusError(f"Redis at {place(url)} let this agent in, but then failed: {e}") from e
    else:
        yield f"pool {pool}: in use, its tasks can be taken"
    finally:
        client.close()


def place(url: str) -> str:
    """The address without login and options."""
    return redacted(url).replace("***@", "", 1)


def user_of(url: str) -> str:
    """The user that the address names, or nothing."""
    return unquote(urlsplit(url).username or "")


def described(url: str) -> str:
    """The address, and as whom."""
    user = user_of(url)
    return f"{place(url)} as {user}" if user else place(url)


def _logged_in(client: Client, url: str, *, joined: bool) -> None:
    try:
        check(client, url)
    except BusError as e:
        remedy = _remedy(e.__cause__, url, joined=joined)
        if remedy is None:
            raise
        raise BusError(remedy) from e


def _remedy(cause: BaseException | None, url: str, *, joined: bool) -> str | None:
    if isinstance(cause, AuthenticationError):
        return f"Redis doesn't know this user and password: {_NEW_STRING[joined]}"
    if "certificate" in str(cause):
        return (
            f"the certificate of Redis at {place(url)} isn't trusted ({cause}): ask who runs it for a new join string, "
            "or for a certificate of this address"
        )
    if "SSL" in str(cause):
        return f"Redis at {place(url)} speaks no TLS ({cause}): write redis:// if it is meant to, or another port"
    return None
