"""Pods, looked at only where their Job doesn't say enough: why it waits, and how it ended."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pfpnas_operator.kube.api import EVENTS, PODS, Api, ApiAway, ApiError
from pfpnas_operator.kube.jobviews import JobRecord, PodView, ended_view, waiting_view
from pfpnas_operator.kube.together import together
from pfpnas_operator.reconcile.waits import NO_POD

PATIENCE = timedelta(seconds=3)
"""A pod is scheduled and started in less; one that takes longer has a reason that is worth a request."""

LOOK_AGAIN = timedelta(seconds=5)
"""Between two looks at the pods of a Job that waits."""

MOST_LOOKS = 4
"""Jobs that wait and whose pods are looked at in one cycle: what a hundred others wait for is mostly the same."""

LACKING = timedelta(seconds=30)
"""So long a Job controller that has much to do may take to make a pod."""


@dataclass(kw_only=True)
class PodLooks:
    """What was found out about the pods of one owner's Jobs."""

    api: Api
    pool: Executor
    _found: dict[tuple[str, str], tuple[PodView, datetime]] = field(default_factory=dict)
    """By the Job's uid and state: what was found, and when."""
    _lacking: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Since when a Job has fewer pods than it needs."""

    def of(self, record: JobRecord) -> PodView | None:
        """What is known of a Job's pods, if anything is."""
        found = self._found.get(_key(record))
        return found[0] if found else None

    def look(self, records: Iterable[JobRecord], now: datetime) -> None:
        """Look at the pods of those Jobs for which it is time."""
        there = {_key(record): record for record in records if not record.leaving}
        self._found = {key: found for key, found in self._found.items() if key in there}
        self._lacking = {key: since for key, since in self._lacking.items() if key in there}
        failed = [r for r in there.values() if r.state == "Failed" and not self._known_for_good(r)]
        late = [r for r in there.values() if r.state == "Pending" and now - r.since > PATIENCE]
        late = [r for r in late if now - self._looked_at(r) > LOOK_AGAIN]
        # In turns: else those at the end of a long line would wait for nobody knows what.
        late.sort(key=self._looked_at)
        for record, view in together(self.pool, self._look, [*failed, *late[:MOST_LOOKS]]):
            self._found[_key(record)] = (self._patient(record, view, now), now)

    def _looked_at(self, record: JobRecord) -> datetime:
        found = self._found.get(_key(record))
        return found[1] if found else record.since

    def _known_for_good(self, record: JobRecord) -> bool:
        found = self.of(record)
        return found is not None and found.exit_code is not None

    def _look(self, record: JobRecord) -> tuple[JobRecord, PodView]:
        selector = f"batch.kubernetes.io/job-name={record.name}"
        pods = list(self.api.list(PODS, record.namespace, labels=selector))
        mine = [pod for pod in pods if _controller(pod) == record.uid]
        if record.state == "Failed":
            return record, ended_view(mine)
        view = waiting_view(mine, needed=record.pods)
        return record, replace(view, message=self._why_none(record)) if view.reason == NO_POD else view

    def _why_none(self, record: JobRecord) -> str:
        """Why a Job has no pod: a quota and the like are said in an Event, and nowhere else."""
        wanted = f"involvedObject.uid={record.uid},reason=FailedCreate"
        try:
            said = list(self.api.list(EVENTS, record.namespace, fields=wanted))
        except ApiAway:
            raise
        except ApiError:
            said = []  # a role of an earlier release
        last = max(said, key=_when, default={})
        return last.get("message") or f"no pod is made for it: `kubectl describe job {record.name}` may say why"

    def _patient(self, record: JobRecord, view: PodView, now: datetime) -> PodView:
        """What was found; that a pod is lacking only counts after a while."""
        if view.reason != NO_POD:
            self._lacking.pop(_key(record), None)
            return view
        since = self._lacking.setdefault(_key(record), now)
        return view if now - since >= LACKING else PodView()


def _key(record: JobRecord) -> tuple[str, str]:
    return record.uid, record.state


def _when(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _controller(pod: Mapping[str, Any]) -> str | None:
    references = pod["metadata"].get("ownerReferences", ())
    return next((reference["uid"] for reference in references if reference.get("controller")), None)
