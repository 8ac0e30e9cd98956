"""What a run leaves behind beside its documents: the best candidate, and the report."""

import json
from pathlib import Path
from typing import Any

from pfpnas_api.artifacts import write_atomically
from pfpnas_api.kinds import RankedTrial, Supernet
from pfpnas_operator.local.agent import LocalAgent
from pfpnas_operator.local.baseline import own_baseline
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.report import build_report, render_html


def write_best(folder: RunFolder, records: Records) -> RankedTrial | None:
    """`best/model.onnx` and `best/architecture.json`, when they aren't those of the best trial already.

    Raises:
        ArtifactError: the artifact is gone, or the folder can't be written.
    """
    best = records.experiment.status.best
    if best is None or best.artifact is None:
        return None
    described = json.dumps(describe(best, records.supernet), indent=2).encode() + b"\n"
    target = folder.best / "architecture.json"
    if not target.exists() or target.read_bytes() != described:
        write_atomically(folder.best / "model.onnx", folder.store.get(best.artifact.sha256))
        (folder.best / "deployable.onnx").unlink(missing_ok=True)
        write_atomically(target, described)
    return best


def describe(best: RankedTrial, supernet: Supernet) -> dict[str, object]:
    """The best architecture in numbers, for programs that go on with it."""
    space = supernet.space()
    architecture = space.parse(best.architecture)
    return {
        "trial": best.trial,
        "architecture": best.architecture,
        "backbone": supernet.spec.search_space.backbone,
        "widthMultiplier": supernet.spec.search_space.width_multiplier,
        "resolution": architecture.resolution,
        "stages": [[{"kernel": b.kernel, "expand": b.expand} for b in stage] for stage in architecture.stages],
        "classifier": "the supernet's public classes",
        "score": best.score,
        "feasible": best.feasible,
        "metrics": best.metrics.document(),
        "sha256": best.artifact.sha256 if best.artifact else None,
    }


def write_deployable(folder: RunFolder, records: Records, agent: LocalAgent) -> str | None:
    """`best/deployable.onnx`, made by the owner's side; why there is none, if so."""
    target = folder.best / "deployable.onnx"
    model = folder.best / "model.onnx"
    spec = records.experiment.spec
    if spec.target.head != "Fitted" or not model.exists() or target.exists():
        return None
    return agent.export(model, dataset=spec.target.dataset, out=target)


def report_of(folder: RunFolder, records: Records, *, baseline: Records | None = None) -> dict[str, Any]:
    """The report's values, beside a baseline that is given, or the one that lies in the run's folder."""
    other = baseline or own_baseline(folder, records)
    trials = [*records.finished, *records.active.values()]
    return build_report(records.supernet, records.experiment, trials, other=other)


def write_report(folder: RunFolder, records: Records, *, baseline: Records | None = None) -> Path:
    """`report.json` and `report.html`.

    Raises:
        ArtifactError: the folder can't be written.
    """
    report = report_of(folder, records, baseline=baseline)
    write_atomically(folder.root / "report.json", json.dumps(report, indent=2).encode() + b"\n")
    page = folder.root / "report.html"
    write_atomically(page, render_html(report).encode())
    return page
