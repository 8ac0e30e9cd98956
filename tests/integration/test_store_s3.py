"""Artifacts in a bucket, on an S3 server: by the store itself, and by a workload that runs through it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import s3fs
from redis import Redis

from pfpnas_api.artifacts import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    RefUnreadable,
    objects,
    open_store,
)
from pfpnas_api.jobs import Manifest, TrialJob
from pfpnas_api.kinds import ArtifactRef
from pfpnas_operator.store.sweep import GRACE, Living, sweep_store
from support.candidates import put_supernet
from support.s3_server import BUCKET, s3_server
from support.workload_service import workload

CONTENT = b"a candidate"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as found:
        yield found


@pytest.fixture
def address(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.fixture
def store(address: str) -> ArtifactStore:
    return open_store(address)


def test_artifacts_go_there_and_come_back(store: ArtifactStore, address: str) -> None:
    assert not store.has(DIGEST)
    with pytest.raises(ArtifactMissing, match=f"no artifact {DIGEST} in {address}"):
        store.get(DIGEST)
    assert store.put(CONTENT) == ArtifactRef(sha256=DIGEST, size=len(CONTENT))
    assert store.put(CONTENT) == ArtifactRef(sha256=DIGEST, size=len(CONTENT))
    assert store.has(DIGEST)
    assert open_store(address + "/").get(DIGEST) == CONTENT
    large = os.urandom(12_000_000)  # more than one part of an upload
    assert store.get(store.put(large).sha256) == large
    assert store.get(store.put(b"").sha256) == b""
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert not store.has(DIGEST)


def test_references_are_written_read_replaced_and_deleted(store: ArtifactStore) -> None:
    assert store.read_ref("e-1.samples") is None
    store.write_ref("e-1.samples", {"n": 1})
    store.write_ref("e-1.samples", {"n": 2})
    assert store.read_ref("e-1.samples") == {"n": 2}
    store.delete_ref("e-1.samples")
    store.delete_ref("e-1.samples")
    assert store.read_ref("e-1.samples") is None


def test_a_manifest_comes_back(store: ArtifactStore) -> None:
    manifest = Manifest(uid="e-1", outcome="Done", artifacts={"model": store.put(CONTENT)})
    store.write_manifest(manifest)
    assert store.read_manifest("e-1") == manifest


def test_listings_see_what_others_have_just_written(store: ArtifactStore, address: str) -> None:
    assert list(store.digests()) == []
    assert list(store.refs()) == []
    other = open_store(address)
    other.put(CONTENT)
    for name in ("b-1", "a-1"):
        other.write_ref(name, {})
    ((digest, modified),) = store.digests()
    assert digest == DIGEST
    assert abs(datetime.now(UTC) - modified) < timedelta(minutes=5)
    assert list(store.refs()) == ["a-1", "b-1"]
    assert list(store.refs("a-")) == ["a-1"]
    other.delete_ref("a-1")
    assert list(store.refs()) == ["b-1"]


def test_many_references_are_read_at_once(store: ArtifactStore, address: str) -> None:
    names = [f"e-{n:03d}" for n in range(250)]
    for name in names:
        store.write_ref(name, {"name": name})
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(f"{address}/refs/e-007.json", b"{")
    found = dict(store.read_refs([*names, "gone"]))
    assert isinstance(found.pop("e-007"), RefUnreadable)
    assert found.pop("gone") is None
    assert found == {name: {"name": name} for name in names if name != "e-007"}


def test_what_references_name_is_read_once_a_writing(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        store.write_ref(f"e-{n}", {"sha256": f"{n}" * 64})
    read: list[str] = []
    many = store.read_refs

    def noted(names: Sequence[str]) -> Iterator[Any]:
        read.extend(names)
        return many(names)

    monkeypatch.setattr(store, "read_refs", noted)
    wanted = {f"e-{n}": frozenset({f"{n}" * 64}) for n in range(3)}
    assert dict(store.named()) == wanted
    assert dict(store.named()) == wanted
    assert read == ["e-0", "e-1", "e-2"] * 2  # written just now: they may be written again in the same second
    monkeypatch.setattr(objects, "SETTLED", timedelta(minutes=-5))
    assert dict(store.named()) == wanted
    read.clear()
    store.write_ref("e-1", {"sha256": "c" * 64, "n": 1})
    store.delete_ref("e-2")
    assert dict(store.named()) == {"e-0": {"0" * 64}, "e-1": {"c" * 64}}
    assert read == ["e-1"]


def test_a_damaged_artifact_is_noticed(store: ArtifactStore, address: str) -> None:
    store.put(CONTENT)
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(f"{address}/sha256/{DIGEST[:2]}/{DIGEST}", b"damaged")
    with pytest.raises(ArtifactError, match=f"artifact {DIGEST} in {address} is damaged.*delete it"):
        store.get(DIGEST)
    store.put(CONTENT)  # of another size, so it is sent
    assert store.get(DIGEST) == CONTENT


def test_an_artifact_comes_in_pieces(store: ArtifactStore, address: str) -> None:
    artifact = store.put(CONTENT)
    assert list(store.pieces(artifact, 4)) == [b"a ca", b"ndid", b"ate"]
    place = f"{address}/sha256/{DIGEST[:2]}/{DIGEST}"
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(place, CONTENT.upper())
    with pytest.raises(ArtifactDamaged, match=f"artifact {DIGEST} in {address} is damaged.*delete it"):
        list(store.pieces(artifact, 4))
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(place, b"short")
    with pytest.raises(ArtifactDamaged, match="5 bytes instead of 11"):
        list(store.pieces(artifact, 4))
    store.delete(DIGEST)
    with pytest.raises(ArtifactMissing, match=DIGEST):
        list(store.pieces(artifact, 4))


def test_what_was_put_since_is_left_by_the_sweep(store: ArtifactStore) -> None:
    named, unnamed = store.put(b"named").sha256, store.put(CONTENT).sha256
    store.write_ref("e-1", {"artifacts": {"model": {"sha256": named}}})
    nobody = Living(uids=frozenset())
    sweep_store(store, lambda: nobody, now=datetime.now(UTC))
    assert store.has(unnamed)
    store.delete(unnamed, unmodified_since=datetime.now(UTC) - timedelta(hours=1))
    assert store.has(unnamed)
    sweep_store(store, lambda: nobody, now=datetime.now(UTC) + 2 * GRACE)
    assert [digest for digest, _ in store.digests()] == [named]


def test_a_bucket_that_is_not_there_is_named(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ArtifactError, match=r"artifact store s3://nowhere/x: .*bucket does not exist.*make the bucket"):
        open_store("s3://nowhere/x").put(CONTENT)


def test_a_server_that_is_away_is_an_error_that_names_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    store = open_store("s3://models/x")
    with pytest.raises(ArtifactError, match=r"artifact store s3://models/x: can't .*connect"):
        store.get(DIGEST)
    with pytest.raises(ArtifactError, match=r"artifact store s3://models/x: can't .*connect"):
        list(store.read_refs(["e-1"]))


def test_a_trial_is_built_from_the_bucket_into_the_bucket(
    address: str, store: ArtifactStore, redis_url: str, redis_client: Redis, tmp_path: Path
) -> None:
    trained = put_supernet(store)
    job = TrialJob(experiment="e-1", **dict(trained.request("e-1-b1")))
    with workload("trial", "--trial", job=job, store=address, redis_url=redis_url, folder=tmp_path) as process:
        assert process.wait() == 0, process.log.read_text()
    manifest = store.read_manifest("e-1-b1")
    assert manifest is not None
    assert manifest.outcome == "Done"
    assert len(store.get(manifest.artifacts["model"].sha256)) == manifest.artifacts["model"].size
