"""Making, changing and removing users of a real Redis; what a restart does to them; servers that can't."""

from collections.abc import Iterator
from hashlib import sha256

import pytest
from redis.exceptions import AuthenticationError, RedisError

from pfpnas_api.bus import connect
from pfpnas_operator.access.rules import agent_rules
from pfpnas_operator.access.users import RedisUsers
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors

RULES = agent_rules("bench", "lab")


@pytest.fixture
def server() -> Iterator[GuardedRedis]:
    need_selectors()
    with guarded_redis() as running:
        yield running


def users_of(server: GuardedRedis) -> RedisUsers:
    return RedisUsers(connect(server.operator_url), FixedKey())


def writes(server: GuardedRedis) -> int:
    """How often a user was set so far."""
    stats = server.admin().info("commandstats")
    return int(stats.get("cmdstat_acl|setuser", {}).get("calls", 0))


def test_a_user_that_is_there_is_not_set_again(server: GuardedRedis) -> None:
    users = users_of(server)
    assert users.available
    before = writes(server)
    assert users.ensure("agent-lab", RULES)
    assert not users.ensure("agent-lab", RULES)
    assert writes(server) == before + 1
    assert server.client("agent-lab", "password-of-agent-lab").ping()


def test_an_operator_that_starts_again_changes_nothing(server: GuardedRedis) -> None:
    users_of(server).ensure("agent-lab", RULES)
    connection = server.client("agent-lab", "password-of-agent-lab")
    connection.ping()
    assert not users_of(server).ensure("agent-lab", RULES)
    assert connection.ping()


def test_a_user_that_somebody_widened_gets_its_rules_back(server: GuardedRedis) -> None:
    users = users_of(server)
    users.ensure("agent-lab", RULES)
    server.admin().execute_command("ACL SETUSER", "agent-lab", "allkeys", "+@all")
    assert users.ensure("agent-lab", RULES)
    with pytest.raises(RedisError):
        server.client("agent-lab", "password-of-agent-lab").flushall()


def test_other_rules_replace_the_old_ones(server: GuardedRedis) -> None:
    users = users_of(server)
    users.ensure("agent-lab", RULES)
    assert users.ensure("agent-lab", agent_rules("other", "lab"))
    assert server.admin().acl_getuser("agent-lab")["selectors"][0][-3] == "~pfp:v1:{other}:tasks"


def test_another_password_ends_what_was_opened_with_the_old_one(server: GuardedRedis) -> None:
    users = users_of(server)
    users.ensure("agent-lab", RULES, password_sha256=sha256(b"old").hexdigest())
    stolen = server.client("agent-lab", "old")
    stolen.ping()
    assert users.ensure("agent-lab", RULES, password_sha256=sha256(b"new").hexdigest())
    with pytest.raises(RedisError):
        stolen.ping()
    with pytest.raises(AuthenticationError):
        server.client("agent-lab", "old").ping()
    assert server.client("agent-lab", "new").ping()


def test_a_removed_user_is_out_at_once(server: GuardedRedis) -> None:
    users = users_of(server)
    users.ensure("agent-lab", RULES)
    client = server.client("agent-lab", "password-of-agent-lab")
    client.ping()
    assert users.remove("agent-lab")
    assert not users.remove("agent-lab")
    with pytest.raises(RedisError):
        client.ping()
    assert users.names("agent-") == []


def test_names_are_those_of_a_prefix(server: GuardedRedis) -> None:
    users = users_of(server)
    for name in ("agent-b", "agent-a", "owner-1"):
        users.ensure(name, ["-@all"])
    assert users.names("agent-") == ["agent-a", "agent-b"]


def test_users_survive_a_restart_with_a_file_for_them(server: GuardedRedis) -> None:
    users = users_of(server)
    users.ensure("agent-lab", RULES)
    users.ensure("agent-gone", RULES)
    users.remove("agent-gone")
    server.restart()
    assert server.client("agent-lab", "password-of-agent-lab").ping()
    assert users_of(server).names("agent-") == ["agent-lab"]


def test_without_a_file_they_are_lost_and_made_again() -> None:
    need_selectors()
    with guarded_redis(keeps_users=False) as server:
        users = users_of(server)
        assert users.ensure("agent-lab", RULES)
        server.restart()
        with pytest.raises(AuthenticationError):
            server.client("agent-lab", "password-of-agent-lab").ping()
        users = RedisUsers(connect(server.operator_url), FixedKey())
        assert users.ensure("agent-lab", RULES)
        assert server.client("agent-lab", "password-of-agent-lab").ping()


def test_the_same_operator_makes_them_again_after_a_restart_of_redis() -> None:
    need_selectors()
    with guarded_redis(keeps_users=False) as server:
        client = connect(server.operator_url)
        users = RedisUsers(client, FixedKey())
        users.ensure("agent-lab", RULES)
        server.restart()
        client.connection_pool.disconnect()
        assert users.ensure("agent-lab", RULES)
        assert server.client("agent-lab", "password-of-agent-lab").ping()


def test_a_client_that_may_not_make_users_is_told_so(server: GuardedRedis) -> None:
    users_of(server).ensure("agent-lab", RULES)
    users = RedisUsers(server.client("agent-lab", "password-of-agent-lab"), FixedKey())
    assert not users.available
    assert users.refusal is not None
    assert "no permissions" in users.refusal
