"""The Jobs of one owner: seen in the index, made and deleted through the API."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pfpnas_api.jobs import EXIT_BAD_INPUT
from pfpnas_operator.kube.api import JOBS, SERVICES, Api, ApiError, Exists, is_refusal
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.jobviews import JobRecord, job_view, owner_of, record_of
from pfpnas_operator.kube.looking import LOOK_AGAIN, PodLooks
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile import JobRequest, JobView
from pfpnas_operator.reconcile.waits import REFUSED, word

logger = logging.getLogger(__name__)

OVERLAY = timedelta(seconds=60)
"""So long a Job that was made is believed to be there though the watch hasn't told of it."""


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    """A Job that was not made."""

    view: JobView
    """As decisions see it, since it was first refused for that reason."""
    at: datetime
    """When it was last tried."""


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
    _doomed: dict[str, JobRecord] = field(default_factory=dict)
    """Those of them, by uid, whose deletion the API server has not taken yet."""
    _now: datetime = field(default_factory=lambda: datetime.fromtimestamp(0, UTC))
    """Of the last look."""
    _refused: dict[str, _Refusal] = field(default_factory=dict)
    _standing: dict[str, tuple[tuple[str, str], datetime]] = field(default_factory=dict)
    """How each Job stands (state, and what it waits for) and since when, by uid."""
    _looks: PodLooks = field(init=False)

    def __post_init__(self) -> None:
        self._looks = PodLooks(api=self.api, pool=self.pool)

    @property
    def namespace(self) -> str:
        """Of the owner and its Jobs."""
        return self.builder.owner.namespace

    def views(self, now: datetime) -> dict[str, JobView]:
        """Every Job as it stands."""
        self._now = now
        records = self._records(now)
        self._looks.look(records.values(), now)
        standing, self._standing = self._standing, {}
        seen = {name: self._view(record, standing.get(record.uid), now) for name, record in records.items()}
        self._refused = {name: refusal for name, refusal in self._refused.items() if name not in seen}
        return {**{name: refusal.view for name, refusal in self._refused.items()}, **seen}

    def uids(self) -> dict[str, str]:
        """Uids of the documents of Jobs, by their names."""
        there = dict(self.indexed) | {name: record for name, (record, _) in self._made.items()}
        return {name: record.document for name, record in there.items() if record.uid not in self._deleted}

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        """Make Jobs side by side.

        One that is there already is left alone, unless it waits and would be made otherwise now: then it goes, and is
        made anew once it is gone. One that was refused is tried again after a while.
        """
        there = {request.name: self._known(request.name) for request in requests}
        self.delete(request.name for request in requests if self._is_outdated(request, there[request.name]))
        due = [r for r in requests if there[r.name] is None and not self._was_just_refused(r.name, now)]
        for name, made in together(self.pool, lambda request: self._create(request, now), due):
            if isinstance(made, JobRecord):
                self._made[name] = (made, now)
                self._refused.pop(name, None)
            else:
                self._refuse(name, made, now)

    def delete(self, names: Iterable[str]) -> None:
        """Delete Jobs side by side, and those that could not be deleted before.

        They leave from now on, whatever the API server says: a dead one whose end was counted must not be met again.
        """
        for name in names:
            self._refused.pop(name, None)
            known = self._known(name)
            if known is not None and not known.leaving and known.uid not in self._leaving:
                self._leaving[known.uid], self._doomed[known.uid] = self._now, known
        for record, was_there in together(self.pool, self._delete, self._doomed.values()):
            del self._doomed[record.uid]
            if not (was_there and self._succeeded_by_its_like(record)):
                del self._leaving[record.uid]
                self._deleted.add(record.uid)

    # -- seeing ------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> JobRecord | None:
        known = self._made.get(name, (None,))[0] or self.indexed.get(name)
        return None if known is None or known.uid in self._deleted else known

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
        self._doomed = {uid: record for uid, record in self._doomed.items() if uid in uids}
        return {name: self._marked(record) for name, record in there.items() if record.uid not in self._deleted}

    def _marked(self, record: JobRecord) -> JobRecord:
        at = self._leaving.get(record.uid)
        return record if at is None else replace(record, leaving=True, since=at)

    def _view(self, record: JobRecord, before: tuple[tuple[str, str], datetime] | None, now: datetime) -> JobView:
        """With the time since when it runs, or waits for what it waits for: a Job tells of neither.

        Its own times are those of its start: a pod in the place of an evicted one, or one that a node was found for
        after hours, waits from then on.
        """
        view = job_view(record, self._looks.of(record), since=record.since)
        stands = (view.state, word(view.reason))
        since = before[1] if before is not None and before[0] == stands else now
        self._standing[record.uid] = (stands, since)
        if view.leaving or view.state not in ("Pending", "Running"):
            return view
        since = max(since, record.since)
        return replace(view, since=since, progressed_at=since)

    # -- doing -------------------------------------------------------------------------------------------------

    def _is_outdated(self, request: JobRequest, known: JobRecord | None) -> bool:
        """Whether a Job that waits was made of something else; one of an operator before has no mark."""
        waits = known is not None and known.state in ("Queued", "Pending") and not known.leaving
        return waits and known is not None and known.made_of not in ("", self.builder.made_of(request))

    def _was_just_refused(self, name: str, now: datetime) -> bool:
        refusal = self._refused.get(name)
        return refusal is not None and now - refusal.at < LOOK_AGAIN

    def _refuse(self, name: str, view: JobView, now: datetime) -> None:
        before = self._refused.get(name)
        if before is not None and before.view.reason == view.reason:
            view = replace(view, since=before.view.since, progressed_at=before.view.since)
        self._refused[name] = _Refusal(view=view, at=now)

    def _create(self, request: JobRequest, now: datetime) -> tuple[str, JobRecord | JobView]:
        """A Job as it was made, or why it was not."""
        try:
            self._see_service(request)
            return request.name, record_of(self.api.create(JOBS, self.namespace, self.builder.build(request)))
        except Exists:
            return request.name, self._existing(request.name, now)
        except ApiError as e:
            if not is_refusal(e):
                raise
            return request.name, _refused(request, e, now)

    def _see_service(self, request: JobRequest) -> None:
        """Before the Job whose pods need it: then there is never the one without the other."""
        service = self.builder.service(request)
        if service is None:
            return
        try:
            self.api.create(SERVICES, self.namespace, service)
        except Exists:
            return  # of the attempt before

    def _existing(self, name: str, now: datetime) -> JobRecord | JobView:
        """The Job that has this name already, if it is ours; one that isn't is waited out."""
        found = self.api.get(JOBS, self.namespace, name)
        if found is None:
            return _waiting(name, "", "", now)  # it went just now
        if owner_of(found) == self.builder.owner.uid:
            return record_of(found)
        logger.warning("Job %s/%s belongs to another owner: waiting until it is gone", self.namespace, name)
        return _waiting(
            name, "", "another Job of this name is there, and not its own: it waits until that is gone", now
        )

    def _delete(self, record: JobRecord) -> tuple[JobRecord, bool]:
        """The Job, and whether it was still there."""
        foreground = self._succeeded_by_its_like(record)
        was_there = self.api.delete(
            JOBS,
            record.namespace,
            record.name,
            propagation="Foreground" if foreground else "Background",
            uid=record.uid,
        )
        return record, was_there

    def _succeeded_by_its_like(self, record: JobRecord) -> bool:
        """Whether the next of its name must not start before its pods are gone.

        A build may: what an interrupted one still writes is what the next one writes.
        """
        return record.component != "trial"


def _refused(request: JobRequest, error: ApiError, now: datetime) -> JobView:
    """A Job that the API server doesn't take.

    What it finds invalid stays so: what it was made of is at fault. A quota or a policy may change.
    """
    if error.status != 422:
        return _waiting(request.name, REFUSED, f"the API server refuses the Job: {error}", now)
    return JobView(
        name=request.name,
        state="Failed",
        since=now,
        progressed_at=now,
        exit_code=EXIT_BAD_INPUT,
        message=f"the API server refused the Job: {error}",
    )


def _waiting(name: str, reason: str, message: str, now: datetime) -> JobView:
    return JobView(name=name, state="Pending", since=now, progressed_at=now, reason=reason, message=message)
