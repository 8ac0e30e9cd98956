"""The providers with a Docker engine, against programs that only write down how they were called.

kind and an engine are on GitHub's machines only; here is shown what is asked of them, and what their refusals lead to.
"""

from pathlib import Path

import pytest

from cluster import provider, settings
from cluster.docker import Docker
from cluster.provider import Choice, provide, what_kind_lacks


class Programs:
    """Programs on the PATH that write down their command lines; `answer` gives one a script of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._calls = folder, folder / "calls"
        for name in ("kind", "docker", "kubectl", "helm"):
            self.answer(name, "")

    def answer(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._calls}\n{script}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(provider, "CACHE", tmp_path / "cache")
    return Programs(folder)


def test_nothing_is_missing_where_a_privileged_container_of_the_node_image_runs(programs: Programs) -> None:
    assert what_kind_lacks() is None
    assert any("run --rm --privileged" in call and settings.NODE_IMAGE in call for call in programs.calls)


@pytest.mark.parametrize(
    ("script", "lacks"),
    [
        ("exit 1", "no Docker engine answers"),
        ("test $1 != image", f"no node image {settings.NODE_IMAGE}"),
        ("test $1 != run", "no privileged containers"),
    ],
)
def test_what_docker_refuses_is_what_is_missing(programs: Programs, script: str, lacks: str) -> None:
    programs.answer("docker", script)

    assert what_kind_lacks() == lacks


def test_a_cluster_that_was_made_for_the_tests_goes_with_them(programs: Programs) -> None:
    with provide(Choice("kind", "")) as cluster:
        made = programs.calls[-1]
        assert cluster.kubeconfig == provider.CACHE / "kind.kubeconfig"

    assert made.startswith(f"kind create cluster --name {settings.KIND_CLUSTER}")
    assert settings.NODE_IMAGE in made
    assert str(settings.HERE / "kind.yaml") in made
    assert programs.calls[-1].startswith(f"kind delete cluster --name {settings.KIND_CLUSTER}")


def test_a_cluster_that_ran_before_goes_on_running(programs: Programs) -> None:
    programs.answer("kind", f"test $1 = get && echo {settings.KIND_CLUSTER} || true")

    with provide(Choice("kind", "")):
        pass

    assert [call.split()[1] for call in programs.calls] == ["get", "export"]


def test_an_existing_kind_cluster_gets_its_images_by_its_own_name(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text("current-context: kind-mine")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with provide(Choice("existing", "")) as cluster:
        cluster.load_image("localhost/x:1")

    assert programs.calls[-1] == "kind load docker-image localhost/x:1 --name mine"


def test_an_image_that_the_node_has_is_not_sent_again(programs: Programs) -> None:
    programs.answer("docker", "test $1 = exec && echo localhost/x:1 || true")

    assert Docker("mine").loaded("localhost/x:1")
    assert not Docker("mine").loaded("localhost/x:2")


def test_docker_builds_with_the_arguments_in_the_context(programs: Programs, tmp_path: Path) -> None:
    Docker("mine").build("localhost/x:1", tmp_path / "Containerfile", tmp_path, {"A": "1"})

    expected = f"docker build --file {tmp_path}/Containerfile --tag localhost/x:1 --build-arg A=1 {tmp_path}"
    assert programs.calls == [expected]
