"""Jobs as the watch tells of them: one whose end it did not tell is gone once a list lacks it twice."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from pfpnas_operator.kube.joblist import ToldJobs
from pfpnas_operator.kube.jobviews import JobRecord
from support.reconcile_builders import NOW


def record(uid: str, name: str = "net-pretrain", age: int = 0) -> JobRecord:
    fields: dict[str, Any] = {"namespace": "a", "component": "pretrain", "document": "d", "state": "Running"}
    return JobRecord(name=name, uid=uid, since=NOW - timedelta(seconds=age), **fields)


def test_a_job_that_two_lists_lack_is_gone_and_its_owner_is_told_once() -> None:
    jobs = ToldJobs({"u-1": [record("j-1")], "u-2": [record("j-2")]})
    assert jobs.compare({"j-2"}) == []
    assert jobs.of("u-1", namespace="a")
    assert jobs.compare({"j-2"}) == ["u-1"]
    assert (jobs.of("u-1", namespace="a"), list(jobs.of("u-2", namespace="a"))) == ({}, ["net-pretrain"])
    assert jobs.compare({"j-2"}) == []
    assert jobs.of("u-1", namespace="a") == {}


def test_one_that_was_made_between_a_list_and_its_look_stays() -> None:
    jobs = ToldJobs({"u-1": [record("j-1")]})
    assert jobs.compare(set()) == []
    assert jobs.compare({"j-1"}) == []
    assert jobs.compare(set()) == []
    assert jobs.of("u-1", namespace="a")


def test_the_newer_of_two_of_one_name_is_there() -> None:
    new, old = record("j-2"), record("j-1", age=60)
    for told in ([new, old], [old, new]):
        assert ToldJobs({"u-1": told}).of("u-1", namespace="a")["net-pretrain"].uid == "j-2"


def test_a_job_of_another_namespace_that_names_the_owner_is_none_of_its_jobs() -> None:
    forged = replace(record("j-2"), namespace="evil", state="Failed")
    assert ToldJobs({"u-1": [record("j-1"), forged]}).of("u-1", namespace="a") == {"net-pretrain": record("j-1")}
