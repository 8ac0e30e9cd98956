"""What the tests' cluster asks of kubectl and of the node's containerd, and how long the tests wait for an answer."""

import json
from pathlib import Path

import pytest

from cluster.docker import Docker
from cluster.kube import Cluster
from cluster.shell import CommandError
from support import polling
from support.polling import until


class Programs:
    """kubectl and docker that write down how they are called, and answer as told."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._calls = folder, folder / "calls"
        for name in ("kubectl", "docker"):
            self.answer(name, "")

    def answer(self, name: str, script: str) -> None:
        path = self._folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._calls}\n{script}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return [call.replace(f"--kubeconfig {self._folder} ", "") for call in self._calls.read_text().splitlines()]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Programs(tmp_path)


@pytest.fixture
def cluster(programs: Programs, tmp_path: Path) -> Cluster:
    return Cluster("kind", tmp_path, tmp_path / "kubectl", tmp_path / "helm", Docker("mine"))


def test_a_namespace_that_is_still_leaving_is_waited_for(cluster: Cluster, programs: Programs) -> None:
    leaving = json.dumps({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    programs.answer("kubectl", f"test $3 = get && echo '{leaving}' || true")

    with cluster.namespace(named="pfpnas"):
        pass

    words = [call.split()[1] for call in programs.calls]
    assert words == ["get", "wait", "create", "delete"]
    assert "--for=delete namespace/pfpnas" in programs.calls[1]


def test_a_namespace_that_is_not_there_is_made_at_once(cluster: Cluster, programs: Programs) -> None:
    with cluster.namespace(named="pfpnas", keep=True):
        pass

    assert [call.split()[1] for call in programs.calls] == ["get", "create"]


def test_a_container_is_killed_on_its_node_by_its_own_id(cluster: Cluster, programs: Programs) -> None:
    containers = [{"name": "main", "containerID": "containerd://abc"}, {"name": "x", "containerID": "containerd://d"}]
    pod = json.dumps({"status": {"containerStatuses": containers}})
    programs.answer("kubectl", f"echo '{pod}'")

    cluster.kill("pod-1", namespace="team", container="main")

    kill = "ctr -n k8s.io tasks kill --signal SIGKILL abc"
    assert programs.calls == ["kubectl get pod pod-1 -n team -o json", f"docker exec mine-control-plane {kill}"]


def test_pods_of_kind_reach_this_machine_at_the_gateway_of_its_network(programs: Programs) -> None:
    programs.answer("docker", "echo fc00:f853::1 172.18.0.1")

    assert Docker("mine").host_address() == "172.18.0.1"


def test_what_is_not_there_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PAUSE_SECONDS", 0.01)
    said = iter([None, CommandError("pods 'x' not found"), CommandError("etcdserver: request timed out"), "there"])

    def ready() -> object:
        one = next(said)
        if isinstance(one, Exception):
            raise one
        return one

    assert until("it", ready, seconds=60) == "there"


def test_an_error_that_does_not_pass_is_told_at_once() -> None:
    def ready() -> object:
        raise CommandError("forbidden")

    with pytest.raises(CommandError, match="forbidden"):
        until("it", ready, seconds=60)


def test_time_that_runs_out_tells_what_is_known() -> None:
    def ready() -> object:
        raise CommandError("pod 'x' not found")

    with pytest.raises(AssertionError, match=r"(?s)the pod: not within 0 s.*the whole story"):
        until("the pod", ready, seconds=0.01, told=lambda: "the whole story")
