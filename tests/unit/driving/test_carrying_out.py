"""A plan is carried out as far as it can be: Jobs that can't be made keep nothing from being measured."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from pfpnas_api.kinds import ArtifactRef
from pfpnas_api.messages import LogEntry
from pfpnas_operator.driving import Executor, Observer, Records
from pfpnas_operator.reconcile import JobRequest, Plan
from support.kube_parts import job_request
from support.reconcile_builders import NOW, artifact, make_experiment, make_trial


class AwayError(Exception):
    """Whoever makes Jobs doesn't answer."""


class Jobs:
    """Notes what it is asked for; fails if it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.asked = failure, []

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        self.asked.extend(request.name for request in requests)
        if self.failure is not None:
            raise self.failure

    def delete(self, names: Iterable[str]) -> None:
        pass


class Road:
    """Notes what is deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def delete_task(self, pool: str, entry: str) -> None:
        self.deleted.append(entry)


class Log:
    """Keeps what the tuner is told."""

    def __init__(self) -> None:
        self.told: list[LogEntry] = []

    def append_log(self, uid: str, entries: Any) -> None:
        self.told.extend(entries)


class FullRedis:
    """Refuses every write, and lets what is there be deleted."""

    def __init__(self) -> None:
        self.deleted: list[ArtifactRef] = []

    def tasks(self, pool: str) -> list[Any]:
        return []

    def delete_chunks(self, pool: str, model: ArtifactRef) -> None:
        self.deleted.append(model)

    def append_log(self, uid: str, entries: Any) -> None:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")


class Finishing:
    """The trials that are written have finished."""

    def create_trials(self, trials: Any, *, now: datetime) -> list[Any]:
        return []

    def write_trials(self, trials: Any) -> list[Any]:
        return [make_trial(0, "Succeeded")]


class Refusing:
    """Takes the first of new trials."""

    def create_trials(self, trials: Any, *, now: datetime) -> list[Any]:
        return trials[:1]

    def write_trials(self, trials: Any) -> list[Any]:
        return []


class Record:
    """Nothing is written."""

    def create_trials(self, trials: Any, *, now: datetime) -> list[Any]:
        return []

    def write_trials(self, trials: Any) -> list[Any]:
        return []


def carry_out(plan: Plan, jobs: Jobs, road: Any, record: Any = None) -> None:
    anything: Any = None
    fakes: Any = {"record": record or Record(), "jobs": jobs, "bus": road}
    records = Records(supernet=None, experiment=make_experiment())
    observer = Observer(records=records, manifests=anything, jobs=fakes["jobs"], bus=fakes["bus"])
    executor = Executor(
        **fakes, records=records, store=anything, blobs=anything, observer=observer, announce=lambda event: None
    )
    executor.carry_out(plan, now=NOW)


def test_jobs_that_can_not_be_made_do_not_hold_up_the_road() -> None:
    road = Road()
    with pytest.raises(AwayError):
        carry_out(Plan(create_jobs=[job_request("trial")], delete_tasks=["1-0"]), Jobs(AwayError()), road)
    assert road.deleted == ["1-0"]


def test_jobs_that_wait_are_asked_for_again() -> None:
    jobs = Jobs()
    carry_out(Plan(create_jobs=[job_request("trial")], waiting_jobs=[job_request("pretrain")]), jobs, Road())
    assert jobs.asked == ["net-trial", "net-pretrain"]


def test_a_job_that_goes_is_not_made_again_at_once() -> None:
    jobs = Jobs()
    carry_out(Plan(waiting_jobs=[job_request("pretrain")], delete_jobs=["net-pretrain"]), jobs, Road())
    assert jobs.asked == []


def test_of_trials_that_are_refused_the_tuner_is_told_nothing() -> None:
    trials = [make_trial(index) for index in range(2)]
    started = [LogEntry(event="Started", index=t.spec.index, architecture=t.spec.architecture) for t in trials]
    by_hand = LogEntry(event="Started", architecture=trials[1].spec.architecture)
    asked = LogEntry(event="Ask", count=4)
    plan = Plan(
        create_trials=trials,
        log=[*started, by_hand, asked],
        told={trial.metadata.name: "Started" for trial in trials} | {"by-hand": "Started"},
    )
    log = Log()
    carry_out(plan, Jobs(), log, Refusing())
    assert log.told == [started[0], by_hand, asked]
    assert plan.told.keys() == {trials[0].metadata.name, "by-hand"}


def test_a_redis_that_is_full_is_rid_of_what_has_finished() -> None:
    full = FullRedis()
    with pytest.raises(OutOfMemoryError):
        carry_out(Plan(log=[LogEntry(event="Ask", count=1)]), Jobs(), full, Finishing())
    assert full.deleted == [artifact("model 0")]
