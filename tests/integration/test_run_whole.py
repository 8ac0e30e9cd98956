"""`pfpnas run` from nothing to its end: what it leaves behind, and what the other commands make of it."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from pfpnas_api.kinds import is_true
from pfpnas_operator.cli import app
from pfpnas_operator.documents import dump, load
from pfpnas_operator.local.folder import RunFolder
from support.run_process import PFPNAS, Place, load_trial

pytestmark = pytest.mark.timeout(600)


def test_leaves_every_promised_file(whole_run: tuple[Place, str]) -> None:
    out = whole_run[0].out
    promised = ["supernet.yaml", "experiment.yaml", "trials/tiny-00000.yaml", "trials/tiny-00001.yaml", "log.jsonl"]
    promised += ["best/model.onnx", "best/architecture.json", "best/deployable.onnx", "report.json", "report.html"]
    assert [name for name in promised if not (out / name).is_file()] == []


def test_documents_are_read_back_as_they_were_written(whole_run: tuple[Place, str]) -> None:
    folder = RunFolder(whole_run[0].out)
    supernet, experiment, trials = folder.read()
    assert (folder.root / "supernet.yaml").read_text() == dump(supernet)
    assert (folder.root / "experiment.yaml").read_text() == dump(experiment)
    for trial in trials:
        assert (folder.trials / f"{trial.metadata.name}.yaml").read_text() == dump(trial)


def test_status_agrees_with_the_trials(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    supernet, experiment = place.documents()
    trials = place.trials().values()
    assert sorted(trial.spec.index or 0 for trial in trials) == [0, 1]
    assert all(is_true(trial.status.conditions, "Succeeded") for trial in trials)
    assert (experiment.status.trials.succeeded, experiment.status.trials.running) == (2, 0)
    assert is_true(experiment.status.conditions, "Succeeded")
    assert supernet.status.checkpoint is not None
    assert {trial.status.checkpoint for trial in trials} == {supernet.status.checkpoint.sha256}


def test_best_is_what_was_found_best_when_measured_again(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    status = place.documents()[1].status
    assert {finalist.trial for finalist in status.finalists} == place.trials().keys()
    assert [finalist.reason for finalist in status.finalists] == [None, None]
    ranked = [finalist.ranked for finalist in status.finalists if finalist.ranked is not None]
    assert len(ranked) == 2
    assert status.best is not None
    assert status.best == max(ranked, key=lambda one: one.score or 0)
    rows = [row for row in status.evaluations if row.name in ("best", "finalist")]
    assert [row.name for row in rows] == ["best", "finalist"]
    assert rows[0].architecture == status.best.architecture
    assert all(row.accuracy for row in rows)


def test_noise_floor_is_known_from_a_repeat_and_the_finalists(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    predictor = place.documents()[1].status.predictor
    repeated = [trial for trial in place.trials().values() if trial.status.repeat]
    assert len(repeated) == 1
    assert predictor is not None
    assert predictor.repeats == 3
    assert predictor.noise_floor is not None
    assert 0 < predictor.noise_floor < 1


def test_best_model_is_the_one_that_was_measured_and_runs(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    best = place.documents()[1].status.best
    content = (place.out / "best" / "model.onnx").read_bytes()
    assert best is not None
    assert best.artifact is not None
    assert hashlib.sha256(content).hexdigest() == best.artifact.sha256
    described = json.loads((place.out / "best" / "architecture.json").read_text())
    assert (described["architecture"], described["sha256"]) == (best.architecture, best.artifact.sha256)
    assert _classes(place.out / "best" / "model.onnx") == 10


def test_deployable_model_gives_the_private_classes(whole_run: tuple[Place, str]) -> None:
    assert _classes(whole_run[0].out / "best" / "deployable.onnx") == 4


def _classes(model: Path) -> int:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    images = np.zeros((2, *entry.shape[1:]), np.float32)
    outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, {entry.name: images}), strict=True))
    return int(outputs["logits"].shape[1])


def test_log_tells_every_decision_as_json(whole_run: tuple[Place, str]) -> None:
    lines = [json.loads(line) for line in (whole_run[0].out / "log.jsonl").read_text().splitlines()]
    assert {"time", "level", "namespace", "experiment", "subject", "reason", "message"} <= lines[0].keys()
    reasons = [line["reason"] for line in lines]
    assert [reasons.count(reason) for reason in ("Trained", "PredictorReady", "Measured", "Succeeded")] == [1, 1, 2, 1]


def test_report_has_the_best_and_its_baselines_with_errors(whole_run: tuple[Place, str]) -> None:
    report = json.loads((whole_run[0].out / "report.json").read_text())
    named = {row["name"]: row for row in report["baselines"]}
    assert {"largest", "smallest", "untrained", "rawPixels"} <= named.keys()
    assert all(row["standardError"] is not None for row in named.values())
    assert report["best"]["trial"] in (whole_run[0].out / "report.html").read_text()


def test_says_first_what_will_happen_and_last_where_the_report_is(whole_run: tuple[Place, str]) -> None:
    place, printed = whole_run
    lines = printed.splitlines()
    assert lines[0].startswith(f"tiny begins in {place.out}")
    assert "train the supernet tiny-net" in lines[1]
    assert "2 trials" in lines[2]
    assert lines[-1] == f"report: {place.out / 'report.html'}"


def test_every_measurement_was_made_once(whole_run: tuple[Place, str]) -> None:
    assert set(whole_run[0].measured().values()) == {1}


def test_same_command_again_shows_the_result_and_starts_nothing(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    before = {path: path.stat().st_mtime_ns for path in place.out.rglob("*") if path.is_file()}
    with place.run(environment={"PATH": ""}) as run:
        assert run.wait() == 0
        assert "has ended already" in run.stdout
        assert "report:" in run.stdout
    after = {path: path.stat().st_mtime_ns for path in place.out.rglob("*") if path.is_file()}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {".lock", "report.json", "report.html"}


def test_larger_budget_goes_on_with_what_is_there(whole_run: tuple[Place, str], tmp_path: Path) -> None:
    place = _copy(whole_run[0], tmp_path)
    before = place.trials()
    with place.run("--set", "experiment.budget.maxTrials=3") as run:
        assert run.wait() == 0, run.stdout + run.stderr
        assert "goes on" in run.stdout
        assert not [line for line in run.stdout.splitlines() if "training the supernet" in line]
    after = place.trials()
    assert len(after) == 3
    assert {name: after[name] for name in before} == before
    assert set(place.measured().values()) == {1}
    assert place.documents()[1].status.trials.succeeded == 3


def test_smaller_budget_of_a_finished_search_changes_nothing(whole_run: tuple[Place, str], tmp_path: Path) -> None:
    place = _copy(whole_run[0], tmp_path)
    for expected in ("goes on", "has ended already"):
        with place.run("--set", "experiment.budget.maxTrials=1") as run:
            assert run.wait() == 0, run.stdout + run.stderr
            assert expected in run.stdout
    assert len(place.trials()) == 2


def test_trial_made_by_hand_is_measured_beside_the_tuners(whole_run: tuple[Place, str], tmp_path: Path) -> None:
    place = _copy(whole_run[0], tmp_path)
    supernet, before = place.documents()
    largest = supernet.space().maximum().id
    trial = {"apiVersion": "pfpnas.io/v1alpha1", "kind": "Trial", "metadata": {"name": "mine"}}
    trial["spec"] = {"experimentRef": {"name": "tiny"}, "architecture": largest}
    (tmp_path / "mine.yaml").write_text(json.dumps(trial))
    with place.run(str(tmp_path / "mine.yaml")) as run:
        assert run.wait() == 0, run.stdout + run.stderr
    mine = place.trials()["mine"]
    assert is_true(mine.status.conditions, "Succeeded")
    assert (mine.spec.architecture, mine.spec.origin) == (largest, "User")
    assert place.documents()[1].status.trials.succeeded == before.status.trials.succeeded + 1


def test_another_spec_in_the_same_folder_is_refused_by_its_field(whole_run: tuple[Place, str]) -> None:
    place, _ = whole_run
    with place.run("--set", "experiment.tuner.seed=7") as run:
        assert run.wait() == 2
        assert "NASExperiment tiny was begun with another spec.tuner" in run.stderr


def test_best_files_lost_are_made_again(whole_run: tuple[Place, str], tmp_path: Path) -> None:
    place = _copy(whole_run[0], tmp_path)
    shutil.rmtree(place.out / "best")
    with place.run() as run:
        assert run.wait() == 0, run.stderr
    assert _classes(place.out / "best" / "deployable.onnx") == 4


def test_export_that_takes_too_long_costs_the_deployable_model_alone(
    whole_run: tuple[Place, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _copy(whole_run[0], tmp_path)
    for name in ("best/deployable.onnx", "report.html"):
        (place.out / name).unlink()
    command = ["run", *place.paths, "--out", str(place.out)]
    with monkeypatch.context() as patched:
        patched.setattr("pfpnas_operator.local.agent.EXPORT_SECONDS", 0.01)
        result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("best/deployable.onnx was not made: the agent's export took longer than 0.01 s")
    assert (place.out / "report.html").is_file()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert _classes(place.out / "best" / "deployable.onnx") == 4


def test_status_report_and_validate_read_it(whole_run: tuple[Place, str], tmp_path: Path) -> None:
    place = _copy(whole_run[0], tmp_path)
    (place.out / "report.html").unlink()
    shown = subprocess.run([PFPNAS, "status", place.out], capture_output=True, text=True, check=True, timeout=120)
    assert shown.stdout.splitlines()[0].startswith("tiny: succeeded")
    assert "2 of 2 measured" in shown.stdout
    subprocess.run([PFPNAS, "report", place.out], capture_output=True, check=True, timeout=120)
    assert (place.out / "report.html").is_file()
    valid = subprocess.run([PFPNAS, "validate", *place.paths], capture_output=True, text=True, check=True, timeout=120)
    assert valid.stdout.startswith("valid: Supernet/tiny-net, NASExperiment/tiny, agent ")


def test_documents_of_a_run_are_documents(whole_run: tuple[Place, str]) -> None:
    out = whole_run[0].out
    assert len(load([out, out / "trials"]).trials) == 2
    assert all(load_trial(path).finished for path in (out / "trials").glob("*.yaml"))


def _copy(place: Place, folder: Path) -> Place:
    copied = Place(folder / "copy", experiment=place.experiment)
    shutil.copytree(place.out, copied.out)
    return copied
