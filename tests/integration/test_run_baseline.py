"""`pfpnas run --baseline`: random search with as many measurements, by the normal path, in the run's own folder."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pfpnas_operator.local.folder import RunFolder
from support.run_process import PFPNAS, Place, load_trial

pytestmark = pytest.mark.timeout(600)

SEARCH = {"spec": {"budget": {"maxTrials": 3, "parallelTrials": 1, "finalists": 1}}}


def _report(place: Place) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((place.out / "report.json").read_text())
    return read


def _finished(folder: Path) -> list[str]:
    trials = [load_trial(path) for path in sorted(folder.glob("trials/*.yaml"))]
    return [trial.metadata.name for trial in trials if trial.finished]


def _measured(folder: Path) -> list[str]:
    lines = [line for line in (folder / "logs" / "agent.log").read_text().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    return [event["task"] for event in events if event["event"] == "measured"]


def test_random_search_measures_as_often_and_survives_a_kill(trained: Callable[..., Place]) -> None:
    place = trained(SEARCH)
    beside = place.out / "baseline"
    with place.run("--baseline", "random") as run:
        run.until(lambda: _finished(beside), "a measured trial of the baseline")
        run.kill_all()
    with place.run("--baseline", "random") as run:
        assert run.wait() == 0, run.stdout + run.stderr
        assert "has ended already" in run.stdout
        assert run.stdout.splitlines()[-1] == f"report with its baseline: {place.out / 'report.html'}"

    supernet, experiment, trials = RunFolder(beside).read()
    spent = _report(place)["counts"]["measurements"]
    assert len(trials) == spent == _report(place)["otherSearch"]["comparedAt"]
    assert (experiment.spec.tuner.algorithm, experiment.spec.tuner.pseudo_trials) == ("RandomSearch", 0)
    assert (supernet.metadata.uid, supernet.status) == (place.documents()[0].metadata.uid, place.documents()[0].status)
    assert (beside / "artifacts").resolve() == (place.out / "artifacts").resolve()
    assert not [log.name for log in (beside / "logs").iterdir() if "pretrain" in log.name]
    assert len(_measured(beside)) == len(set(_measured(beside)))


def test_another_run_is_compared_or_refused_by_name(
    trained: Callable[..., Place], whole_run: tuple[Place, str], tmp_path: Path
) -> None:
    place, other = trained(SEARCH), whole_run[0].out
    strange = Place(tmp_path / "strange", experiment={"spec": {"target": {"dataset": "elsewhere"}}})
    with strange.run("--baseline", str(other)) as run:
        assert run.wait() == 2
        assert "target.dataset: private there, elsewhere here" in run.stderr
    assert not strange.out.exists()

    with place.run("--baseline", str(other)) as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert _report(place)["otherSearch"]["measurements"] == _report(whole_run[0])["counts"]["measurements"]
    done = subprocess.run(
        [PFPNAS, "report", str(place.out), "--baseline", str(tmp_path)], capture_output=True, check=False
    )
    assert (done.returncode, b"holds no run" in done.stderr) == (2, True)
