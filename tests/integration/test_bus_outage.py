"""What an outage looks like from each side: patience, quiet progress, readable refusals."""

import threading
from pathlib import Path

import pytest
import redis

from pfpnas_api.bus import AgentBus, BusError, OperatorBus, WorkloadBus, check, connect, patiently, redacted
from pfpnas_api.messages import Heartbeat, Progress
from support.redis_server import redis_server


def test_a_call_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    with redis_server(persist=tmp_path) as server:
        client = connect(server.url)
        operator, agent = OperatorBus(client), AgentBus(client, pool="p", agent="a")
        operator.ensure_pool("p")
        agent.beat(Heartbeat(state="Idle"))
        server.kill()
        waits: list[float] = []
        restarted = threading.Event()

        def revive(seconds: float, error: Exception) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                server.restart()
                restarted.set()

        assert patiently(agent.held, on_wait=revive, sleep=lambda seconds: None) == []
        assert restarted.is_set()
        assert all(0 < seconds <= 15 for seconds in waits)
        client.close()


def test_a_stopped_caller_sees_the_outage() -> None:
    with redis_server() as server:
        client = connect(server.url)
    with pytest.raises(redis.exceptions.ConnectionError):
        patiently(client.ping, stop=lambda: True)


def test_an_answer_that_is_an_error_is_not_waited_out(redis_client: redis.Redis) -> None:
    redis_client.set("text", "x")
    with pytest.raises(redis.exceptions.ResponseError):
        patiently(lambda: redis_client.xlen("text"), sleep=lambda seconds: pytest.fail("waited"))


def test_progress_is_lost_quietly_while_redis_is_away() -> None:
    with redis_server() as server:
        bus = WorkloadBus(connect(server.url))
        server.kill()
        assert not bus.report("j1", Progress(stage="Tune"))
        assert not bus.ring("j1")
        server.restart()
        assert bus.report("j1", Progress(stage="Tune"))


def test_a_client_does_not_say_what_machine_it_is_on(redis_client: redis.Redis) -> None:
    [info] = [row for row in redis_client.client_list() if row["id"] == str(redis_client.client_id())]
    assert (info["name"], info.get("lib-name", ""), info.get("lib-ver", "")) == ("", "", "")


def test_a_refused_connection_names_address_and_remedy() -> None:
    with redis_server() as server:
        url = server.url
    with pytest.raises(BusError, match=r"127\.0\.0\.1.*check the address"):
        check(connect(url), url)


def test_a_wrong_password_is_told_without_it() -> None:
    with redis_server() as server:
        client = connect(server.url)
        client.config_set("requirepass", "right-secret")
        url = server.url.replace("redis://", "redis://:wrong-secret@")
        with pytest.raises(BusError) as caught:
            check(connect(url), url)
        assert "secret" not in str(caught.value)
        client.close()


@pytest.mark.parametrize("url", ["http://host", "localhost:6379", "redis://host:port", "redis://:secret@host:port", ""])
def test_what_is_no_redis_url_is_refused_with_what_is(url: str) -> None:
    with pytest.raises(BusError, match="is no Redis URL: write redis://") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://user:p@ss/w@host:1/0", "redis://***@host:1/0"),
        ("rediss://host:1/0?password=secret", "rediss://host:1/0"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown
