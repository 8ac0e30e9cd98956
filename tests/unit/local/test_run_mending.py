"""What the next attempt of the same command forgets, and which trials go on with it."""

from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, Trial, is_true
from pfpnas_api.messages import MeasureResult
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.mending import mended
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.building import build_request
from support.reconcile_builders import (
    NOW,
    build_uid_of,
    condition,
    make_checkpoint,
    make_experiment,
    make_supernet,
    make_trial,
    reason_of,
    seconds,
)
from support.world import World


def _with(resource: Any, *conditions: Any, **status: Any) -> Any:
    changed = resource.status.model_copy(update={"conditions": conditions, **status})
    return resource.model_copy(update={"status": changed})


def _failed(reason: str, **fields: Any) -> NASExperiment:
    conditions = (condition("Searching", reason, status="False"), condition("Failed", reason))
    return make_experiment(conditions=conditions, **fields)


def _again(folder: Path, experiment: NASExperiment, *trials: Trial) -> tuple[Records, dict[str, Trial]]:
    records = Records.of(make_supernet(), experiment, trials)
    records, again = mended(RunFolder(folder), records, now=NOW)
    return records, {trial.metadata.name: trial for trial in again}


# -- documents and manifests -----------------------------------------------------------------------------------------


def test_refused_training_is_tried_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    supernet = _with(make_supernet("New"), condition("Failed", "BadInput"), attempts={"Pretrain": 2})
    uid = names.supernet_manifests(supernet)[0]
    folder.store.write_manifest(Manifest(uid=uid, outcome="BadInput", message="no such file"))
    records, _ = mended(folder, Records(supernet=supernet, experiment=make_experiment()), now=NOW)
    assert records.supernet.status.conditions == ()
    assert records.supernet.status.attempts == {}
    assert folder.store.read_manifest(uid) is None


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("UnknownDataset", False),
        ("JobFailed", False),
        ("BuildFailed", False),
        ("NoFeasibleArchitecture", True),
        ("NoTrialSucceeded", True),
    ],
)
def test_only_failures_that_can_be_mended_are_forgotten(tmp_path: Path, reason: str, kept: bool) -> None:
    records, _ = _again(tmp_path, _failed(reason), make_trial(0, "Failed", reason="OutOfMemory"))
    assert is_true(records.experiment.status.conditions, "Failed") is kept


def test_builds_that_were_refused_are_asked_for_again_and_bad_architectures_are_not(tmp_path: Path) -> None:
    folder, experiment = RunFolder(tmp_path), _failed("BuildFailed", reference=None)
    refused = build_request(experiment, make_checkpoint(), make_supernet().space().minimum().id).uid
    impossible, done = (build_uid_of(experiment, make_trial(index)) for index in (1, 2))
    others = "another-uid-0000"
    folder.store.write_manifest(Manifest(uid=refused, outcome="BadInput", message="the checkpoint is damaged"))
    folder.store.write_manifest(Manifest(uid=impossible, outcome="BadArchitecture", message="none of the space"))
    folder.store.write_manifest(Manifest(uid=done, outcome="Done"))
    folder.store.write_manifest(Manifest(uid=others, outcome="BadInput"))
    mended(folder, Records(supernet=make_supernet(), experiment=experiment), now=NOW)
    left = [uid for uid in (refused, impossible, done, others) if folder.store.read_manifest(uid)]
    assert left == [impossible, done, others]


# -- trials ----------------------------------------------------------------------------------------------------------


def test_trials_that_an_experiments_fault_took_along_begin_again(tmp_path: Path) -> None:
    trials = (
        make_trial(0, "Succeeded"),
        make_trial(1, "Failed", reason="DatasetUnreadable"),
        make_trial(2, "Failed", reason="Withdrawn"),
        make_trial(3, "Failed", reason="OutOfMemory"),
    )
    records, again = _again(tmp_path, _failed("DatasetUnreadable"), *trials)
    assert list(again) == ["digits-00001", "digits-00002"]
    assert records.active == again
    assert [trial.spec for trial in again.values()] == [trials[1].spec, trials[2].spec]
    assert not any(trial.finished or trial.status.finished_at for trial in again.values())
    assert (records.summary.tuned, records.summary.failures, records.summary.next_index) == (2, 1, 4)


def test_trial_whose_artifact_is_there_need_not_be_built_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    content = folder.store.put(b"a net")
    built = (condition("Built"), condition("Measured", "Queued", status="False"), condition("Failed", "Withdrawn"))
    lost, kept = (_with(make_trial(index, "Built", measureAttempts=2), *built, finished_at=NOW) for index in (0, 1))
    kept = _with(kept, *built, finished_at=NOW, artifact=content)
    _, (first, second) = mended(folder, Records.of(make_supernet(), _failed("JobFailed"), [lost, kept]), now=NOW)
    assert (first.status.conditions, first.status.artifact, first.status.build_attempts) == ((), None, 0)
    assert (second.status.conditions, second.status.artifact) == ((condition("Built"),), content)
    assert second.status.measure_attempts == 0


