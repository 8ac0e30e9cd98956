"""Connections to Redis by our own rules: no silent retries, RESP2, nothing said about the client's machine."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

SOCKET_TIMEOUT_SECONDS: Final = 5.0
"""A server that is silent for longer is taken as gone."""

BLOCK_MILLISECONDS: Final = 2000
"""Longest blocking read: under half of the socket's timeout, so that an idle read is never taken for an outage."""

READ_COUNT: Final = 1000
"""Entries read at once from a stream."""

FIELD: Final = b"m"
"""The one field of every stream entry."""

OUTAGE: Final = (RedisConnectionError, RedisTimeoutError, redis.exceptions.BusyLoadingError)
"""What a passing outage looks like."""

Client: TypeAlias = Any
"""A `redis.Redis`. Its methods are typed as unions of every protocol's replies; here it is RESP2 with bytes, and each
reader says what it takes out."""

Returned = TypeVar("Returned")


class BusError(Exception):
    """Redis can't be used; the message says why and what to do."""


def connect(url: str) -> Client:
    """A client that has not connected yet.

    Raises:
        BusError: the URL can't be read.
    """
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
    except ValueError:
        # The parser's own words may hold a part of the password.
        raise BusError(
            f"{redacted(url)!r} is no Redis URL: write redis://[user:password@]host:port/db, rediss://… for TLS, "
            "or unix:///path/to/socket"
        ) from None


def check(client: Client, url: str) -> None:
    """Say hello, once.

    Raises:
        BusError: no answer, or not allowed in; names address, reason and remedy.
    """
    try:
        client.ping()
    except RedisError as e:
        raise BusError(
            f"Redis at {redacted(url)} can't be used ({e}): check the address, that the server runs, and the password"
        ) from e


def redacted(url: str) -> str:
    """The URL without user, password and options (which may hold a password too)."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{'***@' if at else ''}{place}"


def delays(*, first: float = 0.2, most: float = 15.0, rng: random.Random | None = None) -> Iterator[float]:
    """Waits with full jitter, doubling up to `most` seconds, without end."""
    draw = rng or random.SystemRandom()
    ceiling = first
    while True:
        yield draw.uniform(first / 2, ceiling)
        ceiling = min(most, ceiling * 2)


def patiently(
    call: Callable[[], Returned],
    *,
    on_wait: Callable[[float, Exception], None] = lambda seconds, error: None,
    sleep: Callable[[float], Any] = time.sleep,
    stop: Callable[[], bool] = lambda: False,
) -> Returned:
    """Call until Redis answers, waiting with jitter between tries, for ever (or until `stop` says so).

    Raises:
        RedisError: an answer that is an error; or the outage itself when stopped.
    """
    for seconds in delays():
        try:
            return call()
        except OUTAGE as e:
            if stop():
                raise
            on_wait(seconds, e)
            sleep(seconds)
    raise AssertionError("delays never end")


def is_missing_group(error: ResponseError) -> bool:
    """Whether the server says that a stream or its group isn't there (yet, or after a flush).

    UNBLOCKED is the answer to a read that was waiting when the stream was deleted.
    """
    return str(error).startswith(("NOGROUP", "UNBLOCKED")) or "no such key" in str(error)


def bounded(block_milliseconds: int) -> int:
    """A blocking time that the socket's timeout can't cut short; 0 would mean for ever."""
    return max(1, min(block_milliseconds, BLOCK_MILLISECONDS))


def entries(client: Client, stream: str, *, after: str = "0") -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """A stream's entries after an id, page by page: a long stream doesn't stop the server for all others."""
    while True:
        page = client.xrange(stream, min=f"({after}", count=READ_COUNT)
        for entry, fields in page:
            after = text(entry)
            yield after, fields
        if len(page) < READ_COUNT:
            return


def ensure_group(client: Client, stream: str, group: str) -> None:
    """Make stream and group; that they are there already is no error, also on a server that is full."""
    try:
        client.xgroup_create(stream, group, id="0", mkstream=True)
    except OutOfMemoryError:  # said before the server looks whether there is anything to make
        if delivered(client, stream, group) is None:
            raise
    except ResponseError as e:
        if not str(e).startswith("BUSYGROUP"):
            raise


def delivered(client: Client, stream: str, group: str) -> str | None:
    """Id of the last entry that was given to someone of a group; None without such a group."""
    try:
        groups = client.xinfo_groups(stream)
    except ResponseError as e:
        if is_missing_group(e):
            return None
        raise
    return next((text(found["last-delivered-id"]) for found in groups if text(found["name"]) == group), None)


def text(value: bytes | str) -> str:
    """A reply as text. What is none (an agent may call itself anything) is readable all the same, and names nothing."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
