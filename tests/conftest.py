"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest
import redis

from pfpnas_api.bus import connect
from support.redis_server import RedisServer, redis_server


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
