"""The server that tests start: real, killable, restartable on the same port."""

from pathlib import Path

import pytest
import redis

from support.redis_server import redis_server


def test_server_answers_and_is_gone_after_the_block() -> None:
    with redis_server() as server:
        client = redis.Redis.from_url(server.url)
        assert client.ping()
        client.close()
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(server.url, retry=None).ping()


def test_persisted_data_survive_a_kill(tmp_path: Path) -> None:
    with redis_server(persist=tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        port = server.port
        server.restart()
        assert server.port == port
        assert client.get("kept") == b"yes"


def test_without_a_folder_a_restart_forgets() -> None:
    with redis_server() as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.restart()
        assert client.get("kept") is None


def test_fixture_gives_an_empty_server(redis_client: redis.Redis) -> None:
    assert redis_client.dbsize() == 0
