"""The Jobs of an owner: what the watch has not told of yet, what was deleted, and what the API server refuses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pfpnas_api.jobs import EXIT_BAD_INPUT
from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_operator.kube.api import JOBS, PODS, SERVICES, ApiError, Exists
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

    def create(self, place: Any, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        key = (place.plural, body["metadata"]["name"])
        if self.refusal is not None:
            raise self.refusal
        if key in self.objects:
            raise Exists(409, "AlreadyExists", "there already")
        metadata = body["metadata"] | {"uid": f"uid-{len(self.objects)}", "creationTimestamp": MADE}
        self.objects[key] = body | {"metadata": metadata}
        return self.objects[key]

    def get(self, place: Any, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((place.plural, name))

    def list(self, place: Any, namespace: str, *, labels: str | None = None) -> list[dict[str, Any]]:
        assert place is PODS
        self.looks.append(labels)
        return self.pods

    def delete(self, place: Any, namespace: str, name: str, **how: Any) -> bool:
        self.deleted.append((name, how.get("propagation", "")))
        return self.objects.pop((place.plural, name), None) is not None


@pytest.fixture
def server() -> Server:
    return Server()


def make(server: Server, *, workers: int = 1) -> ApiJobs:
    owner = Owner(
        kind="Supernet",
        namespace="team-a",
        name="net",
        uid="u-1",
        template=PodTemplate(),
        queue=None,
        image=None,
        workers=workers,
    )
    api: Any = server
    return ApiJobs(api=api, pool=ThreadPoolExecutor(4), builder=JobBuilder(CONFIG, owner))


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
    assert other.views(NOW) == {}


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


def test_any_other_refusal_is_raised(server: Server) -> None:
    server.refusal = ApiError(403, "Forbidden", "exceeded quota")
    with pytest.raises(ApiError, match="quota"):
        make(server).create_all([job_request("pretrain")], now=NOW)


def test_several_workers_get_a_service(server: Server) -> None:
    make(server, workers=2).create_all([job_request("pretrain")], now=NOW)
    assert (SERVICES.plural, "net-pretrain") in server.objects


def test_pods_are_looked_at_only_when_a_job_waits_too_long(server: Server) -> None:
    jobs = make(server)
    record = _record(state="Pending")
    jobs.indexed = {record.name: record}
    jobs.views(NOW + timedelta(seconds=1))
    assert server.looks == []
    jobs.views(NOW + timedelta(seconds=10))
    jobs.views(NOW + timedelta(seconds=11))
    assert server.looks == [f"batch.kubernetes.io/job-name={record.name}"]


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
