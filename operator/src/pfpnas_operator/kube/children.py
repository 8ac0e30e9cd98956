"""The Jobs of one owner: seen in the index, made and deleted through the API, pods looked at only when they matter."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pfpnas_api.jobs import EXIT_BAD_INPUT
from pfpnas_operator.kube.api import JOBS, PODS, SERVICES, Api, ApiError, Exists
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord, PodView, job_view, owner_of, pods_view, record_of
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile import JobRequest, JobView

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=3)
"""A pod is scheduled and started in less; one that takes longer has a reason that is worth a request."""

LOOK_AGAIN = timedelta(seconds=5)
"""Between two looks at the pods of a Job that waits."""

MOST_LOOKS = 4
"""Jobs that wait and whose pods are looked at in one cycle: what a hundred others wait for is mostly the same."""

OVERLAY = timedelta(seconds=60)
"""So long a Job that was made is believed to be there though the watch hasn't told of it."""


@dataclass(kw_only=True)
class ApiJobs:
    """The Jobs of a Supernet or NASExperiment."""

    api: Api
    pool: Executor
    builder: JobBuilder
    indexed: Mapping[str, JobRecord] = field(default_factory=dict)
    """By name, as the watch last told; set before every cycle."""
    _made: dict[str, tuple[JobRecord, datetime]] = field(default_factory=dict)
    _deleted: set[str] = field(default_factory=set)
    """Uids."""
    _leaving: dict[str, datetime] = field(default_factory=dict)
    """When those were deleted, by uid, that stay until their pods are gone."""
    _now: datetime = field(default_factory=lambda: datetime.fromtimestamp(0, UTC))
    """Of the last look."""
    _refused: dict[str, JobView] = field(default_factory=dict)
    _since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _pods: dict[str, tuple[PodView, datetime]] = field(default_factory=dict)
    """By the Job's uid: what was found, and when."""

    @property
    def namespace(self) -> str:
        """Of the owner and its Jobs."""
        return self.builder.owner.namespace

    def views(self, now: datetime) -> dict[str, JobView]:
        """Every Job as it stands."""
        self._now = now
        records = self._records(now)
        self._remember(records, now)
        self._look_at_pods(records, now)
        seen = {name: self._view(record) for name, record in records.items()}
        return {**self._refused, **seen}

    def uids(self) -> dict[str, str]:
        """Uids of the documents of Jobs, by their names."""
        there = {name: record for name, (record, _) in self._made.items()} | dict(self.indexed)
        return {name: record.document for name, record in there.items() if record.uid not in self._deleted}

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        """Make Jobs side by side; one that is there already is left alone."""
        for name, record in together(self.pool, lambda request: self._create(request, now), requests):
            if record is not None:
                self._made[name] = (record, now)

    def delete(self, names: Iterable[str]) -> None:
        """Delete Jobs side by side."""
        wanted = []
        for name in names:
            self._refused.pop(name, None)
            known = self.indexed.get(name) or self._made.get(name, (None,))[0]
            if known is not None and not known.leaving and known.uid not in self._leaving:
                wanted.append(known)
        for record in together(self.pool, self._delete, wanted):
            if self._succeeded_by_its_like(record):
                self._leaving[record.uid] = self._now
            else:
                self._deleted.add(record.uid)

    # -- seeing ------------------------------------------------------------------------------------------------

    def _records(self, now: datetime) -> dict[str, JobRecord]:
        """What the watch tells, with what it doesn't tell yet of the last moments."""
        for name, (made, at) in list(self._made.items()):
            told = self.indexed.get(name)
            if (told is not None and told.uid == made.uid) or made.uid in self._deleted or now - at > OVERLAY:
                del self._made[name]
        there = dict(self.indexed) | {name: record for name, (record, _) in self._made.items()}
        uids = {record.uid for record in there.values()}
        self._deleted &= uids
        self._leaving = {uid: at for uid, at in self._leaving.items() if uid in uids}
        return {name: self._marked(record) for name, record in there.items() if record.uid not in self._deleted}

    def _marked(self, record: JobRecord) -> JobRecord:
        at = self._leaving.get(record.uid)
        return record if at is None else replace(record, leaving=True, since=at)

    def _remember(self, records: Mapping[str, JobRecord], now: datetime) -> None:
        """Since when each is in its state: a Job doesn't tell when its pod began to run."""
        states = {(record.uid, record.state) for record in records.values()}
        self._since = {key: self._since.get(key, now) for key in states}

    def _view(self, record: JobRecord) -> JobView:
        # A Job's own times are those of its start: a pod that replaces an evicted one waits since then at the earliest.
        known = self._since[record.uid, record.state]
        at_work = record.state in ("Pending", "Running") and not record.leaving
        since = max(known, record.since) if at_work else record.since
        found = self._pods.get(record.uid)
        return job_view(record, found[0] if found else None, since=since)

    def _look_at_pods(self, records: Mapping[str, JobRecord], now: datetime) -> None:
        uids = {record.uid for record in records.values()}
        self._pods = {uid: found for uid, found in self._pods.items() if uid in uids}
        failed = [r for r in records.values() if r.state == "Failed" and not self._known_for_good(r)]
        late = [r for r in records.values() if r.state == "Pending" and now - r.since > PATIENCE]
        late = [r for r in late if now - self._pods.get(r.uid, (None, r.since))[1] > LOOK_AGAIN]
        late.sort(key=lambda record: record.since)
        for record, view in together(self.pool, self._look, [*failed, *late[:MOST_LOOKS]]):
            self._pods[record.uid] = (view, now)

    def _known_for_good(self, record: JobRecord) -> bool:
        found = self._pods.get(record.uid)
        return found is not None and found[0].exit_code is not None

    def _look(self, record: JobRecord) -> tuple[JobRecord, PodView]:
        selector = f"batch.kubernetes.io/job-name={record.name}"
        pods = list(self.api.list(PODS, record.namespace, labels=selector))
        mine = [pod for pod in pods if _controller(pod) == record.uid]
        return record, pods_view(mine)

    # -- doing -------------------------------------------------------------------------------------------------

    def _create(self, request: JobRequest, now: datetime) -> tuple[str, JobRecord | None]:
        body = self.builder.build(request)
        try:
            made = self.api.create(JOBS, self.namespace, body)
        except Exists:
            return request.name, self._existing(request.name)
        except ApiError as e:
            if e.status != 422:
                raise
            self._refused[request.name] = _refusal(request, e, now)
            return request.name, None
        self._add_service(request, made)
        return request.name, record_of(made)

    def _add_service(self, request: JobRequest, job: Mapping[str, Any]) -> None:
        service = self.builder.service(request, dict(job))
        if service is None:
            return
        try:
            self.api.create(SERVICES, self.namespace, service)
        except Exists:
            # Of the Job before: the garbage collector may take it away with that one, and leave none.
            self.api.delete(SERVICES, self.namespace, request.name)
            self.api.create(SERVICES, self.namespace, service)

    def _existing(self, name: str) -> JobRecord | None:
        """The Job that has this name already, if it is ours; one that isn't is waited out."""
        found = self.api.get(JOBS, self.namespace, name)
        if found is None:
            return None
        if owner_of(found) == self.builder.owner.uid:
            return record_of(found)
        logger.warning("Job %s/%s belongs to another owner: waiting until it is gone", self.namespace, name)
        return None

    def _delete(self, record: JobRecord) -> JobRecord:
        foreground = self._succeeded_by_its_like(record)
        self.api.delete(
            JOBS,
            record.namespace,
            record.name,
            propagation="Foreground" if foreground else "Background",
            uid=record.uid,
        )
        return record

    def _succeeded_by_its_like(self, record: JobRecord) -> bool:
        """Whether the next of its name must not start before its pods are gone; another build has another name."""
        return record.component != "trial"


def _controller(pod: Mapping[str, Any]) -> str | None:
    references = pod["metadata"].get("ownerReferences", ())
    return next((reference["uid"] for reference in references if reference.get("controller")), None)


def _refusal(request: JobRequest, error: ApiError, now: datetime) -> JobView:
    """A Job that the API server finds invalid: what it was made of is at fault, and another attempt ends the same."""
    return JobView(
        name=request.name,
        state="Failed",
        since=now,
        progressed_at=now,
        exit_code=EXIT_BAD_INPUT,
        message=f"the API server refused the Job: {error}",
    )
