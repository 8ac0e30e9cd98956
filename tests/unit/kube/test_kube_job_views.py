"""How a Job stands: out of its object, and out of its pods where that says more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pfpnas_operator.kube.jobviews import job_view, pods_view, record_of
from pfpnas_operator.reconcile import JobView

MADE = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:05:00Z"
START = datetime(2026, 1, 1, tzinfo=UTC)


def job(*, suspend: bool = False, deleted: str | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "net-pretrain", "namespace": "a", "uid": "j-1", "creationTimestamp": MADE}
    metadata |= {"labels": {"app.kubernetes.io/component": "pretrain"}, "annotations": {"pfpnas.io/job": "u-1"}}
    if deleted:
        metadata["deletionTimestamp"] = deleted
    return {"metadata": metadata, "spec": {"suspend": suspend}, "status": status}


def condition(kind: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": LATER, "message": message}


def pod(*, ended: dict[str, Any] | None = None, waits: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    state = {"terminated": ended} if ended else {"waiting": waits} if waits else {"running": {}}
    return {"metadata": {}, "status": {"containerStatuses": [{"name": "main", "state": state}], **status}}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}


def view(body: dict[str, Any], *pods: dict[str, Any]) -> JobView:
    record = record_of(body)
    return job_view(record, pods_view(pods) if pods else None, since=record.since)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (job(suspend=True), "Queued"),
        (job(), "Pending"),
        (job(active=1, ready=0), "Pending"),
        (job(active=1, ready=1), "Running"),
        (job(conditions=[condition("Complete")]), "Succeeded"),
        (job(conditions=[condition("Failed")]), "Failed"),
        (job(conditions=[condition("FailureTarget")], active=1, ready=1), "Running"),
    ],
)
def test_states(body: dict[str, Any], state: str) -> None:
    assert view(body).state == state


def test_time_in_a_queue_is_no_time_of_the_job() -> None:
    resumed = job(startTime=LATER, active=1)
    assert view(resumed).since == START + timedelta(minutes=5)


def test_a_deleted_job_is_leaving_since_then() -> None:
    leaving = view(job(deleted=LATER, active=1, ready=1))
    assert (leaving.leaving, leaving.since) == (True, START + timedelta(minutes=5))


def test_a_finished_job_has_a_code_of_its_own() -> None:
    assert view(job(conditions=[condition("Complete")])).exit_code == 0


def test_exit_code_is_in_the_policys_message_when_the_pod_is_gone() -> None:
    text = "Container main for pod a/x failed with exit code 42 matching FailJob rule at index 0"
    seen = view(job(conditions=[condition("Failed", text)]))
    assert (seen.exit_code, seen.infrastructure) == (42, False)


def test_exit_code_and_last_words_of_the_pod() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "Traceback\nValueError: no such thing\n\n"}
    seen = view(job(conditions=[condition("Failed", "BackoffLimitExceeded")]), pod(ended=ended))
    assert seen.exit_code == 1
    assert "ValueError: no such thing" in seen.message
    assert not seen.infrastructure


def test_out_of_memory_is_the_reason() -> None:
    seen = view(job(conditions=[condition("Failed")]), pod(ended={"exitCode": 137, "reason": "OOMKilled"}))
    assert (seen.exit_code, seen.reason) == (137, "OOMKilled")
    assert "OOMKilled" in seen.message


@pytest.mark.parametrize(
    "gone",
    [
        pod(ended={"exitCode": 75}, **DISRUPTED),
        pod(phase="Failed", reason="Evicted", message="The node was low on memory."),
        pod(ended={"exitCode": 137, "reason": "Error"}, phase="Failed", reason="Preempting"),
    ],
)
def test_eviction_and_preemption_are_nobodys_fault(gone: dict[str, Any]) -> None:
    assert view(job(conditions=[condition("Failed")]), gone).infrastructure


def test_a_failure_that_left_no_pod_is_nobodys_fault() -> None:
    assert view(job(conditions=[condition("Failed", "Job has reached the specified backoff limit")])).infrastructure


def test_a_deadline_is_the_jobs_own() -> None:
    seen = view(
        job(conditions=[condition("Failed", "Job was active longer than specified deadline (DeadlineExceeded)")])
    )
    assert not seen.infrastructure


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        (pod(waits={"reason": "ImagePullBackOff", "message": "back-off"}), "ImagePullBackOff"),
        (pod(waits={"reason": "ContainerCreating"}), ""),
        ({"metadata": {}, "status": {"conditions": [UNSCHEDULABLE]}}, "Unschedulable"),
    ],
)
def test_why_a_pod_waits(waiting: dict[str, Any], reason: str) -> None:
    assert view(job(active=1), waiting).reason == reason


def test_the_pod_that_failed_by_itself_says_more_than_one_that_was_evicted() -> None:
    own, evicted = pod(ended={"exitCode": 42, "message": "bad data"}), pod(ended={"exitCode": 75}, **DISRUPTED)
    seen = view(job(conditions=[condition("Failed")]), evicted, own)
    assert (seen.exit_code, seen.infrastructure) == (42, False)
