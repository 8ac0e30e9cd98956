"""`pfpnas agents` on a cluster: who is heard, and who is shut out. Everybody's fixtures show that `add` lets in."""

import contextlib
import secrets

import pytest
from redis.exceptions import AuthenticationError

from pfpnas_api.bus import connect
from pfpnas_api.joining import Join
from support.lab import table
from support.polling import until
from support.release import OutsideAgent, Release

SHUT_OUT_SECONDS = 20
"""What `pfpnas agents remove` promises."""


def listed(release: Release) -> dict[str, tuple[str, str]]:
    """Agents by name: the pool, and whether they are heard."""
    rows = table(release.pfpnas("agents", "list", "-n", release.namespace))
    return {row["NAME"]: (row["POOL"], row["HEARD"]) for row in rows}


def test_an_agent_that_runs_is_listed_with_its_pool_as_heard(release: Release, agent: OutsideAgent) -> None:
    heard = ("bench", "yes")
    until(f"{agent.name} is heard", lambda: listed(release).get(agent.name) == heard, seconds=60, told=release.story)


@pytest.mark.usefixtures("agent")
def test_a_removed_agent_is_listed_no_more_and_its_user_is_shut_out(release: Release) -> None:
    name = f"dismissed-{secrets.token_hex(3)}"
    try:
        join = Join.decode(release.join_string(name, pool="bench"))
        assert is_let_in(join)
        assert listed(release)[name] == ("bench", "never")

        release.pfpnas("agents", "remove", name, "-n", release.namespace)

        assert name not in listed(release)
        until("it is shut out", lambda: not is_let_in(join), seconds=SHUT_OUT_SECONDS, told=release.story)
    finally:
        release.forget_agent(name)


def is_let_in(join: Join) -> bool:
    """Whether Redis takes the user and the password of a join string."""
    with contextlib.closing(connect(join.redis_url)) as client:
        try:
            return bool(client.ping())
        except AuthenticationError:
            return False
