"""The operator's housekeeping on a real Redis: the register decides who gets in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, RedisError

from pfpnas_api.bus import AgentBus, OperatorBus, connect
from pfpnas_api.messages import Heartbeat
from pfpnas_operator.access.housekeeping import Note, OwnerSweep, tend_agents
from pfpnas_operator.access.registry import HEARD, HEARD_AT, LET_IN, PROBLEM, Agent, config_map
from pfpnas_operator.access.rules import agent_rules, owner_rules, owner_user
from pfpnas_operator.access.users import RedisUsers
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


class House:
    """The operator's side."""

    def __init__(self, server: GuardedRedis) -> None:
        self.server, client = server, connect(server.operator_url)
        self.users, self.bus = RedisUsers(client, FixedKey()), OperatorBus(client)

    def tend(self, *config_maps: dict[str, Any], release: str = "n") -> list[Note]:
        return tend_agents(self.users, self.bus, config_maps, release=release, now=NOW)


@pytest.fixture
def house() -> Iterator[House]:
    need_selectors()
    with guarded_redis() as server:
        yield House(server)


def registered(name: str, *, password: str = "secret", pool: str = "bench") -> dict[str, Any]:
    return config_map(Agent(name, pool, sha256(password.encode()).hexdigest()), namespace="n")


def test_who_is_registered_gets_in_and_who_is_gone_is_out(house: House) -> None:
    assert [note.config_map for note in house.tend(registered("a"), registered("b"))] == [
        "pfpnas-agent-a",
        "pfpnas-agent-b",
    ]
    gone = house.server.client("agent-b", "secret")
    assert gone.ping()
    house.tend(registered("a"))
    with pytest.raises(RedisError):
        gone.ping()
    assert house.server.client("agent-a", "secret").ping()
    assert house.users.names("agent-") == ["agent-a"]


def test_an_agent_that_beats_is_heard_and_one_that_moves_pool_loses_the_old_one(house: House) -> None:
    house.tend(registered("a"))
    client = house.server.client("agent-a", "secret")
    AgentBus(client, pool="bench", agent="a.01234567").beat(Heartbeat(state="Idle"))
    (note,) = house.tend(registered("a"))
    assert note.annotations[HEARD] == "1"
    assert note.annotations[HEARD_AT] == "2030-01-01T12:00:00Z"
    assert LET_IN in note.annotations
    house.tend(registered("a", pool="other"))
    with pytest.raises(RedisError):
        AgentBus(client, pool="bench", agent="a").beat(Heartbeat(state="Idle"))


def test_an_object_that_is_no_agent_is_told_so_once_and_lets_nobody_in(house: House) -> None:
    bad = registered("a")
    bad["data"]["pool"] = "*"
    (note,) = house.tend(bad, registered("b"))[:1]
    problem = note.annotations[PROBLEM]
    assert problem is not None
    assert "pool" in problem
    bad["metadata"]["annotations"] = {PROBLEM: problem}
    assert [one.config_map for one in house.tend(bad, registered("b"))] == ["pfpnas-agent-b"]
    assert house.users.names("agent-") == ["agent-b"]


def test_without_users_the_reason_is_said(house: House) -> None:
    (note,) = tend_agents(None, house.bus, [registered("a")], release="n", now=NOW)
    assert "redis.users: Off" in str(note.annotations[PROBLEM])
    assert house.users.names("agent-") == []


def test_users_of_owners_that_are_gone_are_removed_and_agents_stay(house: House) -> None:
    house.tend(registered("a"))
    for uid in ("u1", "u2"):
        house.users.ensure(owner_user(uid), owner_rules(uid, ["bench"]))
    sweep = OwnerSweep()
    assert sweep.sweep(house.users, {"u1"}.__contains__) == []
    assert sweep.sweep(house.users, {"u1"}.__contains__) == ["owner-u1"]
    assert house.users.names("") == ["admin", "agent-a", "default", "operator", "owner-u2"]


def test_an_owner_that_came_after_the_look_keeps_its_user(house: House) -> None:
    sweep = OwnerSweep()
    house.users.ensure(owner_user("u1"), owner_rules("u1", ["bench"]))
    for gone in ({"u1"}, set[str](), {"u1"}):
        assert sweep.sweep(house.users, gone.__contains__) == []
    assert "owner-u1" in house.users.names("")


def test_two_releases_on_one_redis_leave_each_others_agents_alone(house: House) -> None:
    house.tend(registered("a"))
    theirs = house.server.client("agent-a", "secret")
    assert theirs.ping()
    house.tend(registered("b"), release="other")
    assert theirs.ping()
    house.tend(release="other")
    assert theirs.ping()
    assert house.users.names("agent-") == ["agent-a"]
    house.tend()
    with pytest.raises(RedisError):
        theirs.ping()


def test_an_agent_that_joined_before_users_were_marked_stays_connected_and_goes_with_its_record(house: House) -> None:
    digest = sha256(b"secret").hexdigest()
    house.users.ensure("agent-a", agent_rules("bench", "a"), password_sha256=digest)
    client = house.server.client("agent-a", "secret")
    assert client.ping()
    house.tend(registered("a"))
    assert client.ping()
    house.tend()
    assert house.users.names("agent-") == []


def test_the_mark_of_a_release_opens_nothing(house: House) -> None:
    house.tend(registered("a"))
    house.server.admin().set("pfp:v1:release:n", "x")
    client = house.server.client("agent-a", "secret")
    for command in (("GET", "pfp:v1:release:n"), ("EXISTS", "pfp:v1:release:n")):
        with pytest.raises(NoPermissionError):
            client.execute_command(*command)
