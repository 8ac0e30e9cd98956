"""`pfpnas agents` on what looks like an API server to it, with a real Redis behind, where one is let in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from typer.testing import CliRunner, Result

from pfpnas_api.bus import AgentBus, OperatorBus, connect
from pfpnas_api.joining import Join
from pfpnas_api.messages import Heartbeat
from pfpnas_operator.access.housekeeping import tend_agents
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.cli import app
from support.certificates import a_certificate
from support.config_map_api import ConfigMapApi, config_map_api, merge
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors

NS = "pfpnas-system"


@pytest.fixture
def api() -> Iterator[ConfigMapApi]:
    with config_map_api() as served:
        served.put(NS, "pfpnas-agents", {"redisUrl": "rediss://redis.example.org:6379/0", "ca.crt": a_certificate()})
        yield served


class Operator:
    """What the operator does whenever the register changes."""

    def __init__(self, api: ConfigMapApi, server: GuardedRedis) -> None:
        client = connect(server.operator_url)
        self._api, self._users, self._bus = api, RedisUsers(client, FixedKey()), OperatorBus(client)

    def tend(self) -> None:
        register = [found for found in self._api.objects.values() if "labels" in found["metadata"]]
        for note in tend_agents(self._users, self._bus, register, release=NS, now=datetime.now(UTC)):
            merge(self._api.objects[NS, note.config_map], {"metadata": {"annotations": note.annotations}})


def pfpnas(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["agents", *arguments])


def listed(*at: str) -> list[list[str]]:
    """Name, pool and whether it is heard, of each agent."""
    header, *rows = pfpnas("list", *at).stdout.splitlines()
    assert header.split() == ["NAME", "POOL", "AGE", "HEARD"]
    return [[row.split()[column] for column in (0, 1, -1)] for row in rows]


def test_from_add_to_remove(api: ConfigMapApi, tmp_path: Path) -> None:
    need_selectors()
    at = ("--kubeconfig", str(api.kubeconfig(tmp_path)))
    with guarded_redis() as server:
        operator = Operator(api, server)
        api.on_write = operator.tend

        added = pfpnas("add", "lab", "--pool", "bench", *at)
        assert added.exit_code == 0, added.stderr
        assert "agent lab of pool bench: let in" in added.stderr
        join = Join.decode(added.stdout)
        assert (join.url, join.pool, join.name, join.user) == (
            "rediss://redis.example.org:6379/0",
            "bench",
            "lab",
            "agent-lab",
        )
        assert join.ca == a_certificate().strip()
        assert server.client(join.user, join.password).ping()
        kept = api.objects[NS, "pfpnas-agent-lab"]
        assert kept["data"] == {"pool": "bench", "passwordSha256": sha256(join.password.encode()).hexdigest()}
        assert join.password not in str(api.objects) + added.stderr

        again = pfpnas("add", "lab", "--pool", "bench", *at)
        assert (again.exit_code, again.stdout) == (1, "")
        assert "agent lab is there already: --rotate makes a new password" in again.stderr

        rotated = pfpnas("add", "lab", "--pool", "bench", "--rotate", *at)
        fresh = Join.decode(rotated.stdout)
        assert fresh.password != join.password
        assert server.client("agent-lab", fresh.password).ping()

        assert listed(*at) == [["lab", "bench", "never"]]
        client = server.client("agent-lab", fresh.password)
        AgentBus(client, pool="bench", agent="lab").beat(Heartbeat(state="Idle"))
        operator.tend()
        assert listed(*at) == [["lab", "bench", "yes"]]

        removed = pfpnas("remove", "lab", *at)
        assert removed.stdout == "agent lab is removed; Redis shuts it out within 20 seconds\n"
        assert RedisUsers(server.admin(), FixedKey()).names("agent-") == []
        with pytest.raises(RedisConnectionError):
            client.ping()  # by the connection that it had
        with pytest.raises(AuthenticationError):
            server.client("agent-lab", fresh.password).ping()
    assert "no agents in namespace pfpnas-system" in pfpnas("list", *at).stderr


def test_what_goes_wrong_is_one_message_and_no_string(api: ConfigMapApi, tmp_path: Path) -> None:
    at = ("--kubeconfig", str(api.kubeconfig(tmp_path)))
    digest = {"pool": "bench", "passwordSha256": "ab" * 32}
    api.put(NS, "pfpnas-agent-lab", digest)
    api.objects[NS, "pfpnas-agent-lab"]["metadata"]["labels"] = {"pfpnas.io/agent": "lab"}
    for arguments, code, said in (
        (("add", "Not_A_Name", "--pool", "bench"), 2, "agents: name: "),
        (("add", "lab2", "--pool", "a b"), 2, "agents: pool: "),
        (("add", "gone", "--pool", "bench", "--rotate"), 1, "can't read agent gone: there is none in context here"),
        (("add", "lab", "--pool", "other", "--rotate"), 1, "agent lab is of pool bench: remove it, then add it"),
        (("add", "lab2", "--pool", "bench", "-n", "elsewhere"), 1, "elsewhere has no ConfigMap pfpnas-agents: with -n"),
        (("remove", "gone"), 1, "can't remove agent gone: there is none"),
    ):
        done = pfpnas(*arguments, *at)
        assert (done.exit_code, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert api.objects[NS, "pfpnas-agent-lab"]["data"] == digest


def test_help_teaches_how_pods_get_the_string() -> None:
    said = pfpnas("add", "--help").stdout
    assert "kubectl create secret generic pfpnas-join --from-file=join=/dev/stdin" in " ".join(said.split())
