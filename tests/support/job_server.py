"""As much of an API server as the Jobs of one owner need, and those Jobs on it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_operator.kube.api import EVENTS, JOBS, PODS, ApiError, Exists
from pfpnas_operator.kube.children import ApiJobs
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord, record_of
from pfpnas_operator.kube.owners import Owner
from support.kube_parts import CONFIG
from support.reconcile_builders import NOW

MADE = "2026-01-01T00:00:00Z"


class JobServer:
    """Its objects, and what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.deleted: list[tuple[str, str]] = []
        self.pods: list[dict[str, Any]] = []
        self.looks: list[str | None] = []
        self.refusal: ApiError | None = None
        self.refused_kind = JOBS
        self.refuses_to_delete = False
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
        if self.refuses_to_delete:
            raise ApiError(500, "InternalError", "failed calling webhook")
        self.deleted.append((name, how.get("propagation", "")))
        return self.objects.pop((place.plural, name), None) is not None


def make_jobs(server: JobServer, **fields: Any) -> ApiJobs:
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


def told(server: JobServer) -> dict[str, JobRecord]:
    """What a watch that has caught up tells."""
    records = [record_of(body) for (plural, _), body in server.objects.items() if plural == JOBS.plural]
    return {record.name: record for record in records}


def job_record(*, state: Any) -> JobRecord:
    return JobRecord(
        name="net-pretrain",
        uid="j-1",
        namespace="team-a",
        component="pretrain",
        document="u-1-pretrain",
        state=state,
        since=NOW,
    )
