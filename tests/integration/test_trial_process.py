"""`trial` as a process, once and as a worker: built, pushed and acknowledged whatever kills what."""

from pathlib import Path

import pytest
from redis import Redis

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, connect
from pfpnas_api.jobs import EXIT_RETRY, Manifest, TrialJob, TrialWorkerJob
from pfpnas_api.messages import ModelRef
from support.candidates import SPACE, Trained, put_supernet
from support.redis_server import redis_server
from support.signals import hears_sigterm
from support.workload_service import WorkloadProcess, workload

EXPERIMENT = "e-1"
WORKER = TrialWorkerJob(uid="worker-1", experiment=EXPERIMENT)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def trained(store: FolderStore) -> Trained:
    return put_supernet(store)


def pushed(client: Redis, store: FolderStore, manifest: Manifest) -> bool:
    """Whether an agent of the pool gets the very bytes."""
    model = manifest.artifacts["model"]
    content = AgentBus(client, pool="pool", agent="a").fetch(ModelRef.of(model))
    return content == store.get(model.sha256)


def built(store: FolderStore, process: WorkloadProcess, uid: str) -> Manifest:
    return process.until(lambda: store.read_manifest(uid))


def all_answered(operator: OperatorBus, count: int) -> bool:
    return [queued.state for queued, _ in operator.builds(EXPERIMENT)] == ["Answered"] * count


def waiting(client: Redis) -> int:
    """Workers that wait for a build."""
    return sum(row["cmd"] == "xreadgroup" for row in client.client_list())


def trial_job(trained: Trained, **fields: object) -> TrialJob:
    return TrialJob(experiment=EXPERIMENT, **dict(trained.request(**fields)))


def test_one_trial_is_built_pushed_and_rung(
    redis_client: Redis, redis_url: str, store: FolderStore, trained: Trained
) -> None:
    with workload("trial", "--trial", job=trial_job(trained), store=store.root, redis_url=redis_url) as process:
        assert process.wait() == 0
    manifest = store.read_manifest("b-1")
    assert manifest is not None
    assert pushed(redis_client, store, manifest)
    _, bells = OperatorBus(redis_client).wait_for_bell(after="0", block_milliseconds=1)
    assert [bell.uid for bell in bells] == ["b-1"]


def test_a_lost_blob_is_pushed_again_without_a_second_build(
    redis_client: Redis, redis_url: str, store: FolderStore, trained: Trained
) -> None:
    for _ in range(2):
        redis_client.flushall()
        with workload("trial", job=trial_job(trained), store=store.root, redis_url=redis_url) as process:
            assert process.wait() == 0
        manifest = store.read_manifest("b-1")
        assert manifest is not None
        assert pushed(redis_client, store, manifest)
        store.delete(trained.checkpoint.sha256)  # a second build would need it


def test_a_bad_architecture_ends_with_42_and_one_line(redis_url: str, store: FolderStore, trained: Trained) -> None:
    job = trial_job(trained, architecture="r16-k9e9")
    with workload("trial", job=job, store=store.root, redis_url=redis_url) as process:
        assert process.wait() == 42
        assert len(process.log.read_text().splitlines()) == 1
    manifest = store.read_manifest("b-1")
    assert manifest is not None
    assert manifest.outcome == "BadArchitecture"


def test_a_worker_serves_many_and_ends_with_75_when_told_to_stop(
    redis_client: Redis, redis_url: str, store: FolderStore, trained: Trained
) -> None:
    operator = OperatorBus(redis_client)
    operator.ensure_experiment(EXPERIMENT)
    requests = [
        trained.request("b-1"),
        trained.request("b-2", architecture="r16-k9e9"),
        trained.request("b-3", calibration=trained.checkpoint),
        trained.request("b-4", architecture=SPACE.maximum().id),
    ]
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        for request in requests:
            operator.publish_build(EXPERIMENT, request)
        process.until(lambda: all_answered(operator, 4))
        manifests = [built(store, process, request.uid) for request in requests]
        process.until(lambda: len(operator.wait_for_bell(after="0", block_milliseconds=1)[1]) == 4)
        assert process.terminate() == EXIT_RETRY
    assert [m.outcome for m in manifests] == ["Done", "BadArchitecture", "BadInput", "Done"]
    assert all(pushed(redis_client, store, manifests[at]) for at in (0, 3))


