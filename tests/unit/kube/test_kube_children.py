"""The Jobs of an owner: what the watch has not told of yet, what was deleted, and what the API server refuses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pfpnas_api.jobs import EXIT_BAD_INPUT
from pfpnas_operator.kube.api import JOBS, SERVICES, ApiAway, ApiError
from support.job_server import JobServer, builder_of, job_record, make_jobs, told
from support.kube_parts import job_request
from support.reconcile_builders import NOW


@pytest.fixture
def server() -> JobServer:
    return JobServer()


def test_a_job_that_was_made_is_seen_before_the_watch_tells(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.views(NOW)["net-pretrain"].state == "Pending"
    assert jobs.uids() == {"net-pretrain": "u-1-pretrain"}


def test_a_job_that_the_watch_never_tells_of_is_forgotten(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.views(NOW + timedelta(minutes=2)) == {}


def test_making_a_job_twice_finds_the_first(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert len(told(server)) == 1
    assert "net-pretrain" in jobs.views(NOW)


def test_another_owners_job_of_the_same_name_is_waited_out(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    body = server.objects[JOBS.plural, "net-pretrain"]
    (reference,) = body["metadata"]["ownerReferences"]
    body["metadata"]["ownerReferences"] = [reference | {"uid": "somebody-else"}]
    other = make_jobs(server)
    other.create_all([job_request("pretrain")], now=NOW)
    view = other.views(NOW)["net-pretrain"]
    assert (view.state, "not its own" in view.message) == ("Pending", True)
    del server.objects[JOBS.plural, "net-pretrain"]
    other.create_all([job_request("pretrain")], now=NOW + timedelta(minutes=1))
    assert other.uids() == {"net-pretrain": "u-1-pretrain"}


def test_a_build_that_was_deleted_is_gone_at_once(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("trial")], now=NOW)
    jobs.indexed = told(server)
    jobs.delete(["net-trial", "unknown"])
    assert jobs.views(NOW) == {}
    assert server.deleted == [("net-trial", "Background")]


def test_one_that_cannot_be_deleted_leaves_all_the_same_and_is_deleted_later(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = told(server)
    server.refuses_to_delete = True
    with pytest.raises(ApiError):
        jobs.delete(["net-pretrain"])
    assert jobs.views(NOW)["net-pretrain"].leaving, "its end is counted once"
    with pytest.raises(ApiError):
        jobs.delete([])

    server.refuses_to_delete = False
    jobs.delete([])
    assert server.deleted == [("net-pretrain", "Foreground")]
    assert jobs.views(NOW)["net-pretrain"].leaving, "until its pods are gone"


def test_a_training_that_was_deleted_is_leaving_until_its_pods_are_gone(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = told(server)
    jobs.delete(["net-pretrain"])
    assert server.deleted == [("net-pretrain", "Foreground")]
    assert jobs.views(NOW)["net-pretrain"].leaving
    jobs.delete(["net-pretrain"])
    assert len(server.deleted) == 1


def test_a_leaving_job_that_is_gone_gives_its_name_free(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    record = told(server)["net-pretrain"]
    jobs.indexed = {record.name: record}
    jobs.delete([record.name])
    jobs.indexed = {record.name: replace(record, leaving=True)}
    assert jobs.views(NOW)[record.name].leaving
    jobs.indexed = {}
    assert jobs.views(NOW) == {}


def test_a_job_that_the_api_refuses_is_its_inputs_fault(server: JobServer) -> None:
    server.refusal = ApiError(422, "Invalid", "requests must be less than limits")
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    view = jobs.views(NOW)["net-pretrain"]
    assert (view.state, view.exit_code) == ("Failed", EXIT_BAD_INPUT)
    assert "requests must be less than limits" in view.message
    jobs.delete(["net-pretrain"])
    assert jobs.views(NOW) == {}


QUOTA = ApiError(403, "Forbidden", "exceeded quota: jobs")


@pytest.mark.parametrize(
    "refusal",
    [
        QUOTA,
        ApiError(400, "BadRequest", 'admission webhook "policy" denied the request'),
        ApiAway(500, "InternalError", 'failed calling webhook "policy": no endpoints'),
    ],
)
def test_a_job_that_a_quota_or_a_webhook_forbids_waits_and_is_tried_again(server: JobServer, refusal: ApiError) -> None:
    server.refusal = refusal
    jobs, wanted, later = make_jobs(server), [job_request("pretrain")], NOW + timedelta(seconds=10)
    for now in (NOW, NOW + timedelta(seconds=1), later):
        jobs.create_all(wanted, now=now)
    assert server.tries == 2
    view = jobs.views(later)["net-pretrain"]
    assert (view.state, view.reason, view.since) == ("Pending", "JobRefused", NOW)
    assert str(refusal) in view.message
    server.refusal = None
    jobs.create_all(wanted, now=later + timedelta(seconds=10))
    assert jobs.views(later)["net-pretrain"].reason == ""


def test_a_refused_job_that_nobody_wants_any_more_is_forgotten(server: JobServer) -> None:
    server.refusal = QUOTA
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.delete(["net-pretrain"])
    assert (jobs.views(NOW), server.deleted) == ({}, [])


def test_a_refusal_counts_until_the_job_is_there(server: JobServer) -> None:
    server.refusal = QUOTA
    jobs, record = make_jobs(server), job_record(state="Running")
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = {record.name: record}
    assert jobs.views(NOW)[record.name].state == "Running"
    jobs.indexed = {}
    assert jobs.views(NOW) == {}


def test_one_refused_job_keeps_no_other_from_being_made(server: JobServer) -> None:
    jobs = make_jobs(server, workers=2)
    server.refusal, server.refused_kind = QUOTA, SERVICES
    jobs.create_all([job_request("pretrain"), job_request("trial")], now=NOW)
    assert {name: view.reason for name, view in jobs.views(NOW).items()} == {
        "net-pretrain": "JobRefused",
        "net-trial": "",
    }


def test_a_server_that_is_away_is_told_to_who_asked(server: JobServer) -> None:
    server.refusal = ApiAway(0, "MaxRetryError", "/apis/batch/v1/namespaces/webhook-team/jobs: connection refused")
    with pytest.raises(ApiAway):
        make_jobs(server).create_all([job_request("pretrain")], now=NOW)


def test_several_workers_get_a_service_before_their_job(server: JobServer) -> None:
    jobs = make_jobs(server, workers=2)
    server.refusal = QUOTA
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert [plural for plural, _ in server.objects] == [SERVICES.plural]
    server.refusal = None
    jobs.create_all([job_request("pretrain")], now=NOW + timedelta(minutes=1))
    assert [plural for plural, _ in server.objects] == [SERVICES.plural, JOBS.plural]


def test_a_service_of_somebody_else_is_left_alone(server: JobServer) -> None:
    theirs = {"metadata": {"name": "net-pretrain"}}
    server.create(SERVICES, "team-a", theirs)
    make_jobs(server, workers=2).create_all([job_request("pretrain")], now=NOW)
    assert server.deleted == []
    assert len([plural for plural, _ in server.objects if plural == SERVICES.plural]) == 2


def test_a_job_that_waits_is_made_anew_when_it_would_be_made_otherwise(server: JobServer) -> None:
    jobs = make_jobs(server, queue="wrong")
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = told(server)
    jobs.views(NOW)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert server.deleted == []
    jobs.builder = builder_of(queue="right")
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert server.deleted == [("net-pretrain", "Foreground")]
    jobs.indexed = {}
    jobs.create_all([job_request("pretrain")], now=NOW)
    made = server.objects[JOBS.plural, "net-pretrain"]
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "right"


@pytest.mark.parametrize("fields", [{"state": "Running"}, {"state": "Pending", "made_of": ""}])
def test_a_job_that_runs_or_has_no_mark_stays_as_it_is(server: JobServer, fields: dict[str, Any]) -> None:
    jobs = make_jobs(server)
    record = replace(job_record(state="Running"), **({"made_of": "of something else"} | fields))
    jobs.indexed = {record.name: record}
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert (server.deleted, server.tries) == ([], 0)


def test_a_job_that_was_gone_when_it_was_deleted_is_gone(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Running")
    jobs.indexed = {record.name: record}
    jobs.delete([record.name])
    assert jobs.views(NOW) == {}
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.uids() == {record.name: "u-1-pretrain"}
    jobs.delete([record.name])
    assert server.deleted == [(record.name, "Foreground"), (record.name, "Foreground")]


def test_a_run_counts_from_when_it_was_first_seen_running(server: JobServer) -> None:
    jobs = make_jobs(server)
    record = job_record(state="Pending")
    jobs.indexed = {record.name: record}
    jobs.views(NOW)
    jobs.indexed = {record.name: replace(record, state="Running")}
    later = NOW + timedelta(minutes=20)
    assert jobs.views(later)[record.name].since == later
    assert jobs.views(later + timedelta(minutes=1))[record.name].since == later


def test_a_pod_in_place_of_an_evicted_one_waits_from_then_on(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    started = told(server)["net-pretrain"]
    server.pods = [{"metadata": {"ownerReferences": [{"uid": started.uid, "controller": True}]}, "status": {}}]
    jobs.indexed = {started.name: replace(started, state="Running")}
    jobs.views(NOW)

    evicted = NOW + timedelta(hours=5)
    jobs.indexed = {started.name: started}

    assert jobs.views(evicted)[started.name].since == evicted
    assert jobs.views(evicted + timedelta(minutes=1))[started.name].since == evicted


def test_an_old_job_that_is_deleted_leaves_from_then_on(server: JobServer) -> None:
    jobs = make_jobs(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    record = told(server)["net-pretrain"]
    jobs.indexed = {record.name: replace(record, state="Running")}
    later = NOW + timedelta(hours=30)
    jobs.views(later)

    jobs.delete([record.name])

    view = jobs.views(later + timedelta(seconds=1))[record.name]
    assert (view.leaving, view.since) == (True, later)
