"""Candidates' chunks in Redis: there when a task names them, gone with their trial."""

from typing import Any

import pytest

from pfpnas_api.artifacts import ArtifactDamaged, ArtifactError, ArtifactMissing
from pfpnas_api.bus import Queued
from pfpnas_api.kinds import ArtifactRef, Finalist, RankedTrial, TrialMetrics
from pfpnas_operator.driving import Records
from pfpnas_operator.driving.chunks import drop_finished, push_wanted
from pfpnas_operator.reconcile import Plan
from pfpnas_operator.reconcile.measuring import measure_task
from support.reconcile_builders import NOW, artifact, make_experiment, make_trial

REFERENCE = artifact("reference")


class Chunks:
    """Redis, as far as it holds candidates, and tasks of another search that name some."""

    def __init__(self, *asked: ArtifactRef) -> None:
        experiment = make_experiment()
        self._queued = [(Queued("1-0", b"", "Waiting"), measure_task(experiment, model, REFERENCE)) for model in asked]
        self.pushed: list[ArtifactRef] = []
        self.deleted: list[ArtifactRef] = []
        self.lost: dict[ArtifactRef, ArtifactError] = {}

    def push(self, pool: str, model: ArtifactRef, store: Any) -> None:
        if model in self.lost:
            raise self.lost[model]
        self.pushed.append(model)

    def tasks(self, pool: str) -> list[Any]:
        return self._queued

    def delete_chunks(self, pool: str, model: ArtifactRef) -> None:
        self.deleted.append(model)


def records(*active: Any, **status: Any) -> Records:
    experiment = make_experiment(**status)
    return Records(supernet=None, experiment=experiment, active={trial.metadata.name: trial for trial in active})


def dropped(redis: Chunks, kept: Records, *finished: int, plan: Plan | None = None) -> list[ArtifactRef]:
    bus: Any = redis
    drop_finished(plan or Plan(), [make_trial(number, "Succeeded") for number in finished], kept, bus)
    return redis.deleted


def test_the_chunks_of_a_trial_go_with_it() -> None:
    assert dropped(Chunks(), records(), 0, 1) == [artifact("model 0"), artifact("model 1")]


def test_a_cycle_in_which_nothing_ends_does_not_look_at_the_road() -> None:
    assert dropped(Chunks(), records()) == []


def test_what_another_search_measures_stays() -> None:
    assert dropped(Chunks(artifact("model 0")), records(), 0) == []


def test_what_another_trial_is_to_be_measured_by_stays() -> None:
    again = make_trial(1, "Built", artifact=artifact("model 0"))
    assert dropped(Chunks(), records(again), 0) == []


def test_the_reference_stays_until_the_end() -> None:
    smallest = make_trial(0, "Succeeded", artifact=REFERENCE)
    redis: Any = Chunks()
    drop_finished(Plan(), [smallest], records(), redis)
    assert redis.deleted == []


def test_at_the_end_goes_what_was_measured_again() -> None:
    ranked = RankedTrial(
        trial="t", architecture="a", feasible=True, metrics=TrialMetrics(), artifact=artifact("finalist")
    )
    kept = records(finalists=(Finalist(trial="t", ranked=ranked),), finished_at=NOW)
    assert dropped(Chunks(), kept, plan=Plan(status=kept.experiment.status)) == [REFERENCE, artifact("finalist")]


@pytest.mark.parametrize("missed", [(), (artifact("missed"), REFERENCE)])
def test_what_a_task_names_is_pushed_before_it_once(missed: tuple[ArtifactRef, ...]) -> None:
    experiment = make_experiment()
    tasks = [measure_task(experiment, artifact(f"model {n}"), REFERENCE, repetition=101) for n in range(2)]
    redis: Any = Chunks()
    push_wanted(Plan(tasks=tasks, push=list(missed)), redis, redis, pool="dev")
    wanted = {ref.sha256 for ref in (*missed, REFERENCE, artifact("model 0"), artifact("model 1"))}
    assert sorted(ref.sha256 for ref in redis.pushed) == sorted(wanted)


@pytest.mark.parametrize("state", [ArtifactMissing, ArtifactDamaged])
def test_a_candidate_that_the_store_has_lost_or_damaged_keeps_none_of_the_others_from_their_agents(
    state: type[ArtifactError], caplog: pytest.LogCaptureFixture
) -> None:
    redis: Any = Chunks()
    redis.lost = {artifact("model 0"): state("artifact x is damaged")}
    push_wanted(Plan(push=[artifact("model 0"), artifact("model 1")]), redis, redis, pool="dev")
    assert redis.pushed == [artifact("model 1")]
    assert caplog.messages == ["a candidate can't be measured: artifact x is damaged"]


def test_a_store_that_is_away_is_no_fault_of_a_candidate() -> None:
    redis: Any = Chunks()
    redis.lost = {artifact("model 0"): ArtifactError("away")}
    with pytest.raises(ArtifactError, match="away"):
        push_wanted(Plan(push=[artifact("model 0")]), redis, redis, pool="dev")