def test_a_build_that_fails_for_another_reason_is_given_back_and_the_worker_goes_on(
    redis_client: Redis, redis_url: str, store: FolderStore, trained: Trained
) -> None:
    operator = OperatorBus(redis_client)
    missing = trained.checkpoint.model_copy(update={"sha256": "0" * 64})
    operator.publish_build(EXPERIMENT, trained.request("b-1", checkpoint=missing))
    operator.publish_build(EXPERIMENT, trained.request("b-2"))
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        process.until(lambda: all_answered(operator, 2))
        assert built(store, process, "b-2").outcome == "Done"
    assert store.read_manifest("b-1") is None
    assert "no artifact" in process.log.read_text()


def test_a_worker_killed_with_a_build_in_hand_makes_it_after_its_restart(
    redis_client: Redis, redis_url: str, store: FolderStore
) -> None:
    trained = put_supernet(store, images=4000)  # seconds of recalibration: time to be killed in
    operator = OperatorBus(redis_client)
    operator.publish_build(EXPERIMENT, trained.request(architecture=SPACE.maximum().id))
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        process.until(lambda: [q.state for q, _ in operator.builds(EXPERIMENT)] == ["Claimed"])
        process.kill()
    assert [(q.state, q.consumer) for q, _ in operator.builds(EXPERIMENT)] == [("Claimed", WORKER.uid)]
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        process.until(lambda: all_answered(operator, 1))
    manifest = store.read_manifest("b-1")
    assert manifest is not None
    assert pushed(redis_client, store, manifest)


def test_workers_of_one_job_share_its_builds_and_a_restarted_one_finds_its_own_again(
    redis_client: Redis, redis_url: str, store: FolderStore
) -> None:
    trained = put_supernet(store, images=4000)
    operator = OperatorBus(redis_client)

    def holders() -> set[str | None]:
        return {queued.consumer for queued, _ in operator.builds(EXPERIMENT) if queued.state == "Claimed"}

    with (
        workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url, index=0) as first,
        workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url, index=1) as second,
    ):
        first.until(lambda: waiting(redis_client) == 2)
        for uid in ("b-1", "b-2"):
            operator.publish_build(EXPERIMENT, trained.request(uid, architecture=SPACE.maximum().id))
        first.until(lambda: holders() == {"worker-1-0", "worker-1-1"})
        second.kill()
        first.until(lambda: holders() == {"worker-1-1"})  # nobody else takes what it holds
        with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url, index=1) as again:
            again.until(lambda: all_answered(operator, 2))
    assert all(store.read_manifest(uid) is not None for uid in ("b-1", "b-2"))


def test_a_worker_told_to_stop_finishes_the_build_in_hand(
    redis_client: Redis, redis_url: str, store: FolderStore
) -> None:
    trained = put_supernet(store, images=4000)
    operator = OperatorBus(redis_client)
    for uid in ("b-1", "b-2"):
        operator.publish_build(EXPERIMENT, trained.request(uid, architecture=SPACE.maximum().id))
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        process.until(lambda: "Claimed" in [q.state for q, _ in operator.builds(EXPERIMENT)])
        assert process.terminate() == EXIT_RETRY
    assert [q.state for q, _ in operator.builds(EXPERIMENT)] == ["Answered", "Waiting"]
    manifest = store.read_manifest("b-1")
    assert manifest is not None
    assert pushed(redis_client, store, manifest)


def test_a_worker_told_to_stop_while_redis_is_away_ends_with_75(store: FolderStore) -> None:
    with (
        redis_server() as server,
        workload("trial", "--serve", job=WORKER, store=store.root, redis_url=server.url) as process,
    ):
        server.kill()
        process.until(lambda: "redis is away" in process.log.read_text())
        assert process.terminate() == EXIT_RETRY


def test_told_to_stop_before_it_has_begun_it_ends_with_75(redis_url: str, store: FolderStore) -> None:
    with workload("trial", "--serve", job=WORKER, store=store.root, redis_url=redis_url) as process:
        process.until(lambda: hears_sigterm(process.pid))
        assert process.terminate() == EXIT_RETRY
        assert "Traceback" not in process.log.read_text()


def test_a_worker_waits_for_a_redis_that_is_away_and_serves_the_one_that_comes_back(
    tmp_path: Path, store: FolderStore, trained: Trained
) -> None:
    with (
        redis_server() as server,
        workload("trial", "--serve", job=WORKER, store=store.root, redis_url=server.url) as process,
    ):
        OperatorBus(connect(server.url)).publish_build(EXPERIMENT, trained.request("b-1"))
        built(store, process, "b-1")
        server.kill()
        process.until(lambda: "redis is away" in process.log.read_text())
        server.start()  # empty: the group is gone with all else
        client = connect(server.url)
        OperatorBus(client).publish_build(EXPERIMENT, trained.request("b-2"))
        process.until(lambda: all_answered(OperatorBus(client), 1))
        assert pushed(client, store, built(store, process, "b-2"))
        client.close()
