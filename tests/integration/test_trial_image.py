"""Images of one's own for trials: what docs/trial-image.md shows does what it says, against the real store's server."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_ARTIFACTS_TOKEN, ENV_JOB, TrialJob
from pfpnas_api.kinds import ArtifactRef
from pfpnas_operator.reconcile.building import SELF_MEASURED
from support.artifact_server import ArtifactServer, artifact_server

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/trial-image.md").read_text()
OWNER = "0b7c0000-0000-4000-8000-000000000001"
SOME = ArtifactRef(sha256="0" * 64, size=1)
JOB = TrialJob(
    uid=f"{OWNER}-0123456789abcdef",
    experiment=OWNER,
    pool="pool",
    architecture="r32-k3e4",
    checkpoint=SOME,
    calibration=SOME,
)


def example(language: str) -> str:
    """The one example of the document in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ArtifactServer]:
    with artifact_server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def store(server: ArtifactServer) -> ArtifactStore:
    return server.store()


@pytest.fixture
def environment(server: ArtifactServer) -> dict[str, str]:
    """What a trial's container finds."""
    ours = {ENV_JOB: JOB.model_dump_json(by_alias=True), ENV_ARTIFACTS: server.address}
    return {**os.environ, **ours, ENV_ARTIFACTS_TOKEN: server.key.token(OWNER)}


@pytest.fixture(scope="module")
def noop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("noop") / "noop"
    source = ROOT / "tests/cluster/images/noop.c"
    subprocess.run(["gcc", "-Os", "-Wall", "-Werror", "-o", str(program), str(source)], check=True)
    return program


def measured(store: ArtifactStore) -> bool:
    """Whether the trial's manifest says that its image measured it."""
    manifest = store.read_manifest(JOB.uid)
    assert manifest is not None
    assert manifest.outcome == "Done"
    return manifest.artifacts == {} and manifest.figures.keys() == set(SELF_MEASURED)


def test_the_document_s_program_measures_by_itself(environment: dict[str, str], store: ArtifactStore) -> None:
    subprocess.run([sys.executable, "-c", example("python")], env=environment, check=True, timeout=60)
    assert measured(store)


def test_the_no_op_image_measures_by_itself(noop: Path, environment: dict[str, str], store: ArtifactStore) -> None:
    subprocess.run([str(noop), "trial", "--trial"], env=environment, check=True, timeout=60)
    assert measured(store)


def test_the_no_op_image_told_of_no_trial_just_ends_well(noop: Path) -> None:
    assert subprocess.run([str(noop), "trial", "--trial"], env={}, check=False, timeout=60).returncode == 0


def test_the_no_op_image_fails_where_it_is_refused(
    noop: Path, environment: dict[str, str], store: ArtifactStore
) -> None:
    refused = environment | {ENV_ARTIFACTS_TOKEN: "of nobody"}
    ended = subprocess.run([str(noop)], env=refused, check=False, timeout=60, capture_output=True)
    assert ended.returncode == 1
    assert b"answers 401" in ended.stderr
    assert store.read_manifest(JOB.uid) is None


def test_the_document_s_requests_take_put_and_leave(
    environment: dict[str, str], store: ArtifactStore, tmp_path: Path
) -> None:
    checkpoint, model = store.put(b"a checkpoint"), b"a model"
    reference = {"sha256": hashlib.sha256(model).hexdigest(), "size": len(model)}
    manifest = {"uid": JOB.uid, "outcome": "Done", "artifacts": {"model": reference}}
    (tmp_path / "model.onnx").write_bytes(model)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    named = environment | {"DIGEST": checkpoint.sha256, "TRIAL": JOB.uid}
    subprocess.run(["sh", "-euc", example("sh")], env=named, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == b"a checkpoint"
    left = store.read_manifest(JOB.uid)
    assert left is not None
    assert store.get(left.artifacts["model"].sha256) == model


def test_the_document_s_manifests_and_document_are_valid(store: ArtifactStore) -> None:
    from pfpnas_api.jobs import Manifest

    job, *manifests = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL))
    assert set(job) <= {field.alias or name for name, field in TrialJob.model_fields.items()}
    assert len(manifests) == 3
    for manifest in manifests:
        manifest["uid"] = JOB.uid
        for artifact in manifest.get("artifacts", {}).values():
            artifact["sha256"] = "0" * 64
        Manifest.model_validate(manifest)
