"""How a Job stands, out of its object and (where that doesn't say enough) its pods: values in, values out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from pfpnas_operator.kube.jobs import CONTAINER
from pfpnas_operator.kube.owners import ANNOTATION_JOB, LABEL_COMPONENT, LABEL_OWNER
from pfpnas_operator.reconcile import JobView

State = Literal["Queued", "Pending", "Running", "Succeeded", "Failed"]

_BY_POLICY: Final = re.compile(r"failed with exit code (\d+)")
"""In the Job controller's message when a rule of the podFailurePolicy took a Job down."""

_DISRUPTED: Final = frozenset(
    {"Evicted", "Preempting", "Preempted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown"}
)
"""Reasons of a failed pod that are its node's."""

_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of waiting that pass by themselves within seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What is kept of a Job: a hundredth of its object."""

    name: str
    uid: str
    namespace: str
    component: str
    document: str
    """Uid of the document that it works on."""
    state: State
    since: datetime
    message: str = ""
    leaving: bool = False


def owner_of(body: Mapping[str, Any]) -> str | None:
    """Uid of the custom resource that a Job belongs to."""
    uid: str | None = body["metadata"].get("labels", {}).get(LABEL_OWNER)
    return uid


def record_of(body: Mapping[str, Any]) -> JobRecord:
    """What is kept of a Job's object."""
    metadata, status = body["metadata"], body.get("status") or {}
    leaving = metadata.get("deletionTimestamp")
    state, since, message = _state(body, status, made=metadata["creationTimestamp"])
    return JobRecord(
        name=metadata["name"],
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        component=metadata.get("labels", {}).get(LABEL_COMPONENT, ""),
        document=metadata.get("annotations", {}).get(ANNOTATION_JOB, ""),
        state=state,
        since=moment(leaving or since),
        message=message,
        leaving=bool(leaving),
    )


def _state(body: Mapping[str, Any], status: Mapping[str, Any], *, made: str) -> tuple[State, str, str]:
    """State, since when, and the controller's words on it."""
    ended = {one["type"]: one for one in status.get("conditions") or () if one.get("status") == "True"}
    if "Complete" in ended:
        return "Succeeded", status.get("completionTime") or ended["Complete"]["lastTransitionTime"], ""
    if "Failed" in ended:
        return "Failed", ended["Failed"]["lastTransitionTime"], ended["Failed"].get("message", "")
    if body["spec"].get("suspend"):
        suspended = ended.get("Suspended", {}).get("lastTransitionTime")
        return "Queued", suspended or made, "waits for its queue to admit it"
    started = status.get("startTime") or made
    return ("Running" if status.get("ready") else "Pending"), started, ""


@dataclass(frozen=True, kw_only=True)
class PodView:
    """What the pods of a Job add to it."""

    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    infrastructure: bool = False


def pods_view(pods: Iterable[Mapping[str, Any]]) -> PodView:
    """The one pod of a Job that says most: one that failed by itself, then one that was disrupted, then one that waits.

    A Job that failed without leaving a pod lost it to somebody else: nothing of its own is known to be wrong.
    """
    views = [_pod_view(pod) for pod in pods]
    own = [view for view in views if view.exit_code not in (None, 0) and not view.infrastructure]
    disrupted = [view for view in views if view.infrastructure]
    waiting = [view for view in views if view.reason]
    return next(iter([*own, *disrupted, *waiting]), PodView())


def _pod_view(pod: Mapping[str, Any]) -> PodView:
    status = pod.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    disrupted = conditions.get("DisruptionTarget", {}).get("status") == "True"
    container: Mapping[str, Any] = next(
        (one for one in status.get("containerStatuses") or () if one["name"] == CONTAINER), {}
    )
    ended = container.get("state", {}).get("terminated")
    if ended is not None:
        words = [ended.get("reason", ""), _last_line(ended.get("message", ""))]
        return PodView(
            exit_code=ended["exitCode"],
            reason="" if ended["exitCode"] == 0 else ended.get("reason", ""),
            message=": ".join(word for word in words if word and word != "Error"),
            infrastructure=disrupted or status.get("reason") in _DISRUPTED,
        )
    if status.get("phase") == "Failed" or disrupted:
        words = [status.get("reason", ""), status.get("message", "")]
        gone = disrupted or status.get("reason") in _DISRUPTED
        return PodView(message=": ".join(filter(None, words)), infrastructure=gone)
    return _waiting(container, conditions)


def _waiting(container: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> PodView:
    waits = container.get("state", {}).get("waiting") or {}
    if waits.get("reason") and waits["reason"] not in _STARTING:
        return PodView(reason=waits["reason"], message=waits.get("message", ""))
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodView(reason=scheduled.get("reason", "Unschedulable"), message=scheduled.get("message", ""))
    return PodView()


def _last_line(text: str) -> str:
    """Of the container's last output, the line that says why."""
    return next((line.strip()[:400] for line in reversed(text.splitlines()) if line.strip()), "")


def job_view(record: JobRecord, pods: PodView | None, *, since: datetime) -> JobView:
    """The Job as a decision sees it.

    Args:
        record: What is kept of it.
        pods: What was found out about its pods, if anything was.
        since: When its state began, as well as it is known.
    """
    view = JobView(
        name=record.name,
        state=record.state,
        since=since,
        progressed_at=since,
        message=record.message,
        leaving=record.leaving,
    )
    if record.state == "Succeeded":
        return replace(view, exit_code=0)
    if record.state == "Failed":
        return _failed(view, record, pods or PodView())
    # A pod that has ended while its Job hasn't waits for nothing.
    if pods is None or record.state != "Pending" or pods.exit_code is not None:
        return view
    return replace(view, reason=pods.reason, message=pods.message)


def _failed(view: JobView, record: JobRecord, pods: PodView) -> JobView:
    by_policy = _BY_POLICY.search(record.message)
    code = pods.exit_code if pods.exit_code is not None else int(by_policy.group(1)) if by_policy else None
    said = pods.message or record.message or "its pod is gone"
    return replace(
        view,
        exit_code=code,
        reason=pods.reason,
        message=f"{record.name}: {said}" + (f" (exit code {code})" if code else ""),
        infrastructure=pods.infrastructure or (code is None and "DeadlineExceeded" not in record.message),
    )


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
