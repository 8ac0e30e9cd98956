"""What start and stop of the local cluster decide by: processes, rules, volumes, digests of images."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster import buildah, certificates, components, host, images, processes, programs, settings, volumes
from cluster.docker import Docker

RULES = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j DOCKER
COMMIT
"""


def test_rules_of_others_stay() -> None:
    kept = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n"

    assert host.without_kubernetes(RULES) == kept
    assert host.without_kubernetes(kept) is None


def test_a_recorded_process_is_found_and_ended(tmp_path: Path) -> None:
    processes.start(
        "sleeper", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], tmp_path
    )
    pid = processes.running("sleeper", tmp_path)
    assert pid is not None

    processes.stop("sleeper", tmp_path)

    assert processes.started(pid) is None
    assert processes.running("sleeper", tmp_path) is None


def test_a_callers_lock_is_not_kept_by_what_was_started(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        processes.start("holder", ["sleep", "600"], tmp_path)
        pid = processes.running("holder", tmp_path)
        held = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        processes.stop("holder", tmp_path)

    assert str(tmp_path / "lock") not in held
    assert str(tmp_path / "holder.log") in held


def test_a_process_id_that_went_to_another_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        record = {"pid": other.pid, "started": "1", "command": []}
        (tmp_path / "old.json").write_text(json.dumps(record))

        processes.stop("old", tmp_path)

        assert other.poll() is None
        other.communicate(b"\n")


def test_a_record_that_a_kill_cut_short_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"pid": 1')

    assert processes.running("half", tmp_path) is None


def test_descendants_are_found_down_to_the_last() -> None:
    assert os.getpid() in processes.with_descendants([os.getppid()])


def test_only_released_volumes_of_ours_are_made_anew_and_emptied(tmp_path: Path) -> None:
    made = volumes.make_volumes(tmp_path, 3)
    (tmp_path / "local-00" / "old").touch()
    (tmp_path / "local-01" / "used").touch()
    phases = ["Released", "Bound", "Available"]
    listed = [{**volume, "status": {"phase": phase}} for volume, phase in zip(made, phases, strict=True)]
    foreign = {"metadata": {"name": "x"}, "spec": {"storageClassName": "other"}, "status": {"phase": "Released"}}

    renewed = volumes.released(json.dumps({"items": [*listed, foreign]}), tmp_path)

    assert renewed == made[:1]
    assert not list((tmp_path / "local-00").iterdir())
    assert list((tmp_path / "local-01").iterdir())


def test_go_mod_names_the_version_that_the_program_says_it_is() -> None:
    required = (settings.HERE / "go.mod").read_text()

    assert f"k8s.io/kubernetes {settings.KUBERNETES}" in required
    assert "v0." + settings.KUBERNETES.removeprefix("v1.") in required


def test_no_program_is_named_that_nothing_calls() -> None:
    folders = (settings.HERE, settings.ROOT / "tests" / "support", Path(__file__).parent)
    texts = [path.read_text() for folder in folders for path in folder.glob("*.py")]
    asked = {name for text in texts for name in re.findall(r'program\("([\w-]+)"\)', text)}
    assert asked - {"kubectl"} == settings.GO_PROGRAMS.keys()


def test_a_build_that_fails_leaves_no_program(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "tool").write_text("half")
        raise RuntimeError("interrupted")

    for _ in range(2):
        try:
            programs.once(tmp_path / "tool-v1" / "tool", half)
        except RuntimeError:
            assert [path.name for path in tmp_path.iterdir()] == [".tool-v1.lock"]


def test_a_servers_certificate_has_its_names_and_a_clients_has_none() -> None:
    server = certificates.extensions(certificates.IDENTITIES["apiserver"])
    client = certificates.extensions(certificates.IDENTITIES["kubelet"])

    assert f"IP:{settings.ADDRESS}" in server
    assert "serverAuth" in server
    assert "subjectAltName" not in client
    assert "clientAuth" in client


def test_nothing_of_the_cluster_listens_beyond_the_machine() -> None:
    command = components.api_server(Path("k"), Path("c"))
    kubelet = components.kubelet_config(Path("s"), Path("c"))

    assert command[command.index("--bind-address") + 1] == settings.ADDRESS
    assert kubelet["address"] == settings.ADDRESS
    assert all("127.0.0.1" in word for word in components.etcd(Path("e")) if word.startswith("http"))


def test_only_layers_that_the_node_lacks_are_sent() -> None:
    manifest = {"digest": "sha256:m"}
    content = {"config": {"digest": "sha256:c"}, "layers": [{"digest": f"sha256:{name}"} for name in "abb"]}

    assert buildah.blobs_to_send(manifest, content, ["sha256:a"]) == ["sha256:m", "sha256:c", "sha256:b"]


def test_an_image_is_found_in_the_layout_by_its_reference() -> None:
    named = {"digest": "sha256:1", "annotations": {"org.opencontainers.image.ref.name": "localhost/a:1"}}
    index = {"manifests": [{"digest": "sha256:0"}, named]}

    found = buildah.manifest_of("localhost/a:1", index)

    assert found == {"digest": "sha256:1", "annotations": {"io.containerd.image.name": "localhost/a:1"}}


def test_the_machines_package_index_is_for_the_build_alone(tmp_path: Path) -> None:
    mounts = buildah.package_settings(tmp_path, {"PIP_INDEX_URL": "https://index.example/simple"})

    assert "index-url = https://index.example/simple" in (tmp_path / "pip.conf").read_text()
    assert 'url = "https://index.example/simple"' in (tmp_path / "uv.toml").read_text()
    assert all(mount.endswith(":ro") for mount in mounts)


class Shelf:
    """An engine that keeps a record instead of building."""

    def __init__(self) -> None:
        self.builds: list[str] = []
        self.node: list[str] = []

    def base(self) -> str | None:
        return "base:1"

    def built(self, reference: str) -> bool:
        return reference in self.builds

    def build(self, reference: str, containerfile: Path, context: Path, build_args: Mapping[str, str]) -> None:
        assert build_args["BASE"] == "base:1"
        self.builds.append(reference)

    def loaded(self, reference: str) -> bool:
        return reference in self.node

    def load(self, reference: str) -> None:
        self.node.append(reference)


def test_an_image_is_built_again_when_an_input_changed_and_only_then(tmp_path: Path) -> None:
    shelf = Shelf()
    containerfile, code, other = (tmp_path / name for name in ("Containerfile", "code.py", "notes.md"))
    for path in (containerfile, code, other):
        path.write_text("1")

    def build() -> str:
        return images.build_image(shelf, "x", containerfile=containerfile, context=tmp_path, inputs=("code.py",))

    first = build()
    other.write_text("2")
    assert build() == first
    code.write_text("2")
    second = build()
    containerfile.write_text("2")
    third = build()

    assert shelf.builds == shelf.node == [first, second, third]
    assert len({first, second, third}) == 3


def test_docker_keeps_the_containerfiles_own_base() -> None:
    assert Docker("any").base() is None
