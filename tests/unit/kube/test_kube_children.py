"""The Jobs of an owner: what the watch has not told of yet, what was deleted, and what the API server refuses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pfpnas_api.jobs import EXIT_BAD_INPUT
from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_operator.kube.api import EVENTS, JOBS, PODS, SERVICES, ApiAway, ApiError, Exists
from pfpnas_operator.kube.children import ApiJobs
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord, record_of
from pfpnas_operator.kube.owners import LABEL_OWNER, Owner
from support.kube_parts import CONFIG, job_request
from support.reconcile_builders import NOW

MADE = "2026-01-01T00:00:00Z"


class Server:
    """As much of an API server as Jobs need."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.deleted: list[tuple[str, str]] = []
        self.pods: list[dict[str, Any]] = []
        self.looks: list[str | None] = []
        self.refusal: ApiError | None = None
        self.refused_kind = JOBS
        self.events: list[dict[str, Any]] = []
        self.tries = 0

    def create(self, place: Any, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        key = (place.plural, body["metadata"]["name"])
        self.tries += 1
        if self.refusal is not None and place is self.refused_kind:
            raise self.refusal
        if key in self.objects:
            raise Exists(409, "AlreadyExists", "there already")
        metadata = body["metadata"] | {"uid": f"uid-{self.tries}", "creationTimestamp": MADE}
        self.objects[key] = body | {"metadata": metadata}
        return self.objects[key]

    def get(self, place: Any, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((place.plural, name))

    def list(
        self, place: Any, namespace: str, *, labels: str | None = None, fields: str | None = None
    ) -> list[dict[str, Any]]:
        if place is EVENTS:
            return [event for event in self.events if fields == f"involvedObject.uid={event['of']},reason=FailedCreate"]
        assert place is PODS
        self.looks.append(labels)
        return self.pods

    def delete(self, place: Any, namespace: str, name: str, **how: Any) -> bool:
        self.deleted.append((name, how.get("propagation", "")))
        return self.objects.pop((place.plural, name), None) is not None


@pytest.fixture
def server() -> Server:
    return Server()


def make(server: Server, **fields: Any) -> ApiJobs:
    api: Any = server
    return ApiJobs(api=api, pool=ThreadPoolExecutor(4), builder=builder_of(**fields))


def builder_of(*, workers: int = 1, queue: str | None = None) -> JobBuilder:
    owner = Owner(
        kind="Supernet",
        namespace="team-a",
        name="net",
        uid="u-1",
        template=PodTemplate(),
        queue=queue,
        image=None,
        workers=workers,
    )
    return JobBuilder(CONFIG, owner)


def told(server: Server) -> dict[str, JobRecord]:
    """What a watch that has caught up tells."""
    records = [record_of(body) for (plural, _), body in server.objects.items() if plural == JOBS.plural]
    return {record.name: record for record in records}


def test_a_job_that_was_made_is_seen_before_the_watch_tells(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.views(NOW)["net-pretrain"].state == "Pending"
    assert jobs.uids() == {"net-pretrain": "u-1-pretrain"}


def test_a_job_that_the_watch_never_tells_of_is_forgotten(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.views(NOW + timedelta(minutes=2)) == {}


def test_making_a_job_twice_finds_the_first(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert len(told(server)) == 1
    assert "net-pretrain" in jobs.views(NOW)


def test_another_owners_job_of_the_same_name_is_waited_out(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    body = server.objects[JOBS.plural, "net-pretrain"]
    body["metadata"]["labels"] = body["metadata"]["labels"] | {LABEL_OWNER: "somebody-else"}
    other = make(server)
    other.create_all([job_request("pretrain")], now=NOW)
    view = other.views(NOW)["net-pretrain"]
    assert (view.state, "not its own" in view.message) == ("Pending", True)
    del server.objects[JOBS.plural, "net-pretrain"]
    other.create_all([job_request("pretrain")], now=NOW + timedelta(minutes=1))
    assert other.uids() == {"net-pretrain": "u-1-pretrain"}


def test_a_build_that_was_deleted_is_gone_at_once(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("trial")], now=NOW)
    jobs.indexed = told(server)
    jobs.delete(["net-trial", "unknown"])
    assert jobs.views(NOW) == {}
    assert server.deleted == [("net-trial", "Background")]


def test_a_training_that_was_deleted_is_leaving_until_its_pods_are_gone(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = told(server)
    jobs.delete(["net-pretrain"])
    assert server.deleted == [("net-pretrain", "Foreground")]
    assert jobs.views(NOW)["net-pretrain"].leaving
    jobs.delete(["net-pretrain"])
    assert len(server.deleted) == 1


def test_a_leaving_job_that_is_gone_gives_its_name_free(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    record = told(server)["net-pretrain"]
    jobs.indexed = {record.name: record}
    jobs.delete([record.name])
    jobs.indexed = {record.name: replace(record, leaving=True)}
    assert jobs.views(NOW)[record.name].leaving
    jobs.indexed = {}
    assert jobs.views(NOW) == {}


def test_a_job_that_the_api_refuses_is_its_inputs_fault(server: Server) -> None:
    server.refusal = ApiError(422, "Invalid", "requests must be less than limits")
    jobs = make(server)
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
def test_a_job_that_a_quota_or_a_webhook_forbids_waits_and_is_tried_again(server: Server, refusal: ApiError) -> None:
    server.refusal = refusal
    jobs, wanted, later = make(server), [job_request("pretrain")], NOW + timedelta(seconds=10)
    for now in (NOW, NOW + timedelta(seconds=1), later):
        jobs.create_all(wanted, now=now)
    assert server.tries == 2
    view = jobs.views(later)["net-pretrain"]
    assert (view.state, view.reason, view.since) == ("Pending", "JobRefused", NOW)
    assert str(refusal) in view.message
    server.refusal = None
    jobs.create_all(wanted, now=later + timedelta(seconds=10))
    assert jobs.views(later)["net-pretrain"].reason == ""


def test_a_refused_job_that_nobody_wants_any_more_is_forgotten(server: Server) -> None:
    server.refusal = QUOTA
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.delete(["net-pretrain"])
    assert (jobs.views(NOW), server.deleted) == ({}, [])


def test_a_refusal_counts_until_the_job_is_there(server: Server) -> None:
    server.refusal = QUOTA
    jobs, record = make(server), _record(state="Running")
    jobs.create_all([job_request("pretrain")], now=NOW)
    jobs.indexed = {record.name: record}
    assert jobs.views(NOW)[record.name].state == "Running"
    jobs.indexed = {}
    assert jobs.views(NOW) == {}


def test_one_refused_job_keeps_no_other_from_being_made(server: Server) -> None:
    jobs = make(server, workers=2)
    server.refusal, server.refused_kind = QUOTA, SERVICES
    jobs.create_all([job_request("pretrain"), job_request("trial")], now=NOW)
    assert {name: view.reason for name, view in jobs.views(NOW).items()} == {
        "net-pretrain": "JobRefused",
        "net-trial": "",
    }


def test_a_server_that_is_away_is_told_to_who_asked(server: Server) -> None:
    server.refusal = ApiAway(503, "ServiceUnavailable", "try later")
    with pytest.raises(ApiAway):
        make(server).create_all([job_request("pretrain")], now=NOW)


def test_several_workers_get_a_service_before_their_job(server: Server) -> None:
    jobs = make(server, workers=2)
    server.refusal = QUOTA
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert [plural for plural, _ in server.objects] == [SERVICES.plural]
    server.refusal = None
    jobs.create_all([job_request("pretrain")], now=NOW + timedelta(minutes=1))
    assert [plural for plural, _ in server.objects] == [SERVICES.plural, JOBS.plural]


def test_a_service_of_somebody_else_is_left_alone(server: Server) -> None:
    theirs = {"metadata": {"name": "net-pretrain"}}
    server.create(SERVICES, "team-a", theirs)
    make(server, workers=2).create_all([job_request("pretrain")], now=NOW)
    assert server.deleted == []
    assert len([plural for plural, _ in server.objects if plural == SERVICES.plural]) == 2


def test_a_job_that_waits_is_made_anew_when_it_would_be_made_otherwise(server: Server) -> None:
    jobs = make(server, queue="wrong")
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
def test_a_job_that_runs_or_has_no_mark_stays_as_it_is(server: Server, fields: dict[str, Any]) -> None:
    jobs = make(server)
    record = replace(_record(state="Running"), **({"made_of": "of something else"} | fields))
    jobs.indexed = {record.name: record}
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert (server.deleted, server.tries) == ([], 0)


def test_a_job_that_was_gone_when_it_was_deleted_is_gone(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Running")
    jobs.indexed = {record.name: record}
    jobs.delete([record.name])
    assert jobs.views(NOW) == {}
    jobs.create_all([job_request("pretrain")], now=NOW)
    assert jobs.uids() == {record.name: "u-1-pretrain"}
    jobs.delete([record.name])
    assert server.deleted == [(record.name, "Foreground"), (record.name, "Foreground")]


def test_a_job_without_a_pod_says_why_after_a_while(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Pending")
    jobs.indexed = {record.name: record}
    server.events = [{"of": record.uid, "lastTimestamp": MADE, "message": "exceeded quota: gpus"}]
    first, moment = NOW + timedelta(seconds=10), NOW + timedelta(seconds=60)
    assert jobs.views(first)[record.name].reason == ""
    view = jobs.views(moment)[record.name]
    assert (view.reason, view.message, view.since) == ("NoPod", "exceeded quota: gpus", moment)
    server.events = []
    assert "kubectl describe job" in jobs.views(moment + timedelta(minutes=1))[record.name].message


def test_a_pod_that_was_found_a_node_after_hours_is_started_from_then_on(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Pending")
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


def test_those_who_wait_are_looked_at_in_turns(server: Server) -> None:
    jobs = make(server)
    records = [replace(_record(state="Pending"), name=f"net-{n}", uid=f"j-{n}", component="trial") for n in range(9)]
    jobs.indexed = {record.name: record for record in records}
    for cycle in range(1, 4):
        jobs.views(NOW + timedelta(seconds=10 * cycle))
    assert len(set(server.looks)) == len(records)


def test_pods_are_looked_at_only_when_a_job_waits_too_long(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Pending")
    jobs.indexed = {record.name: record}
    jobs.views(NOW + timedelta(seconds=1))
    assert server.looks == []
    jobs.views(NOW + timedelta(seconds=10))
    jobs.views(NOW + timedelta(seconds=11))
    assert server.looks == [f"batch.kubernetes.io/job-name={record.name}"]


@pytest.mark.parametrize("state", ["Pending", "Failed"])
def test_pods_of_a_job_that_goes_are_not_looked_at(server: Server, state: str) -> None:
    jobs = make(server)
    record = replace(_record(state=state), leaving=True)
    jobs.indexed = {record.name: record}
    jobs.views(NOW + timedelta(seconds=10))
    assert server.looks == []


def test_a_failed_jobs_pod_tells_why_and_is_asked_once(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Failed")
    jobs.indexed = {record.name: record}
    ended = {"name": "main", "state": {"terminated": {"exitCode": 7, "message": "out of luck"}}}
    references = [{"uid": record.uid, "controller": True}]
    server.pods = [{"metadata": {"ownerReferences": references}, "status": {"containerStatuses": [ended]}}]
    for _ in range(3):
        view = jobs.views(NOW)[record.name]
    assert view.exit_code == 7
    assert "out of luck" in view.message
    assert len(server.looks) == 1


def test_pods_of_an_earlier_job_of_the_name_say_nothing(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Failed")
    jobs.indexed = {record.name: record}
    ended = {"name": "main", "state": {"terminated": {"exitCode": 42}}}
    references = [{"uid": "earlier", "controller": True}]
    server.pods = [{"metadata": {"ownerReferences": references}, "status": {"containerStatuses": [ended]}}]
    assert jobs.views(NOW)[record.name].infrastructure


def test_a_run_counts_from_when_it_was_first_seen_running(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Pending")
    jobs.indexed = {record.name: record}
    jobs.views(NOW)
    jobs.indexed = {record.name: replace(record, state="Running")}
    later = NOW + timedelta(minutes=20)
    assert jobs.views(later)[record.name].since == later
    assert jobs.views(later + timedelta(minutes=1))[record.name].since == later


def _record(*, state: Any) -> JobRecord:
    return JobRecord(
        name="net-pretrain",
        uid="j-1",
        namespace="team-a",
        component="pretrain",
        document="u-1-pretrain",
        state=state,
        since=NOW,
    )


def test_a_pod_in_place_of_an_evicted_one_waits_from_then_on(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    started = told(server)["net-pretrain"]
    server.pods = [{"metadata": {"ownerReferences": [{"uid": started.uid, "controller": True}]}, "status": {}}]
    jobs.indexed = {started.name: replace(started, state="Running")}
    jobs.views(NOW)

    evicted = NOW + timedelta(hours=5)
    jobs.indexed = {started.name: started}

    assert jobs.views(evicted)[started.name].since == evicted
    assert jobs.views(evicted + timedelta(minutes=1))[started.name].since == evicted


def test_an_old_job_that_is_deleted_leaves_from_then_on(server: Server) -> None:
    jobs = make(server)
    jobs.create_all([job_request("pretrain")], now=NOW)
    record = told(server)["net-pretrain"]
    jobs.indexed = {record.name: replace(record, state="Running")}
    later = NOW + timedelta(hours=30)
    jobs.views(later)

    jobs.delete([record.name])

    view = jobs.views(later + timedelta(seconds=1))[record.name]
    assert (view.leaving, view.since) == (True, later)
