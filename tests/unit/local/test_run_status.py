"""What `pfpnas status` says of a run: predictors, finalists, the end, its baseline."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from pfpnas_api.kinds import Condition, NASExperiment, Trial
from pfpnas_operator.local.baseline import baseline_folder, begin_random
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.status import status_lines
from pfpnas_operator.report.units import milliseconds
from support.report_builders import (
    make_experiment,
    make_predictor_status,
    make_supernet,
    simulated_trials,
    with_finalists,
    with_result,
)

SUPERNET = make_supernet()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _searched() -> tuple[NASExperiment, list[Trial]]:
    experiment = make_experiment(tuner={"algorithm": "TPE", "pseudoTrials": 300})
    trials = simulated_trials(experiment, SUPERNET.space(), count=12)
    return with_finalists(with_result(experiment, trials), trials), trials


def _records(**status: object) -> Records:
    experiment, trials = _searched()
    changed = experiment.model_copy(update={"status": experiment.status.model_copy(update=status)})
    return Records.of(SUPERNET, changed, trials)


def test_status_tells_the_predictors_and_what_was_chosen(tmp_path: Path) -> None:
    lines = status_lines(RunFolder(tmp_path), _records(predictor=make_predictor_status()))
    said = "latency off by 2.7% (noise 1.1% from 4 pairs), accuracy by 0.80%, τ 0.83 from 28 measurements"
    assert f"predictors: {said}" in lines
    assert any(line.startswith("chosen in cross-validation: latency by ridge on compact") for line in lines)


def test_status_of_a_run_says_when_no_agent_is_heard(tmp_path: Path) -> None:
    text = "no agent of pool bench is heard: is one running?"
    lost = Condition(
        type="AgentsAvailable", status="False", reason="NoHeartbeat", message=text, last_transition_time=NOW
    )
    searching, folder = _records(conditions=(lost,), finished_at=None), RunFolder(tmp_path)
    with folder.lock():
        assert f"waiting: {text}" in status_lines(folder, searching)
        heard = _records(conditions=(lost.model_copy(update={"status": "True"}),), finished_at=None)
        assert not [line for line in status_lines(folder, heard) if line.startswith("waiting")]
    assert not [line for line in status_lines(folder, searching) if line.startswith("waiting")]


def test_status_of_a_search_without_predictors_says_nothing_of_them(tmp_path: Path) -> None:
    assert not [line for line in status_lines(RunFolder(tmp_path), _records()) if "predictors" in line]


def test_status_tells_why_the_search_ended_and_the_finalists(tmp_path: Path) -> None:
    records = _records()
    finalists = records.experiment.status.finalists
    lost = finalists[2].model_copy(update={"remeasurements": (), "reason": "MeasurementTimeout"})
    searching = tuple(c for c in records.experiment.status.conditions if c.type == "Searching")
    half = finalists[1].model_copy(
        update={"remeasurements": finalists[1].remeasurements[:1], "reason": "MeasurementTimeout"}
    )
    in_finale = _records(finalists=(finalists[0], half, lost), conditions=searching, finished_at=None)
    lines = status_lines(RunFolder(tmp_path), in_finale)
    assert "search ended: BudgetSpent, every trial is measured" in lines
    at = lines.index("finalists measured again: 3 of 3")
    assert lines[at + 1].startswith(f"  {finalists[0].trial}: accuracy ")
    assert lines[at + 1].endswith("(medians of 3 measurements)")
    assert lines[at + 2].endswith("(medians of 2 measurements, then MeasurementTimeout)")
    assert lines[at + 3] == f"  {lost.trial}: not measured again (MeasurementTimeout)"


def test_status_names_the_best_by_all_its_measurements(tmp_path: Path) -> None:
    records = _records()
    best = records.experiment.status.best
    assert best is not None
    assert records.summary.best != best
    latency = best.metrics.latency_milliseconds
    assert latency is not None
    line = next(line for line in status_lines(RunFolder(tmp_path), records) if line.startswith("best: "))
    assert f"{best.trial}, " in line
    assert milliseconds(latency.p50) in line


def test_status_tells_the_baseline_of_the_run(tmp_path: Path) -> None:
    folder, records = RunFolder(tmp_path), _records()
    begin_random(folder, records)
    assert "baseline: RandomSearch, 0 of 12 measured" in status_lines(folder, records)
    shutil.rmtree(baseline_folder(folder).root)
    assert not [line for line in status_lines(folder, records) if line.startswith("baseline")]
