"""The quick start's supernet, trained: taken from a finished run, or trained once into a folder."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB, FitPredictorJob, Manifest, PretrainJob
from pfpnas_api.kinds import ArtifactRef, Supernet, SupernetSpec
from pfpnas_api.spaces import SearchSpace
from pfpnas_operator.local.folder import RunFolder

QUICK_START = Path(__file__).parents[2] / "examples/digits/supernet.yaml"

Tell = Callable[[str], None]
"""Says to a person what is being done."""


class NotTrained(Exception):  # noqa: N818 - reads as the state it names
    """There is no trained supernet; the message says where and what to do."""


@dataclass(frozen=True)
class TrainedSupernet:
    """A supernet with what a search of it needs."""

    spec: SupernetSpec
    store: FolderStore
    checkpoint: ArtifactRef
    calibration: ArtifactRef
    predictor: ArtifactRef
    classes: int

    @property
    def space(self) -> SearchSpace:
        return self.spec.search_space.space(classes=self.classes)


def from_run(folder: Path, store: FolderStore) -> TrainedSupernet:
    """The supernet of a run's folder (`pfpnas run … --out FOLDER`), copied into `store`: the run stays as it is.

    Raises:
        NotTrained: there is none, or it isn't ready.
    """
    if not (folder / "supernet.yaml").exists():
        raise NotTrained(f"--run {folder}: no run's folder; give the --out of a finished `pfpnas run examples/digits`")
    supernet, _, _ = RunFolder(folder).read()
    checkpoint, predictor = supernet.status.checkpoint, supernet.status.predictor
    if checkpoint is None or predictor is None:
        raise NotTrained(f"--run {folder}: its supernet isn't trained; let `pfpnas run` end first")
    read = RunFolder(folder).store
    first, images, public = (
        store.put(read.get(artifact.sha256))
        for artifact in (checkpoint.artifact, checkpoint.calibration, predictor.artifact)
    )
    return TrainedSupernet(supernet.spec, store, first, images, public, checkpoint.classes)


def train(store: FolderStore, *, tell: Tell) -> TrainedSupernet:
    """The quick start's supernet and its predictor, by the workloads' own processes; done once, goes on after a kill.

    Raises:
        NotTrained: a workload failed.
    """
    spec = Supernet.model_validate(yaml.safe_load(QUICK_START.read_text(encoding="utf-8"))).spec
    name = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]
    pretrained = _done(PretrainJob(uid=f"pretrain-{name}", spec=spec), "pretrain", store, tell=tell)
    checkpoint, calibration = (pretrained.artifacts[part] for part in ("checkpoint", "calibration"))
    job = FitPredictorJob(uid=f"predictor-{name}", spec=spec, checkpoint=checkpoint, calibration=calibration)
    predictor = _done(job, "fit-predictor", store, tell=tell).artifacts["predictor"]
    return TrainedSupernet(spec, store, checkpoint, calibration, predictor, int(pretrained.figures["classes"]))


def _done(job: PretrainJob | FitPredictorJob, workload: str, store: FolderStore, *, tell: Tell) -> Manifest:
    manifest = store.read_manifest(job.uid)
    if manifest is None:
        tell(f"{workload}: some minutes, once")
        environ = {**os.environ, ENV_JOB: job.model_dump_json(by_alias=True), ENV_ARTIFACTS: str(store.root)}
        argv = [sys.executable, "-m", "pfpnas_workloads", workload]
        code = subprocess.run(argv, env=environ, stdout=sys.stderr, check=False).returncode
        manifest = store.read_manifest(job.uid)
        if code or manifest is None:
            raise NotTrained(f"{workload} ended with {code}; what it printed says why")
    return manifest
