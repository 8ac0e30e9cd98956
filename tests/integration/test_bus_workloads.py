"""Builds, the tuner's log, progress, bells and chunks, on a real server."""

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
import redis

from pfpnas_api.artifacts import ArtifactDamaged, ArtifactMissing, FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, TunerBus, WorkerBus, WorkloadBus, keys, workload
from pfpnas_api.bus.connection import FIELD
from pfpnas_api.bus.workload import BLOB_EXPIRY_SECONDS
from pfpnas_api.kinds import ArtifactRef
from pfpnas_api.messages import CHUNK_BYTES, Bell, BuildRequest, LogEntry, ModelRef, Progress, Suggestion

EXPERIMENT = "2b9c-uid"


def make_build(uid: str = "t-1") -> BuildRequest:
    artifact = ArtifactRef(sha256="a" * 64, size=1)
    return BuildRequest(uid=uid, pool="p", architecture="r16-k3e2", checkpoint=artifact, calibration=artifact)


def make_ask(number: int) -> LogEntry:
    return LogEntry(event="Ask", count=number)


@pytest.fixture
def operator(redis_client: redis.Redis) -> OperatorBus:
    return OperatorBus(redis_client)


@pytest.fixture
def tuner(redis_client: redis.Redis) -> TunerBus:
    return TunerBus(redis_client, experiment=EXPERIMENT)


def test_a_build_waits_is_claimed_and_is_answered(operator: OperatorBus, redis_client: redis.Redis) -> None:
    operator.ensure_experiment(EXPERIMENT)
    operator.publish_build(EXPERIMENT, make_build())
    worker = WorkerBus(redis_client, experiment=EXPERIMENT, worker="w1")
    claim = worker.next(block_milliseconds=100)
    assert claim is not None
    assert claim.request == make_build()
    [(queued, request)] = operator.builds(EXPERIMENT)
    assert (queued.state, queued.consumer, request) == ("Claimed", "w1", make_build())
    again = WorkerBus(redis_client, experiment=EXPERIMENT, worker="w1").next(held=True)
    assert again == claim
    worker.acknowledge(claim)
    assert worker.next(held=True) is None
    [(queued, _)] = operator.builds(EXPERIMENT)
    assert queued.state == "Answered"
    operator.delete_build(EXPERIMENT, queued.entry)
    assert operator.builds(EXPERIMENT) == []


def test_a_worker_makes_the_group_that_a_flush_took(operator: OperatorBus, redis_client: redis.Redis) -> None:
    worker = WorkerBus(redis_client, experiment=EXPERIMENT, worker="w1")
    assert worker.next(block_milliseconds=50) is None
    operator.publish_build(EXPERIMENT, make_build())
    assert worker.next(block_milliseconds=100) is not None


def test_a_build_that_is_none_is_handed_out_as_such(redis_client: redis.Redis, operator: OperatorBus) -> None:
    operator.ensure_experiment(EXPERIMENT)
    redis_client.xadd(keys.builds(EXPERIMENT), {FIELD: b"garbage"})
    claim = WorkerBus(redis_client, experiment=EXPERIMENT, worker="w1").next(block_milliseconds=100)
    assert claim is not None
    assert claim.request is None
    assert operator.builds(EXPERIMENT) == []
    assert redis_client.xlen(keys.builds(EXPERIMENT)) == 0


def test_the_log_replays_from_its_start_and_goes_on_from_an_id(operator: OperatorBus, tuner: TunerBus) -> None:
    written = [make_ask(3), LogEntry(event="Finished", index=0, architecture="r16", outcome="Scored", score=0.5)]
    operator.append_log(EXPERIMENT, written)
    read = tuner.read()
    assert [entry for _, entry in read] == written
    assert operator.log(EXPERIMENT) == read
    assert tuner.read(after=read[-1][0]) == []
    assert operator.log(EXPERIMENT, after=read[0][0]) == read[1:]
    assert tuner.read(after=read[-1][0], block_milliseconds=20) == []
    assert tuner.log_length() == 2


def test_a_long_log_is_read_whole(operator: OperatorBus, tuner: TunerBus) -> None:
    operator.append_log(EXPERIMENT, [make_ask(number) for number in range(2500)])
    assert [entry.count for _, entry in operator.log(EXPERIMENT)] == list(range(2500))
    read = tuner.read()
    while page := tuner.read(after=read[-1][0]):
        read += page
    assert [entry.count for _, entry in read] == list(range(2500))


def test_garbage_in_the_log_is_forgotten(operator: OperatorBus, tuner: TunerBus, redis_client: redis.Redis) -> None:
    operator.append_log(EXPERIMENT, [make_ask(1)])
    redis_client.xadd(keys.log(EXPERIMENT), {FIELD: b"garbage"})
    assert [entry for _, entry in tuner.read()] == [make_ask(1)]
    assert tuner.log_length() == 1


def test_a_flushed_log_is_shorter_than_what_was_read(
    operator: OperatorBus, tuner: TunerBus, redis_client: redis.Redis
) -> None:
    operator.append_log(EXPERIMENT, [make_ask(1), make_ask(2)])
    redis_client.flushall()
    assert tuner.log_length() == 0
    operator.append_log(EXPERIMENT, [])
    assert tuner.read() == []


def test_the_first_suggestion_of_an_index_counts(operator: OperatorBus, tuner: TunerBus) -> None:
    tuner.suggest(Suggestion(index=0, architecture="r16"))
    tuner.suggest(Suggestion(index=0, architecture="r24"))
    tuner.suggest(Suggestion(index=1, exhausted="SpaceExhausted"))
    assert {i: s.architecture for i, s in tuner.suggested().items()} == {0: "r16", 1: None}
    found = operator.suggestions(EXPERIMENT)
    assert [s.architecture for _, s in found] == ["r16", "r24", None]
    assert operator.suggestions(EXPERIMENT, after=found[1][0]) == found[2:]


