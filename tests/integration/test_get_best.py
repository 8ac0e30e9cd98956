"""`pfpnas get best` as a user runs it, as far as no cluster is needed; the rest is in the end-to-end tests."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.artifacts.http import HttpStore
from pfpnas_operator.client.forward import forwarded_pool
from support.artifact_server import artifact_server


def get_best(*words: str, cwd: Path) -> tuple[int, str]:
    """Its exit code and standard error."""
    command = [sys.executable, "-c", "from pfpnas_operator.cli import main; main()", "get", "best", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    """Of a cluster that doesn't answer: nothing listens on port 9 of the loopback."""
    path = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}],
        "current-context": "lab",
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_file_that_is_there_is_not_replaced_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "best.onnx").write_text("mine")
    code, text = get_best("digits", "--kubeconfig", "nowhere", cwd=tmp_path)
    assert (code, text) == (1, "best.onnx is there: name another file with -o, or replace it with --force\n")
    assert (tmp_path / "best.onnx").read_text() == "mine"


def test_what_is_wrong_with_the_kubeconfig_is_one_line(tmp_path: Path, kubeconfig: str) -> None:
    (tmp_path / "odd").write_text("{[")
    cases = [
        (("--kubeconfig", "nowhere"), "--kubeconfig nowhere: there is no such file"),
        (("--kubeconfig", "odd"), "--kubeconfig odd"),
        (
            ("--kubeconfig", kubeconfig, "--context", "x"),
            "--context x: the kubeconfig has no such context; it has: lab",
        ),
        (
            ("--kubeconfig", kubeconfig),
            "read NASExperiment team-a/digits: http://127.0.0.1:9 (context lab) does not answer",
        ),
    ]
    for options, expected in cases:
        code, text = get_best("digits", *options, cwd=tmp_path)
        assert code == 1
        assert expected in text
        assert len(text.splitlines()) == 1, text
    assert not (tmp_path / "best.onnx").exists()


def test_the_store_is_read_over_connections_that_somebody_else_makes(tmp_path: Path) -> None:
    with artifact_server(tmp_path) as server:
        digest = server.store().put(b"x" * 3_000_000).sha256
        host, _, port = server.address.removeprefix("http://").partition(":")
        dialled: list[str] = []

        def dial() -> socket.socket:
            dialled.append(host)
            return socket.create_connection((host, int(port)))

        pool = forwarded_pool(dial)
        store = HttpStore("http://store.ml.svc", token=server.key.token("e"), patience_seconds=5, pool=pool)
        assert store.get(digest) == b"x" * 3_000_000
        assert store.has(digest)
        assert len(dialled) == 1
        server.kill()
        with pytest.raises(ArtifactError, match=r"http://store\.ml\.svc is away"):
            store.get(digest)
