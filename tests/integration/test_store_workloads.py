"""Workloads through the artifact store's server, with their owner's token and no other."""

from pathlib import Path

import pytest
from redis import Redis

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus
from pfpnas_api.jobs import PretrainJob, TrialJob
from pfpnas_api.messages import ModelRef
from support.artifact_server import artifact_server
from support.candidates import put_supernet
from support.tiny_supernet import tiny_spec
from support.workload_service import workload

SUPERNET, EXPERIMENT = "11111111-9a39-4b3a-8d40-2f6d2f0f6f10", "0c3f1c1e-9a39-4b3a-8d40-2f6d2f0f6f10"


def test_a_trial_of_one_owner_is_built_from_the_supernet_of_another(
    tmp_path: Path, redis_url: str, redis_client: Redis
) -> None:
    with artifact_server(tmp_path) as server:
        trained = put_supernet(server.store(SUPERNET))
        uid = f"{EXPERIMENT}-b1"
        job = TrialJob(experiment=EXPERIMENT, **dict(trained.request(uid)))
        token = server.key.token(EXPERIMENT)
        with workload(
            "trial", "--trial", job=job, store=server.address, token=token, redis_url=redis_url, folder=tmp_path
        ) as process:
            assert process.wait() == 0, process.log.read_text()
        manifest = server.store(EXPERIMENT).read_manifest(uid)
        assert manifest is not None
        model = manifest.artifacts["model"]
        pushed = AgentBus(redis_client, pool="pool", agent="a").fetch(ModelRef.of(model))
        assert pushed == server.store(EXPERIMENT).get(model.sha256)
        assert {line["scope"] for line in server.requests("PUT")} == {SUPERNET, EXPERIMENT}


@pytest.mark.parametrize("whose", ["another's", "none"])
def test_without_its_owners_token_a_trial_ends_with_one_line_that_says_so(
    tmp_path: Path, redis_url: str, whose: str
) -> None:
    with artifact_server(tmp_path) as server:
        trained = put_supernet(server.store(SUPERNET))
        job = TrialJob(experiment=EXPERIMENT, **dict(trained.request(f"{EXPERIMENT}-b1")))
        token = server.key.token(SUPERNET) if whose == "another's" else None
        with workload(
            "trial", "--trial", job=job, store=server.address, token=token, redis_url=redis_url, folder=tmp_path
        ) as process:
            assert process.wait() == 1
            (line,) = process.log.read_text().splitlines()
    remedy = "this token is another owner's" if whose == "another's" else "PFPNAS_ARTIFACTS_TOKEN"
    assert server.address in line
    assert remedy in line


def test_a_training_leaves_its_result_and_none_of_its_checkpoints_on_the_way(tmp_path: Path) -> None:
    with artifact_server(tmp_path) as server:
        job = PretrainJob(uid=f"{SUPERNET}-pretrain", spec=tiny_spec())
        token = server.key.token(SUPERNET)
        with workload("pretrain", job=job, store=server.address, token=token, folder=tmp_path) as process:
            assert process.wait() == 0, process.log.read_text()
        store = FolderStore(server.root)
        manifest = store.read_manifest(job.uid)
        assert manifest is not None
        assert len(server.requests("DELETE")) > 2
        assert list(store.refs()) == [job.uid]
        left = sorted(digest for digest, _ in store.digests())
        assert left == sorted(artifact.sha256 for artifact in manifest.artifacts.values())