def test_progress_is_the_last_word_of_a_job(operator: OperatorBus, redis_client: redis.Redis) -> None:
    bus = WorkloadBus(redis_client)
    assert operator.progress("j1") is None
    assert bus.report("j1", Progress(stage="Pretrain", done=1, total=10))
    assert bus.report("j1", Progress(stage="Pretrain", done=2, total=10, loss=float("nan")))
    assert operator.progress("j1") == Progress(stage="Pretrain", done=2, total=10)
    redis_client.hset(keys.progress("j1"), FIELD.decode(), b"garbage")
    assert operator.progress("j1") is None


def test_bells_since_an_id_are_heard(operator: OperatorBus, redis_client: redis.Redis) -> None:
    bus = WorkloadBus(redis_client)
    assert operator.wait_for_bell(after="$", block_milliseconds=20) == ("$", [])
    assert bus.ring("j1")
    redis_client.xadd(keys.EVENTS, {FIELD: b"garbage"})
    assert bus.ring("j2")
    last, bells = operator.wait_for_bell(after="0", block_milliseconds=20)
    assert bells == [Bell(uid="j1"), Bell(uid="j2")]
    assert operator.wait_for_bell(after=last, block_milliseconds=20) == (last, [])


def test_a_block_of_0_does_not_wait_for_ever(operator: OperatorBus, tuner: TunerBus) -> None:
    assert operator.wait_for_bell(after="$", block_milliseconds=0) == ("$", [])
    assert tuner.read(block_milliseconds=0) == []


def test_a_block_longer_than_the_sockets_patience_is_cut(operator: OperatorBus) -> None:
    assert operator.wait_for_bell(after="$", block_milliseconds=60_000) == ("$", [])


def test_a_full_redis_never_stops_the_work(redis_client: redis.Redis) -> None:
    bus = WorkloadBus(redis_client)
    redis_client.config_set("maxmemory", "1")
    try:
        assert not bus.report("j1", Progress(stage="Tune"))
        assert not bus.ring("j1")
    finally:
        redis_client.config_set("maxmemory", "0")


def test_pushed_chunks_are_what_an_agent_fetches(redis_client: redis.Redis, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    content = os.urandom(2 * CHUNK_BYTES + 17)
    artifact = store.put(content)
    WorkloadBus(redis_client).push("bench-cpu.a", artifact, store)
    agent = AgentBus(redis_client, pool="bench-cpu.a", agent="a")
    assert agent.fetch(ModelRef.of(artifact)) == content
    lives = [redis_client.ttl(keys.blob("bench-cpu.a", artifact.sha256, chunk)) for chunk in range(3)]
    assert all(0 < life <= BLOB_EXPIRY_SECONDS for life in lives)


def test_a_second_push_renews_and_repairs(redis_client: redis.Redis, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    content = os.urandom(CHUNK_BYTES + 1)
    artifact = store.put(content)
    bus, agent = WorkloadBus(redis_client), AgentBus(redis_client, pool="p", agent="a")
    bus.push("p", artifact, store)
    redis_client.expire(keys.blob("p", artifact.sha256, 0), 10)
    bus.push("p", artifact, FolderStore(tmp_path / "empty"))  # all there: the store isn't even asked
    assert redis_client.ttl(keys.blob("p", artifact.sha256, 0)) > 10
    redis_client.delete(keys.blob("p", artifact.sha256, 1))
    bus.push("p", artifact, store)
    assert agent.fetch(ModelRef.of(artifact)) == content


def test_pushing_what_is_not_in_the_store_says_so(redis_client: redis.Redis, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing):
        WorkloadBus(redis_client).push("p", ArtifactRef(sha256="b" * 64, size=3), FolderStore(tmp_path))


def test_a_large_artifact_is_never_in_memory_as_a_whole(
    redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "READ_BYTES", 2 * CHUNK_BYTES)
    store = FolderStore(tmp_path)
    artifact = store.put(os.urandom(24 * CHUNK_BYTES + 5))
    tracemalloc.start()
    try:
        WorkloadBus(redis_client).push("p", artifact, store)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 12 * CHUNK_BYTES
    agent = AgentBus(redis_client, pool="p", agent="a")
    assert hashlib.sha256(agent.fetch(ModelRef.of(artifact))).hexdigest() == artifact.sha256


@pytest.mark.parametrize("damaged", [b"short", b"x" * (CHUNK_BYTES + 1)])
def test_nothing_stays_of_a_damaged_artifact(redis_client: redis.Redis, tmp_path: Path, damaged: bytes) -> None:
    store = FolderStore(tmp_path)
    artifact = store.put(os.urandom(CHUNK_BYTES + 1))
    redis_client.set(keys.blob("p", artifact.sha256, 1), b"y")  # of an earlier push, whose first chunk is gone
    store.path(artifact.sha256).write_bytes(damaged)
    with pytest.raises(ArtifactDamaged):
        WorkloadBus(redis_client).push("p", artifact, store)
    assert redis_client.keys() == []


def test_a_gone_experiment_leaves_no_stream(operator: OperatorBus, tuner: TunerBus, redis_client: redis.Redis) -> None:
    operator.ensure_experiment(EXPERIMENT)
    operator.append_log(EXPERIMENT, [make_ask(1)])
    tuner.suggest(Suggestion(index=0))
    operator.forget(experiment=EXPERIMENT)
    assert redis_client.keys() == []
