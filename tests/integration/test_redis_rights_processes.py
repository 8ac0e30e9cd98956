"""Real workloads as the user of their owner: a build from the stream to the agents' hands, and a tuner's answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, connect
from pfpnas_api.jobs import EXIT_RETRY, TrialWorkerJob, TuneJob
from pfpnas_api.kinds import ObjectiveSpec, SearchSpaceSpec, TunerSpec
from pfpnas_api.messages import LogEntry, ModelRef
from pfpnas_operator.access.rules import agent_rules, owner_rules
from pfpnas_operator.access.users import RedisUsers
from support.candidates import put_supernet
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors
from support.workload_service import workload

UID = "0b5516f0-0000-4000-8000-000000000001"


@pytest.fixture
def server() -> Iterator[GuardedRedis]:
    need_selectors()
    with guarded_redis() as running:
        users = RedisUsers(connect(running.operator_url), FixedKey())
        users.ensure("owner-it", owner_rules(UID, ["pool"]))
        users.ensure("agent-lab", agent_rules("pool", "lab"))
        yield running


def test_a_worker_builds_and_pushes_and_an_agent_fetches(server: GuardedRedis, tmp_path: Path) -> None:
    store, operator = FolderStore(tmp_path / "store"), OperatorBus(connect(server.operator_url))
    request = put_supernet(store).request(f"{UID}-1")
    operator.ensure_experiment(UID)
    operator.publish_build(UID, request)
    job = TrialWorkerJob(uid=f"{UID}-worker-0", experiment=UID)
    url = server.url_of("owner-it", "password-of-owner-it")
    with workload("trial", "--serve", job=job, store=store.root, redis_url=url) as process:
        manifest = process.until(lambda: store.read_manifest(request.uid))
        process.until(lambda: operator.wait_for_bell(after="0", block_milliseconds=1)[1] or None)
        process.until(lambda: operator.progress(job.uid))
        assert process.terminate() == EXIT_RETRY
    model = manifest.artifacts["model"]
    agent = AgentBus(server.client("agent-lab", "password-of-agent-lab"), pool="pool", agent="lab")
    assert agent.fetch(ModelRef.of(model)) == store.get(model.sha256)
    assert server.refusals() == []


def test_a_tuner_reads_its_log_and_suggests(server: GuardedRedis, tmp_path: Path) -> None:
    operator = OperatorBus(connect(server.operator_url))
    operator.append_log(UID, [LogEntry(event="Ask", count=3)])
    space = SearchSpaceSpec(backbone="MobileNetV2", width_multiplier="0.25", expand_ratios=(2, 3), depths=(1, 2))
    job = TuneJob(
        uid=f"{UID}-tune",
        experiment=UID,
        search_space=space,
        classes=10,
        objective=ObjectiveSpec(),
        tuner=TunerSpec(algorithm="RandomSearch", seed=3),
    )
    url = server.url_of("owner-it", "password-of-owner-it")
    with workload("tune", job=job, store=tmp_path / "store", redis_url=url) as process:
        process.until(lambda: len(operator.suggestions(UID)) == 3)
        process.until(lambda: operator.progress(job.uid))
    assert server.refusals() == []
