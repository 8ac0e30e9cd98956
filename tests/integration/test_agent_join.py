"""An agent joins a real cluster's Redis by its string: TLS with an authority of its own, and a user of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from redis.exceptions import NoPermissionError

from pfpnas_api.bus import OperatorBus, connect
from pfpnas_api.joining import Join
from pfpnas_operator.access.rules import agent_rules
from pfpnas_operator.access.users import RedisUsers
from support.agent_process import POOL, World, agent_process, eventually
from support.certificates import Certificates, make_certificates
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors
from support.ports import free_port

PASSWORD = "password-of-agent-lab"


class Cluster:
    """A Redis with TLS beside its plain port, and an operator that added the agent `lab`."""

    def __init__(self, server: GuardedRedis, certificates: Certificates, tls_port: int) -> None:
        self.server, self.certificates, self.tls_port = server, certificates, tls_port
        self.users = RedisUsers(connect(server.operator_url), FixedKey())
        self.users.ensure("agent-lab", agent_rules(POOL, "lab"))

    def join(self, *, host: str = "localhost", ca: str | None = None) -> Join:
        return Join(
            url=f"rediss://{host}:{self.tls_port}/0",
            ca=ca or self.certificates.authority_pem,
            user="agent-lab",
            password=PASSWORD,
            pool=POOL,
            name="lab",
        )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    need_selectors()
    made, port = make_certificates(tmp_path / "tls"), free_port()
    files = ["--tls-cert-file", made.certificate, "--tls-key-file", made.key, "--tls-ca-cert-file", made.authority]
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", *map(str, files)]
    with guarded_redis(options=options) as server:
        yield Cluster(server, made, port)


@pytest.fixture
def world(cluster: Cluster, tmp_path: Path) -> World:
    """The operator's side of the cluster, and a device whose owner wrote a file but knows no Redis."""
    world = World(tmp_path / "device", cluster.server.operator_url)
    for said in ("redis", "pool"):
        del world.config[said]
    _ = world.config_path
    return world


def command(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "pfpnas_agent", *arguments]
    return subprocess.run(run, input=given, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


def joining(world: World, join: Join) -> subprocess.CompletedProcess[str]:
    return command("join", "-", "--config", str(world.folder / "agent.yaml"), given=join.encode() + "\n")


def test_from_the_string_to_a_measurement(cluster: Cluster, world: World) -> None:
    done = joining(world, cluster.join())
    assert (done.returncode, done.stderr) == (0, "")
    assert f"connected to rediss://localhost:{cluster.tls_port}/0 as agent-lab" in done.stdout
    assert "no experiment has used it yet" in done.stdout
    assert PASSWORD not in done.stdout

    with agent_process(world.folder, world.folder / "agent.yaml") as agent:
        result = world.measured(world.task())
        assert list(world.operator.agents(POOL)) == ["lab"]
        assert PASSWORD not in agent.output
    assert result.latency is not None
    assert result.accuracy is not None
    assert cluster.server.refusals() == []

    assert "in use, its tasks can be taken" in joining(world, cluster.join()).stdout


def test_many_processes_share_one_join_and_are_told_apart(cluster: Cluster, world: World, tmp_path: Path) -> None:
    devices = []
    for number in (1, 2):
        folder = tmp_path / f"pod-{number}"
        folder.mkdir()
        (folder / "join").write_text(cluster.join().encode())
        config = {**world.config, "joinFile": "join", "stateDir": "state", "datasets": {}}
        (folder / "agent.yaml").write_text(yaml.safe_dump(config))
        devices.append(folder)
    with (
        agent_process(devices[0], devices[0] / "agent.yaml") as first,
        agent_process(devices[1], devices[1] / "agent.yaml") as second,
    ):
        bus = OperatorBus(connect(cluster.server.operator_url))
        found = eventually(lambda: sorted(bus.agents(POOL)) if len(bus.agents(POOL)) == 2 else None, "two agents")
        first.kill()
        with agent_process(devices[0], devices[0] / "agent.yaml") as again:
            again.wait_for("agent starts")
            assert again.events("agent starts")[0]["agent"] in found
        assert second.events("agent starts")[0]["agent"] in found
    assert all(len(name) == len("lab.01234567") and name.startswith("lab.") for name in found)
    assert cluster.server.refusals() == []


def test_a_stolen_password_does_nothing_else(cluster: Cluster) -> None:
    stolen = connect(cluster.join().redis_url)
    assert stolen.ping()
    for refused in (("keys", "*"), ("flushall",), ("xrange", f"pfp:v1:{{{POOL}}}:tasks", "-", "+"), ("acl", "list")):
        with pytest.raises(NoPermissionError):
            stolen.execute_command(*refused)
    with pytest.raises(NoPermissionError):
        OperatorBus(stolen).agents(POOL)


def other_authority(cluster: Cluster, tmp_path: Path) -> Join:
    return cluster.join(ca=make_certificates(tmp_path / "others").authority_pem)


def other_host(cluster: Cluster, tmp_path: Path) -> Join:
    """The certificate names localhost, not its address."""
    return cluster.join(host="127.0.0.1")


def removed(cluster: Cluster, tmp_path: Path) -> Join:
    cluster.users.remove("agent-lab")
    return cluster.join()


def other_pool(cluster: Cluster, tmp_path: Path) -> Join:
    cluster.users.ensure("agent-lab", agent_rules("other", "lab"))
    return cluster.join()


def nobody_there(cluster: Cluster, tmp_path: Path) -> Join:
    cluster.server.kill()
    return cluster.join()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (other_authority, "certificate verify failed"),
        (other_host, "IP address mismatch"),
        (removed, "Redis doesn't know this user and password: an agent that was just added is let in within half a"),
        (other_pool, "agent-lab may not take tasks of pool bench"),
        (nobody_there, "can't be used (Error 111"),
    ],
)
def test_why_a_join_does_not_work_is_said_and_the_string_is_kept(
    cluster: Cluster, world: World, tmp_path: Path, fault: Callable[[Cluster, Path], Join], said: str
) -> None:
    done = joining(world, fault(cluster, tmp_path))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.stderr + done.stdout
    assert (world.folder / "agent.join").exists()
