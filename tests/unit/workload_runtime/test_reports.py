"""Reports of progress: often enough to follow, never in the way of the work."""

from pathlib import Path

from redis import Redis

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import OperatorBus, connect
from pfpnas_api.messages import Progress
from pfpnas_workloads.runtime import OUTAGE_SECONDS, REPORT_SECONDS, JobContext


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def training(done: int) -> Progress:
    return Progress(stage="Pretrain", done=done, total=100)


def context(client: object, tmp_path: Path, clock: Clock) -> JobContext:
    return JobContext("job-1", FolderStore(tmp_path), client=client, clock=clock)


def test_reports_that_come_too_fast_are_dropped(redis_client: Redis, tmp_path: Path) -> None:
    clock, operator = Clock(), OperatorBus(redis_client)
    job = context(redis_client, tmp_path, clock)
    job.report(training(1))
    job.report(training(2))
    assert operator.progress("job-1") == training(1)
    clock.now += REPORT_SECONDS
    job.report(training(3))
    assert operator.progress("job-1") == training(3)


def test_a_new_stage_is_reported_at_once(redis_client: Redis, tmp_path: Path) -> None:
    job = context(redis_client, tmp_path, Clock())
    job.report(training(1))
    job.report(Progress(stage="FitPredictor", done=1))
    assert OperatorBus(redis_client).progress("job-1") == Progress(stage="FitPredictor", done=1)


def test_without_redis_reports_and_bells_do_nothing(tmp_path: Path) -> None:
    job = context(None, tmp_path, Clock())
    job.report(training(1))
    job.ring("job-1")


def test_a_redis_that_is_away_never_fails_the_job_and_is_left_alone_for_a_while(
    redis_client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    job = context(connect("redis://127.0.0.1:1/0"), tmp_path, clock)
    job.report(training(1))
    job.ring("job-1")
    job.bus = context(redis_client, tmp_path, clock).bus
    clock.now += OUTAGE_SECONDS - 1
    job.report(training(2))
    assert OperatorBus(redis_client).progress("job-1") is None
    clock.now += 1
    job.report(training(3))
    assert OperatorBus(redis_client).progress("job-1") == training(3)


def test_a_redis_that_refuses_never_fails_the_job(redis_client: Redis, tmp_path: Path) -> None:
    redis_client.set("pfp:v1:progress:job-1", "not a hash")
    redis_client.set("pfp:v1:events", "not a stream")
    job = context(redis_client, tmp_path, Clock())
    job.report(training(1))
    job.ring("job-1")
