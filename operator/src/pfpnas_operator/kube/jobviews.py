"""How a Job stands, out of its object and (where that doesn't say enough) its pods: values in, values out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_RETRY
from pfpnas_api.kinds import API_VERSION
from pfpnas_operator.kube.jobs import CONTAINER
from pfpnas_operator.kube.owners import ANNOTATION_JOB, ANNOTATION_MADE_OF, LABEL_COMPONENT
from pfpnas_operator.reconcile import JobView
from pfpnas_operator.reconcile.waits import NO_POD, TERMINATING

State = Literal["Queued", "Pending", "Running", "Succeeded", "Failed"]

_BY_POLICY: Final = re.compile(r"failed with exit code (\d+)")
"""In the Job controller's message when a rule of the podFailurePolicy took a Job down."""

_DISRUPTED: Final = frozenset(
    {"Evicted", "Preempting", "Preempted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown"}
)
"""Reasons of a failed pod that are its node's."""

_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of waiting that pass by themselves within seconds."""

_DEADLINE: Final = "DeadlineExceeded"
"""The Job controller's reason for a Job that took longer than it may: that is its own fault."""

_TRACKED: Final = "batch.kubernetes.io/job-tracking"
"""Finalizer of a Job's pods, until the Job's status counts them as ended."""

_ENDED: Final = ("Succeeded", "Failed")
"""Phases of pods that do nothing any more."""


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
    reason: str = ""
    """Why it failed, in the controller's word."""
    message: str = ""
    leaving: bool = False
    pods: int = 1
    """So many have to be up before anything goes on."""
    made_of: str = ""
    """The mark of what it was made of; empty where it has none."""


def owner_of(body: Mapping[str, Any]) -> str | None:
    """Uid of the custom resource that controls a Job, whatever its labels say."""
    references = body["metadata"].get("ownerReferences") or ()
    ours = (one for one in references if one.get("controller") and one["apiVersion"] == API_VERSION)
    return next((one["uid"] for one in ours), None)


def record_of(body: Mapping[str, Any]) -> JobRecord:
    """What is kept of a Job's object."""
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations", {})
    leaving = metadata.get("deletionTimestamp")
    state, since, why = _state(body, status, made=metadata["creationTimestamp"])
    return JobRecord(
        name=metadata["name"],
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        component=metadata.get("labels", {}).get(LABEL_COMPONENT, ""),
        document=annotations.get(ANNOTATION_JOB, ""),
        state=state,
        since=moment(leaving or since),
        reason=why.get("reason", ""),
        message=why.get("message", ""),
        leaving=bool(leaving),
        pods=_needed(body, status),
        made_of=annotations.get(ANNOTATION_MADE_OF, ""),
    )


def _state(body: Mapping[str, Any], status: Mapping[str, Any], *, made: str) -> tuple[State, str, Mapping[str, str]]:
    """State, since when, and the controller's words on it."""
    ended = {one["type"]: one for one in status.get("conditions") or () if one.get("status") == "True"}
    if "Complete" in ended:
        return "Succeeded", status.get("completionTime") or ended["Complete"]["lastTransitionTime"], {}
    if "Failed" in ended:
        return "Failed", ended["Failed"]["lastTransitionTime"], ended["Failed"]
    if body["spec"].get("suspend"):
        suspended = ended.get("Suspended", {}).get("lastTransitionTime")
        return "Queued", suspended or made, {"message": "waits for its queue to admit it"}
    started = status.get("startTime") or made
    return ("Running" if status.get("ready", 0) >= _needed(body, status) else "Pending"), started, {}


def _needed(body: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """Pods of a training wait for one another until the last is up; of pooled workers each serves by itself."""
    if body["metadata"].get("labels", {}).get(LABEL_COMPONENT) != "pretrain":
        return 1
    return max(1, int(body["spec"].get("parallelism", 1)) - int(status.get("succeeded", 0)))


@dataclass(frozen=True, kw_only=True)
class PodView:
    """What the pods of a Job add to it."""

    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    infrastructure: bool = False


def ended_view(pods: Iterable[Mapping[str, Any]]) -> PodView:
    """The one pod of a failed Job that says most: one that failed by itself, then one that was disrupted.

    Of several that failed by themselves (a training is one, and takes all its pods with it) the one that refused its
    input goes first, and one that only asks for another start last.

    A Job that failed without leaving a pod lost it to somebody else: nothing of its own is known to be wrong.
    """
    views = [_ended_view(pod) for pod in pods]
    own = [view for view in views if view.exit_code not in (None, 0) and not view.infrastructure]
    disrupted = [view for view in views if view.infrastructure]
    own.sort(key=lambda view: {EXIT_BAD_INPUT: 0, EXIT_RETRY: 2}.get(view.exit_code or 0, 1))
    return next(iter([*own, *disrupted]), PodView())


def _ended_view(pod: Mapping[str, Any]) -> PodView:
    status = pod.get("status", {})
    gone = _is_disrupted(status) or status.get("reason") in _DISRUPTED
    ended = _container(status).get("state", {}).get("terminated")
    if ended is None:
        words = [status.get("reason", ""), status.get("message", "")]
        return PodView(message=": ".join(filter(None, words)), infrastructure=gone)
    words = [ended.get("reason", ""), _last_line(ended.get("message", ""))]
    return PodView(
        exit_code=ended["exitCode"],
        reason="" if ended["exitCode"] == 0 else ended.get("reason", ""),
        message=": ".join(word for word in words if word and word != "Error"),
        infrastructure=gone,
    )


def waiting_view(pods: Iterable[Mapping[str, Any]], *, needed: int) -> PodView:
    """Why a Job's pods are not up: one of them says it, or there are fewer than it needs (reason `NO_POD`)."""
    there = [pod for pod in pods if not _is_counted(pod)]
    said = [view for view in map(_waiting_view, there) if view.reason]
    if said:
        return said[0]
    return PodView(reason=NO_POD) if len(there) < needed else PodView()


def _is_counted(pod: Mapping[str, Any]) -> bool:
    """Whether it has ended and the Job controller took note: until then it is not one that it ought to replace."""
    return _has_ended(pod) and _TRACKED not in pod["metadata"].get("finalizers", ())


def _has_ended(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status", {})
    return status.get("phase") in _ENDED or "terminated" in _container(status).get("state", {})


def _waiting_view(pod: Mapping[str, Any]) -> PodView:
    status = pod.get("status", {})
    if _has_ended(pod):
        return PodView()
    if pod["metadata"].get("deletionTimestamp"):
        return PodView(reason=TERMINATING, message="its pod was told to end, and has not: is its node lost?")
    waits = _container(status).get("state", {}).get("waiting") or {}
    if waits.get("reason") and waits["reason"] not in _STARTING:
        return PodView(reason=waits["reason"], message=waits.get("message", ""))
    scheduled = _conditions(status).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodView(reason=scheduled.get("reason", "Unschedulable"), message=scheduled.get("message", ""))
    return PodView()


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (one for one in status.get("containerStatuses") or () if one["name"] == CONTAINER)
    return next(found, {})


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {one["type"]: one for one in status.get("conditions") or ()}


def _is_disrupted(status: Mapping[str, Any]) -> bool:
    return _conditions(status).get("DisruptionTarget", {}).get("status") == "True"


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
    if pods is None or record.state != "Pending":
        return view
    return replace(view, reason=pods.reason, message=pods.message)


def _failed(view: JobView, record: JobRecord, pods: PodView) -> JobView:
    # A rule that took the Job down goes first: what other pods said then is but its consequence.
    by_policy = _BY_POLICY.search(record.message)
    code = int(by_policy.group(1)) if by_policy else pods.exit_code
    said = (pods.message if pods.exit_code == code else "") or record.message or "its pod is gone"
    gone = pods.infrastructure or (code is None and record.reason != _DEADLINE)
    return replace(
        view,
        exit_code=code,
        reason=pods.reason,
        message=f"{record.name}: {said}" + (f" (exit code {code})" if code else ""),
        infrastructure=gone and by_policy is None,
    )


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
