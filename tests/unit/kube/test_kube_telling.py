"""Who looks at a search is told what only a person can mend."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError, OutOfMemoryError, RedisError, ResponseError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_operator.kube.keeper import Keeper


class Failing(Keeper):
    """A keeper of whose cycle Redis or the store makes nothing."""

    kind = "NASExperiment"
    error: RedisError | ArtifactError

    def cycle(self, now: datetime) -> float:
        raise self.error

    def forget(self) -> None:
        raise AssertionError("what is remembered is as it was")


def told_of(error: RedisError | ArtifactError) -> list[tuple[str, str, str]]:
    told: list[tuple[str, str, str]] = []
    announcer = SimpleNamespace(tell=lambda event, subject: told.append((event.type, event.reason, event.message)))
    doubted: list[str] = []
    parts: Any = SimpleNamespace(announcer=announcer, rights=SimpleNamespace(doubt=doubted.append))
    unused: Any = None
    keeper = Failing({"metadata": {"namespace": "a", "name": "n", "uid": "u"}}, parts, threads=unused, loop=unused)
    keeper.error = error
    keeper._guarded()
    assert doubted == (["u"] if isinstance(error, ArtifactError) else [])
    return told


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("used memory > 'maxmemory'"),
        ResponseError("MISCONF no space"),
        ArtifactError("artifact store http://a is away"),
    ],
)
def test_that_redis_refuses_a_write_or_the_store_fails_is_told(error: RedisError | ArtifactError) -> None:
    ((kind, reason, message),) = told_of(error)
    assert (kind, reason) == ("Warning", "ReconcileFailed")
    assert str(error) in message


def test_an_outage_is_no_event() -> None:
    assert told_of(ConnectionError("Connection refused")) == []
