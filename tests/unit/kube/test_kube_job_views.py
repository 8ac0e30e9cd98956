"""How a Job stands: out of its object, and out of its pods where that says more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pfpnas_operator.kube.jobviews import ended_view, job_view, owner_of, record_of, waiting_view
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


def condition(kind: str, message: str = "", reason: str = "") -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": LATER, "message": message, "reason": reason}


def training(*, workers: int = 2, **status: Any) -> dict[str, Any]:
    body = job(**status)
    return body | {"spec": body["spec"] | {"parallelism": workers, "completions": workers}}


def pod(*, ended: dict[str, Any] | None = None, waits: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    state = {"terminated": ended} if ended else {"waiting": waits} if waits else {"running": {}}
    return {"metadata": {}, "status": {"containerStatuses": [{"name": "main", "state": state}], **status}}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}


def view(body: dict[str, Any], *pods: dict[str, Any]) -> JobView:
    record = record_of(body)
    found = ended_view(pods) if record.state == "Failed" else waiting_view(pods, needed=record.pods)
    return job_view(record, found if pods else None, since=record.since)


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


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"ready": 1}, "Pending"),
        ({"ready": 2}, "Running"),
        ({"ready": 1, "succeeded": 1}, "Running"),
    ],
)
def test_a_training_runs_once_all_its_workers_do(status: dict[str, int], state: str) -> None:
    assert view(training(active=2, **status)).state == state


def test_of_pooled_workers_one_is_enough() -> None:
    body = training(workers=5, active=5, ready=1)
    body["metadata"]["labels"] = {"app.kubernetes.io/component": "trial-worker"}
    assert view(body).state == "Running"


def test_a_training_whose_second_worker_finds_no_node_says_so() -> None:
    waiting = {"metadata": {}, "status": {"conditions": [UNSCHEDULABLE]}}
    seen = view(training(active=2, ready=1), pod(), waiting)
    assert (seen.state, seen.reason) == ("Pending", "Unschedulable")


def test_what_the_pod_in_place_of_an_evicted_one_waits_for_goes_first() -> None:
    evicted, waiting = (
        pod(phase="Failed", reason="Evicted"),
        {"metadata": {}, "status": {"conditions": [UNSCHEDULABLE]}},
    )
    assert view(job(active=1), evicted, waiting).reason == "Unschedulable"


@pytest.mark.parametrize(
    ("pods", "needed", "reason"),
    [([], 1, "NoPod"), ([pod()], 2, "NoPod"), ([pod(), pod()], 2, ""), ([pod(phase="Failed")], 1, "NoPod")],
)
def test_fewer_pods_than_are_needed(pods: list[dict[str, Any]], needed: int, reason: str) -> None:
    assert waiting_view(pods, needed=needed).reason == reason


def test_a_pod_that_ended_is_none_that_is_lacking_before_its_end_is_counted() -> None:
    uncounted = pod(ended={"exitCode": 0}, phase="Succeeded")
    uncounted["metadata"] = {"finalizers": ["batch.kubernetes.io/job-tracking"], "deletionTimestamp": LATER}
    assert waiting_view([uncounted], needed=1).reason == ""
    assert waiting_view([uncounted], needed=2).reason == "NoPod"


def test_a_pod_that_does_not_end_is_waited_out_as_such() -> None:
    lost = pod() | {"metadata": {"deletionTimestamp": LATER}}
    assert view(job(active=0), lost).reason == "Terminating"


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
    text = "Job was active longer than specified deadline"
    assert not view(job(conditions=[condition("Failed", text, "DeadlineExceeded")])).infrastructure


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


def test_of_several_pods_the_one_that_refused_its_input_says_most() -> None:
    alone, refused = pod(ended={"exitCode": 75}), pod(ended={"exitCode": 42, "message": "bad data"})
    seen = view(job(conditions=[condition("Failed")]), alone, refused)
    assert (seen.exit_code, seen.infrastructure) == (42, False)
    assert "bad data" in seen.message
    other = view(job(conditions=[condition("Failed")]), alone, pod(ended={"exitCode": 1}))
    assert other.exit_code == 1


def test_a_rule_that_took_the_job_down_goes_before_what_its_pods_say() -> None:
    text = "Container main for pod a/x failed with exit code 42 matching FailJob rule at index 0"
    seen = view(job(conditions=[condition("Failed", text)]), pod(ended={"exitCode": 75}, **DISRUPTED))
    assert (seen.exit_code, seen.infrastructure) == (42, False)
    assert "exit code 42" in seen.message


def test_a_job_is_its_controllers_whatever_its_labels_say() -> None:
    ours = {"apiVersion": "pfpnas.io/v1alpha1", "kind": "NASExperiment", "name": "s", "uid": "u-1", "controller": True}
    labels = {"pfpnas.io/owner": "u-9"}
    assert owner_of({"metadata": {"labels": labels, "ownerReferences": [ours]}}) == "u-1"
    for reference in (ours | {"controller": False}, ours | {"apiVersion": "apps/v1"}):
        assert owner_of({"metadata": {"labels": labels, "ownerReferences": [reference]}}) is None
    assert owner_of({"metadata": {"labels": labels}}) is None
