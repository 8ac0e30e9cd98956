"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, settings

from pfpnas_api.bus import connect
from support.redis_server import RedisServer, redis_server

# A busy machine is slow: that says nothing of what is tested. In CI this stands on Hypothesis' own profile, which draws
# the same examples each time.
settings.register_profile(
    "untimed", settings.default, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for the whole run: never kill it; a test that needs to starts its own `redis_server()`."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """Address of an empty Redis."""
    client = redis.Redis.from_url(shared_redis.url)
    client.flushall()
    client.close()
    return shared_redis.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of an empty Redis, made as all of ours are: RESP2, bytes, no silent retries."""
    client = connect(redis_url)
    yield client
    client.close()
