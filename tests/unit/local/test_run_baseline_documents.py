"""The baseline of a run: its documents, where it lies, and which other runs can be compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment, Repeat, Supernet
from pfpnas_operator.local.baseline import (
    baseline_folder,
    begin_random,
    differences,
    given_baseline,
    measurements,
    own_baseline,
    random_experiment,
)
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.results import write_report
from support.report_builders import make_experiment, make_random_search, make_supernet, simulated_trials, with_result

SUPERNET = make_supernet()
SPACE = SUPERNET.space()


def _records(count: int = 6, supernet: Supernet = SUPERNET, **spec: Any) -> Records:
    experiment = make_experiment(**spec)
    trials = simulated_trials(experiment, SPACE, count=count)
    return Records.of(supernet, with_result(experiment, trials), trials)


def _written(folder: RunFolder, records: Records) -> RunFolder:
    folder.write_supernet(records.supernet)
    folder.write_experiment(records.experiment)
    for trial in records.finished:
        folder.write_trial(trial)
    return folder


def test_random_search_is_the_same_search_by_chance_to_its_end() -> None:
    experiment = make_experiment(
        tuner={"algorithm": "NSGA2", "seed": 7, "pseudoTrials": 300},
        objective={"goal": "0.9", "constraints": [{"metric": "Latency", "max": "2ms"}]},
        budget={
            "maxTrials": 50,
            "parallelTrials": 3,
            "finalists": 4,
            "convergence": {"patience": 9},
            "maxDurationSeconds": 60,
        },
        warmStartFrom=[{"name": "before"}],
    )
    spec = random_experiment(experiment, 17).spec
    assert (spec.tuner.algorithm, spec.tuner.seed, spec.tuner.pseudo_trials) == ("RandomSearch", 7, 0)
    assert (spec.budget.max_trials, spec.budget.parallel_trials, spec.budget.finalists) == (17, 3, 4)
    assert (spec.budget.convergence, spec.budget.max_duration_seconds) == (None, None)
    assert (spec.objective.goal, spec.objective.constraints) == (None, experiment.spec.objective.constraints)
    assert (spec.target, spec.warm_start_from, spec.predictor.repeats) == (experiment.spec.target, (), "0")


@pytest.mark.parametrize("name", ["digits", "a" * 51, "a" * 43 + "-" + "b" * 7])
def test_documents_of_random_search_are_valid_whatever_the_search_is_called(name: str) -> None:
    experiment = random_experiment(make_experiment(name=name), 4)
    read = NASExperiment.model_validate_json(json.dumps(experiment.document()), strict=True, by_alias=True)
    assert read.metadata.name.endswith("-random")
    assert read.metadata.uid


def test_baseline_shares_supernet_and_store_and_keeps_what_it_has(tmp_path: Path) -> None:
    records = _records()
    folder = _written(RunFolder(tmp_path), records)
    place = begin_random(folder, records)
    supernet, experiment, trials = place.read()
    assert (supernet.status.checkpoint, trials) == (SUPERNET.status.checkpoint, ())
    kept = folder.store.put(b"candidate")
    assert place.store.get(kept.sha256) == b"candidate"
    assert begin_random(folder, records).read()[1] == experiment, "its uid stays"


def test_a_measurement_is_what_brought_figures_and_every_repeat() -> None:
    experiment = make_experiment()
    trials = simulated_trials(experiment, SPACE, count=5, failed=(3,))
    twice = trials[0].model_copy(update={"status": trials[0].status.model_copy(update={"repeat": Repeat()})})
    assert measurements(Records.of(SUPERNET, experiment, [twice, *trials[1:]])) == 5


def test_searches_for_the_same_thing_can_be_compared_whatever_their_tuner() -> None:
    other = _records(tuner={"algorithm": "Anneal"}, budget={"maxTrials": 5})
    assert differences(SUPERNET, make_experiment(), other) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"target": {"pool": "elsewhere", "dataset": "digits"}}, "target.pool: elsewhere there, local here"),
        ({"target": {"pool": "local", "dataset": "digits", "head": "Supernet"}}, "target.head: Supernet there"),
        ({"objective": {"penaltyCoefficient": "0.5"}}, "objective.penaltyCoefficient: 0.5 there, 0.2 here"),
    ],
)
def test_what_differs_is_named(spec: dict[str, Any], words: str) -> None:
    found = differences(SUPERNET, make_experiment(), _records(**spec))
    assert any(line.startswith(words) for line in found)


def test_goal_is_no_difference() -> None:
    constraints = [{"metric": "Latency", "maxRelative": "2.0"}, {"metric": "Parameters", "max": "400k"}]
    assert (
        differences(SUPERNET, make_experiment(), _records(objective={"goal": "0.9", "constraints": constraints})) == []
    )


def test_other_weights_or_another_space_are_refused(tmp_path: Path) -> None:
    checkpoint = SUPERNET.status.checkpoint
    assert checkpoint is not None
    retrained = SUPERNET.status.model_copy(update={"checkpoint": checkpoint.model_copy(update={"sha256": "d" * 64})})
    smaller = SUPERNET.spec.search_space.model_copy(update={"depths": (1,)})
    others = {
        "supernet checkpoint: " + "d" * 16: SUPERNET.model_copy(update={"status": retrained}),
        "searchSpace.depths: [1] there, [1, 2] here": SUPERNET.model_copy(
            update={"spec": SUPERNET.spec.model_copy(update={"search_space": smaller})}
        ),
    }
    for number, (words, supernet) in enumerate(others.items()):
        folder = _written(RunFolder(tmp_path / str(number)), _records(0, supernet))
        with pytest.raises(FolderError, match="can't be compared with digits") as refused:
            given_baseline(folder.root, SUPERNET, make_experiment(), folder=RunFolder(tmp_path))
        assert words in str(refused.value)
        assert f"--baseline {folder.root}" in str(refused.value)


def test_weights_that_are_not_trained_yet_are_passed_over(tmp_path: Path) -> None:
    folder, own = _written(RunFolder(tmp_path / "other"), _records()), RunFolder(tmp_path / "own")
    assert given_baseline(folder.root, make_supernet(trained=False), make_experiment(), folder=own).finished


def test_run_is_not_its_own_baseline(tmp_path: Path) -> None:
    folder = _written(RunFolder(tmp_path), _records())
    with pytest.raises(FolderError, match="that is the run itself; give the folder of another one"):
        given_baseline(tmp_path / "logs" / "..", SUPERNET, make_experiment(), folder=folder)


def test_report_shows_the_baseline_that_lies_in_the_folder(tmp_path: Path) -> None:
    records, other = _records(12), make_random_search(SPACE, count=12)
    folder = _written(RunFolder(tmp_path), records)
    assert own_baseline(folder, records) is None
    _written(baseline_folder(folder), Records.of(SUPERNET, other.experiment, other.finished))
    write_report(folder, records)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["otherSearch"]["algorithm"] == "RandomSearch"
    strange = _records(0, target={"pool": "elsewhere", "dataset": "digits"})
    assert own_baseline(folder, strange) is None, "one that can't be compared is left out"
