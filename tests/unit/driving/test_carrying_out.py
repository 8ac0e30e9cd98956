"""A plan is carried out as far as it can be: Jobs that can't be made keep nothing from being measured."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest

from pfpnas_operator.driving import Executor, Observer, Records
from pfpnas_operator.reconcile import JobRequest, Plan
from support.kube_parts import job_request
from support.reconcile_builders import NOW, make_experiment


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


class Record:
    """Nothing is written."""

    def create_trials(self, trials: Any) -> list[Any]:
        return []

    def write_trials(self, trials: Any) -> list[Any]:
        return []


def carry_out(plan: Plan, jobs: Jobs, road: Road) -> None:
    anything: Any = None
    fakes: Any = {"record": Record(), "jobs": jobs, "bus": road}
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