@pytest.mark.parametrize(("seconds_allowed", "names_of"), [(50, []), (200, ["digits-00001"])])
def test_trials_withdrawn_for_want_of_time_go_on_with_more_of_it(
    tmp_path: Path, seconds_allowed: int, names_of: list[str]
) -> None:
    over = (condition("Searching", "DurationSpent", status="False"), condition("Succeeded", "DurationSpent"))
    experiment = make_experiment(
        budget={"maxTrials": 2, "maxDurationSeconds": seconds_allowed},
        conditions=over,
        started_at=NOW - seconds(100),
        search_finished_at=NOW - seconds(40),
    )
    records, again = _again(
        tmp_path, experiment, make_trial(0, "Succeeded"), make_trial(1, "Failed", reason="Withdrawn")
    )
    assert list(again) == names_of
    assert records.summary.tuned == 2 - len(names_of)


@pytest.mark.parametrize("reason", ["BuildFailed", "DeviceUnavailable", "BlobMissing"])
def test_trials_that_failed_with_their_host_are_tried_again_when_nothing_else_came_of_it(
    tmp_path: Path, reason: str
) -> None:
    records, again = _again(tmp_path, _failed("NoTrialSucceeded"), make_trial(0, "Failed", reason=reason))
    assert list(again) == ["digits-00000"]
    assert not is_true(records.experiment.status.conditions, "Failed")


def test_too_many_failures_stay_too_many_without_those_that_may_be_mended(tmp_path: Path) -> None:
    reasons = ("BuildFailed", "OutOfMemory", "OutOfMemory")
    trials = [make_trial(index, "Failed", reason=reason) for index, reason in enumerate(reasons)]
    few, many = ({"budget": {"maxFailedTrials": most}} for most in (1, 2))
    assert _again(tmp_path, _failed("TooManyFailedTrials", **few), *trials)[1] == {}
    assert list(_again(tmp_path, _failed("TooManyFailedTrials", **many), *trials)[1]) == ["digits-00000"]


def test_search_that_succeeded_keeps_every_end(tmp_path: Path) -> None:
    over = (condition("Searching", "BudgetSpent", status="False"), condition("Succeeded", "BudgetSpent"))
    experiment = make_experiment(budget={"maxTrials": 1}, conditions=over, search_finished_at=NOW)
    trials = (make_trial(0, "Succeeded"), make_trial(None, "Failed", reason="UnknownDataset"))
    records, again = _again(tmp_path, experiment, *trials)
    assert (again, records.active, records.experiment) == ({}, {}, experiment)


# -- a whole search --------------------------------------------------------------------------------------------------


class _Unreadable(World):
    """A world whose agents can't read the private data until they are put in place."""

    in_place = False

    def answer(self, agent: str, result: MeasureResult) -> None:
        if not self.in_place:
            result = MeasureResult(task_id=result.task_id, failure="DatasetUnreadable")
        super().answer(agent, result)


def test_search_that_met_a_fault_with_its_whole_budget_under_way_loses_nothing_once_it_is_mended(
    tmp_path: Path,
) -> None:
    experiment = make_experiment(budget={"maxTrials": 4, "parallelTrials": 4}, reference=None, started_at=None)
    world = _Unreadable(make_supernet(), experiment)
    _until_ended(world)
    assert reason_of(world.experiment, "Failed") == "DatasetUnreadable"
    before = {name: trial.spec for name, trial in world.documents.items()}
    assert len(before) == 4
    records, again = mended(RunFolder(tmp_path), world.records, now=world.now)
    assert {trial.metadata.name for trial in again} == before.keys()
    world.documents.update({trial.metadata.name: trial for trial in again})
    world.experiment, world.in_place = records.experiment, True
    for agent in world.agents.values():
        agent.journal.clear()  # a failure is not kept there
    world.start_operator()
    _until_ended(world)
    assert reason_of(world.experiment, "Succeeded") == "BudgetSpent"
    assert {name: trial.spec for name, trial in world.documents.items()} == before
    counts = world.experiment.status.trials
    assert (counts.created, counts.succeeded, counts.failed) == (4, 4, 0)


def _until_ended(world: World, *, most: int = 500) -> None:
    for _ in range(most):
        world.cycle()
        status = world.experiment.status
        if (reason_of(status, "Succeeded") or reason_of(status, "Failed")) and not world.records.active:
            return
        world.tick()
    raise AssertionError(f"not ended: {world.experiment.status.conditions}")
