"""Pods are looked at where their Job doesn't say enough, and no more often than that."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.job_server import MADE, JobServer, job_record, make_jobs
from support.reconcile_builders import NOW


@pytest.fixture
def server() -> JobServer:
    return JobServer()


def test_a_job_without_a_pod_says_why_after_a_while(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Pending")
    jobs.indexed = {record.name: record}
    server.events = [{"of": record.uid, "lastTimestamp": MADE, "message": "exceeded quota: gpus"}]
    first, moment = NOW + timedelta(seconds=10), NOW + timedelta(seconds=60)
    assert jobs.views(first)[record.name].reason == ""
    view = jobs.views(moment)[record.name]
    assert (view.reason, view.message, view.since) == ("NoPod", "exceeded quota: gpus", moment)
    server.events = []
    assert "kubectl describe job" in jobs.views(moment + timedelta(minutes=1))[record.name].message


def test_a_pod_that_was_found_a_node_after_hours_is_started_from_then_on(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Pending")
    jobs.indexed = {record.name: record}
    pod: dict[str, Any] = {"metadata": {"ownerReferences": [{"uid": record.uid, "controller": True}]}}
    lacks = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    server.pods = [pod | {"status": {"conditions": [lacks]}}]
    jobs.views(NOW + timedelta(seconds=10))
    found = NOW + timedelta(hours=5)
    assert jobs.views(found - timedelta(minutes=1))[record.name].since == NOW + timedelta(seconds=10)
    server.pods = [pod | {"status": {}}]
    view = jobs.views(found)[record.name]
    assert (view.reason, view.since) == ("", found)


def test_those_who_wait_are_looked_at_in_turns(server: JobServer) -> None:
    jobs = make_jobs(server)
    records = [replace(job_record(state="Pending"), name=f"net-{n}", uid=f"j-{n}", component="trial") for n in range(9)]
    jobs.indexed = {record.name: record for record in records}
    for cycle in range(1, 4):
        jobs.views(NOW + timedelta(seconds=10 * cycle))
    assert len(set(server.looks)) == len(records)


def test_pods_are_looked_at_only_when_a_job_waits_too_long(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Pending")
    jobs.indexed = {record.name: record}
    jobs.views(NOW + timedelta(seconds=1))
    assert server.looks == []
    jobs.views(NOW + timedelta(seconds=10))
    jobs.views(NOW + timedelta(seconds=11))
    assert server.looks == [f"batch.kubernetes.io/job-name={record.name}"]


@pytest.mark.parametrize("state", ["Pending", "Failed"])
def test_pods_of_a_job_that_goes_are_not_looked_at(server: JobServer, state: str) -> None:
    jobs = make_jobs(server)
    record = replace(job_record(state=state), leaving=True)
    jobs.indexed = {record.name: record}
    jobs.views(NOW + timedelta(seconds=10))
    assert server.looks == []


def test_a_failed_jobs_pod_tells_why_and_is_asked_once(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Failed")
    jobs.indexed = {record.name: record}
    ended = {"name": "main", "state": {"terminated": {"exitCode": 7, "message": "out of luck"}}}
    references = [{"uid": record.uid, "controller": True}]
    server.pods = [{"metadata": {"ownerReferences": references}, "status": {"containerStatuses": [ended]}}]
    for _ in range(3):
        view = jobs.views(NOW)[record.name]
    assert view.exit_code == 7
    assert "out of luck" in view.message
    assert len(server.looks) == 1


def test_pods_of_an_earlier_job_of_the_name_say_nothing(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Failed")
    jobs.indexed = {record.name: record}
    ended = {"name": "main", "state": {"terminated": {"exitCode": 42}}}
    references = [{"uid": "earlier", "controller": True}]
    server.pods = [{"metadata": {"ownerReferences": references}, "status": {"containerStatuses": [ended]}}]
    assert jobs.views(NOW)[record.name].infrastructure
