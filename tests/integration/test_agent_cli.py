"""What the device's owner types: check, preview, export; and messages instead of tracebacks."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from pfpnas_agent.datasets import prepare
from pfpnas_agent.datasets.resize import as_inputs
from pfpnas_agent.datasets.splits import VALIDATION
from pfpnas_agent.journal import Journal
from pfpnas_agent.preview import SAMPLE
from support.agent_data import write_idx
from support.agent_models import tiny_model


def agent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pfpnas_agent", *arguments]
    both = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=both)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    path = tmp_path / "agent.yaml"
    document = {
        "pool": "bench",
        "datasets": {
            "quadrants": {"format": "IDX", **write_idx(tmp_path / "private")},
            "lost": {"format": "Folder", "path": "nowhere"},
        },
        "backends": {"gpu": {"type": "onnxruntime", "providers": ["CUDAExecutionProvider"]}},
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_check_shows_what_is_there_and_what_is_not(config: Path) -> None:
    done = agent("check", "--config", str(config), "--offline")
    assert done.returncode == 2
    assert "quadrants: IDX, 300 grey images 8x8, 4 classes: " in done.stdout
    assert "cores" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "datasets.lost: " in done.stderr
    assert "nowhere is no folder" in done.stderr
    assert "backends.gpu: this onnxruntime has no CUDAExecutionProvider" in done.stderr


def test_check_of_one_experiment_looks_at_its_aliases_only(config: Path) -> None:
    asked = ("--pool", "bench", "--dataset", "quadrants", "--backend", "onnxruntime", "--head", "Supernet")
    done = agent("check", "--config", str(config), "--offline", "--json", *asked, "--classes", "4")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["datasets"]
    assert found["images"] == 300 == sum(found["splits"].values())
    assert (found["classes"], found["size"]) == (4, "8x8")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--dataset", "other"), "datasets: no 'other' in the config; known are lost, quadrants"),
        (("--dataset", "lost"), "datasets.lost: "),
        (("--dataset", "quadrants", "--backend", "npu"), "backends: no 'npu' in the config"),
        (("--dataset", "quadrants", "--backend", "gpu"), "backends.gpu: "),
        (("--dataset", "quadrants", "--backend", "onnxruntime", "--pool", "x"), "this agent serves 'bench'"),
        (
            ("--dataset", "quadrants", "--backend", "onnxruntime", "--head", "Supernet", "--classes", "10"),
            "datasets.quadrants: it has 4 classes, the supernet 10",
        ),
        (
            ("--dataset", "quadrants", "--backend", "onnxruntime", "--namespace", "team-a"),
            "namespaces: the experiment is of 'team-a', this agent serves default: add team-a",
        ),
        (("--head", "Wooden"), "--head is 'Wooden'; allowed are Fitted and Supernet"),
    ],
)
def test_check_says_in_one_line_what_an_experiment_would_miss(
    config: Path, asked: tuple[str, ...], message: str
) -> None:
    done = agent("check", "--config", str(config), "--offline", *asked)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_preview_shows_a_sample_and_then_the_journal(config: Path, tmp_path: Path) -> None:
    first = agent("preview", "--config", str(config))
    assert first.returncode == 0
    assert "a sample" in first.stdout
    kept = SAMPLE.model_copy(update={"task_id": "5" * 32, "seconds": 9.75})
    Journal(tmp_path / ".pfpnas-agent" / "journal").record(kept)
    second = agent("preview", "--config", str(config))
    assert "a sample" not in second.stdout
    assert kept.encode().decode() in second.stdout
    name = (tmp_path / ".pfpnas-agent" / "agent-id").read_text()
    assert f"pfp:v1:{{bench}}:results:{name}" in second.stdout


def test_export_writes_backbone_and_head_as_one_model(config: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_model(classes=10, seed=3))
    out = tmp_path / "out" / "deployable.onnx"
    model = str(tmp_path / "model.onnx")
    done = agent("export", "-c", str(config), "--model", model, "--dataset", "quadrants", "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    session = onnxruntime.InferenceSession(out.read_bytes())
    assert [node.name for node in session.get_outputs()] == ["logits"]
    dataset = yaml.safe_load(config.read_text())["datasets"]["quadrants"]
    data = prepare("quadrants", dataset, tmp_path / "cache")
    rows = data.rows(VALIDATION)
    logits = session.run(None, {"images": as_inputs(data.images(8, 8)[rows])})[0]
    assert logits.shape == (len(rows), 4)
    accuracy = float(np.mean(logits.argmax(axis=1) == data.labels[rows]))
    assert accuracy > 0.9
    assert f"validation accuracy {accuracy:.4f}" in done.stdout


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        ("model.onnx", "other", "datasets: no 'other' in the config"),
        ("model.onnx", "lost", "datasets.lost: "),
        ("absent.onnx", "quadrants", "absent.onnx can't be read: No such file"),
        ("agent.yaml", "quadrants", "agent.yaml is no candidate: "),
        ("outside.onnx", "quadrants", "outside.onnx is no candidate: it refers to external data"),
    ],
)
def test_export_names_what_is_wrong(config: Path, tmp_path: Path, model: str, dataset: str, message: str) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_model())
    (tmp_path / "outside.onnx").write_bytes(tiny_model(external="labels.bin", overlong=True))
    paths = ("--model", str(tmp_path / model), "--out", str(tmp_path / "out.onnx"))
    done = agent("export", "-c", str(config), *paths, "--dataset", dataset)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_export_without_onnx_says_what_to_install(config: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['onnx'] = None; from pfpnas_agent.cli import main; main()"
    paths = ("--model", str(config), "--out", str(tmp_path / "out.onnx"))
    command = [sys.executable, "-c", code, "export", "-c", str(config), *paths, "--dataset", "quadrants"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "pfpnas-agent: export needs the onnx package: pip install onnx\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pool: bench", "redis.url is missing"),
        ("pool: bench\nredis: {url: 'http://x'}", "'http://x' is no Redis URL"),
        ("pool: bench\nstateDir: /proc/no", "stateDir: "),
        ("pool: bench\nrediss: {}", "rediss: unknown field"),
    ],
)
def test_run_refuses_a_wrong_config_with_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "agent.yaml").write_text(text)
    done = agent("run", "--config", str(tmp_path / "agent.yaml"))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("lock", "folder"),
        ("agent-id", "folder"),
        ("work", "file"),
        ("journal", "file"),
        ("journal/unsent", "file"),
    ],
)
def test_run_refuses_a_spoilt_state_directory_with_one_line(tmp_path: Path, place: str, kind: str) -> None:
    path = tmp_path / "state" / place
    path.parent.mkdir(parents=True)
    path.mkdir() if kind == "folder" else path.touch()
    (tmp_path / "agent.yaml").write_text("pool: bench\nstateDir: state\nredis: {url: 'redis://127.0.0.1:1'}")
    done = agent("run", "--config", str(tmp_path / "agent.yaml"))
    assert done.returncode == 2
    assert f"stateDir: {path} can't be used" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_environment_may_name_redis(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("pool: bench\nredis: {url: 'redis://127.0.0.1:1'}")
    done = agent("run", "--config", str(tmp_path / "agent.yaml"), PFPNAS_REDIS_URL="http://of-the-environment")
    assert done.returncode == 2
    assert "'http://of-the-environment' is no Redis URL" in done.stderr


def test_the_version_is_told() -> None:
    done = agent("--version")
    assert (done.returncode, done.stdout) == (0, f"pfpnas-agent {version('pfpnas-agent')}\n")


@pytest.mark.parametrize("command", [(), ("run",), ("check",), ("preview",), ("export",)])
def test_help_teaches(command: tuple[str, ...]) -> None:
    done = agent(*command, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout
