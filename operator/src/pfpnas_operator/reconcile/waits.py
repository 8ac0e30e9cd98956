"""What keeps a Job from running, for how long it may, and which ends are no fault of its own.

Two waits have no deadline. In the queue (Kueue) a Job waits for its turn, and nobody but the queue's owner can say for
how long. A pause after an interruption ends by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfpnas_api.jobs import EXIT_RETRY
from pfpnas_operator.reconcile.deadlines import (
    BROKEN_DEADLINE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_INTERRUPTIONS,
    PENDING_DEADLINE,
    TERMINATING_DEADLINE,
    UNSCHEDULABLE_DEADLINE,
)
from pfpnas_operator.reconcile.observed import JobView, TrialsRefused
from pfpnas_operator.reconcile.plan import Plan

QUEUED, PENDING, TERMINATING, INTERRUPTED = "Queued", "Pending", "Terminating", "Interrupted"
REFUSED, NO_POD = "JobRefused", "NoPod"
"""Of a Job that can't be made, and of one whose pods can't: for a quota, or a policy of the cluster."""

TRIAL_REFUSED = "TrialRefused"
"""The same of Trials."""

SAME = {"ErrImagePull": "ImagePullBackOff", "RegistryUnavailable": "ImagePullBackOff"}
"""Words that take turns for one and the same trouble."""

BROKEN = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons that hardly pass by themselves: an image or a Secret is not there."""

STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Words for what every pod goes through."""

_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]{0,62}[A-Za-z0-9_])?")


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Why something doesn't go on.

    Attributes:
        reason: One word, of a condition.
        message: The system's own words, or ours.
        over: It took too long.
    """

    reason: str
    message: str
    over: bool = False

    @property
    def worrying(self) -> bool:
        """Whether somebody may have to do something; what passes by itself, or is said where it happens, is not."""
        return self.reason not in (QUEUED, PENDING, TERMINATING, INTERRUPTED)


def wait_of(job: JobView, now: datetime) -> Wait | None:
    """Why a Job doesn't run yet, or can't be made again yet; None when it runs or has ended."""
    if job.leaving:
        reason, text = TERMINATING, "was deleted, but its pods have not ended yet"
    elif job.state == "Queued":
        reason, text = QUEUED, job.message or "waits in its queue"
    elif job.state == "Pending":
        reason, text = word(job.reason), job.message or "its pod is being started"
    else:
        return None
    longest = _longest(reason)
    over = longest is not None and now - job.since > longest
    return Wait(reason=reason, message=_said(job.name, text, longest if over else None), over=over)


def wait_of_refusal(refused: TrialsRefused, now: datetime) -> Wait:
    """Why no further trial is started while none can be made."""
    over = now - refused.since > UNSCHEDULABLE_DEADLINE
    text = _said("new trials", refused.why, UNSCHEDULABLE_DEADLINE if over else None)
    return Wait(reason=TRIAL_REFUSED, message=text, over=over)


def _said(who: str, text: str, passed: timedelta | None) -> str:
    if passed is None:
        return f"{who}: {text}"
    return f"{who} waited for more than {int(passed.total_seconds() // 60)} min: {text}"


def word(reason: str) -> str:
    """A reason why a Job's pods wait, as a condition has it: one word for what takes turns or passes by itself."""
    said = SAME.get(reason, reason)
    return PENDING if said in STARTING or not _REASON.fullmatch(said) else said


def _longest(reason: str) -> timedelta | None:
    if reason == QUEUED:
        return None
    if reason in BROKEN:
        return BROKEN_DEADLINE
    if reason in ("Unschedulable", REFUSED, NO_POD):
        return UNSCHEDULABLE_DEADLINE
    return TERMINATING_DEADLINE if reason == TERMINATING else PENDING_DEADLINE


def interrupted(job: JobView) -> bool:
    """Whether a Job ended for no fault of its own: its pod was evicted or stopped, or it asks for another start."""
    return job.state == "Failed" and (job.infrastructure or job.exit_code == EXIT_RETRY)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """What to do about an interrupted Job.

    Attributes:
        count: Interruptions in a row, this one included once its Job goes.
        wait: Why it does not run now; `over` when it is given up.
        goes: Whether the Job is to be deleted now, so that it can be made again.
    """

    count: int
    wait: Wait
    goes: bool


def retry(job: JobView, count: int, *, now: datetime) -> Retry:
    """An interrupted Job is made again after a pause that grows, and given up after `MOST_INTERRUPTIONS` in a row.

    Args:
        job: One that was `interrupted`.
        count: Interruptions in a row before this one.
        now: The time.
    """
    why = job.message or f"it ended with exit code {job.exit_code}"
    if count + 1 >= MOST_INTERRUPTIONS:
        text = f"{job.name} was interrupted {count + 1} times in a row: {why}"
        return Retry(count=count + 1, wait=Wait(reason=INTERRUPTED, message=text, over=True), goes=True)
    until = job.since + pause_after(count)
    if now < until:
        text = f"{job.name} was interrupted: {why}; it is started again at {until:%H:%M:%S} UTC"
        return Retry(count=count, wait=Wait(reason=INTERRUPTED, message=text), goes=False)
    text = f"{job.name} was interrupted: {why}; it is started again"
    return Retry(count=count + 1, wait=Wait(reason=INTERRUPTED, message=text), goes=True)


def pause_after(count: int) -> timedelta:
    """How long to wait after so many interruptions in a row before this one: the first is answered at once."""
    return min(FIRST_PAUSE * 2 ** (count - 1), LONGEST_PAUSE) if count else timedelta(0)


def counted(counts: Mapping[str, int], key: str, count: int) -> dict[str, int]:
    """Counts with one changed; those of 0 are left out."""
    return {name: number for name, number in {**counts, key: count}.items() if number}


def remove(plan: Plan, name: str) -> None:
    """Have a Job deleted, once."""
    if name not in plan.delete_jobs:
        plan.delete_jobs.append(name)
