"""The folder store: content-addressed, verified, atomic, and clear about what is wrong."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfpnas_api.artifacts import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    FolderStore,
    ManifestUnreadable,
    open_store,
    write_atomically,
)
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import ArtifactRef

CONTENT = b"a candidate"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_artifact_lies_under_its_digest(store: FolderStore) -> None:
    assert store.put(CONTENT) == ArtifactRef(sha256=DIGEST, size=len(CONTENT))
    assert store.get(DIGEST) == CONTENT
    assert store.has(DIGEST)
    assert files(store.root) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.binary(max_size=300))
def test_every_content_comes_back(store: FolderStore, content: bytes) -> None:
    assert store.get(store.put(content).sha256) == content


def test_an_artifact_put_twice_is_written_once(store: FolderStore) -> None:
    store.put(CONTENT)
    before = store.path(DIGEST).stat().st_ino
    store.put(CONTENT)
    assert store.path(DIGEST).stat().st_ino == before


def test_what_is_not_there_is_missing(store: FolderStore) -> None:
    assert not store.has(DIGEST)
    with pytest.raises(ArtifactMissing, match=DIGEST):
        store.get(DIGEST)
    store.delete(DIGEST)


def test_a_deleted_artifact_is_gone(store: FolderStore) -> None:
    store.put(CONTENT)
    store.delete(DIGEST)
    assert not store.has(DIGEST)


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"A" + CONTENT[1:]])
def test_a_damaged_artifact_is_noticed_and_put_right(store: FolderStore, damaged: bytes) -> None:
    store.put(CONTENT)
    store.path(DIGEST).write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"is damaged: delete .* and run again") as caught:
        store.get(DIGEST)
    assert str(store.path(DIGEST)) in str(caught.value)
    store.put(CONTENT)
    assert store.get(DIGEST) == CONTENT


def test_an_artifact_comes_in_pieces(store: FolderStore) -> None:
    artifact = store.put(b"abcdefgh")
    assert list(store.pieces(artifact, 3)) == [b"abc", b"def", b"gh"]
    assert list(store.pieces(artifact, 4)) == [b"abcd", b"efgh"]
    assert list(store.pieces(artifact, 100)) == [b"abcdefgh"]
    assert list(store.pieces(store.put(b""), 4)) == []


def test_the_last_piece_of_a_damaged_artifact_never_comes(store: FolderStore) -> None:
    artifact = store.put(b"abcdefgh")
    store.path(artifact.sha256).write_bytes(b"abcdefgX")
    pieces = store.pieces(artifact, 3)
    assert [next(pieces), next(pieces)] == [b"abc", b"def"]
    with pytest.raises(ArtifactDamaged, match=f"{artifact.sha256} in {store.root} is damaged: delete it there"):
        next(pieces)


@pytest.mark.parametrize("size", [7, 9])
def test_pieces_of_another_size_than_said_are_none(store: FolderStore, size: int) -> None:
    artifact = store.put(b"abcdefgh").model_copy(update={"size": size})
    with pytest.raises(ArtifactDamaged, match=f"8 bytes instead of {size}"):
        next(store.pieces(artifact, 3))


def test_pieces_of_what_is_not_there_are_missing(store: FolderStore) -> None:
    with pytest.raises(ArtifactMissing, match=DIGEST):
        next(store.pieces(ArtifactRef(sha256=DIGEST, size=3), 3))


@pytest.mark.parametrize("digest", ["", "abc", DIGEST.upper(), DIGEST + "0", DIGEST[:-1] + "\n", "../" + DIGEST[3:]])
def test_what_is_no_digest_is_refused(store: FolderStore, digest: str) -> None:
    for call in (store.get, store.has, store.delete):
        with pytest.raises(ArtifactError, match="is no SHA-256 digest"):
            call(digest)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../a", "A", "a b", "a\n", "a\x00", "x" * 122])
def test_what_is_no_name_is_refused(store: FolderStore, name: str) -> None:
    with pytest.raises(ArtifactError, match="is no name of a reference"):
        store.write_ref(name, {})
    with pytest.raises(ArtifactError, match="is no name of a reference"):
        store.read_ref(name)
    assert not store.root.exists()


def test_a_reference_is_replaced(store: FolderStore) -> None:
    assert store.read_ref("job-1.a") is None
    store.write_ref("job-1.a", {"n": 1})
    store.write_ref("job-1.a", {"n": 2.5})
    assert store.read_ref("job-1.a") == {"n": 2.5}
    assert files(store.root) == ["refs/job-1.a.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null"])
def test_an_unreadable_reference_is_named(store: FolderStore, content: bytes) -> None:
    write_atomically(store.root / "refs" / "job-1.json", content)
    with pytest.raises(ArtifactError, match=r"refs/job-1\.json is no JSON.*delete it"):
        store.read_ref("job-1")


def test_a_manifest_comes_back(store: FolderStore) -> None:
    manifest = Manifest(
        uid="job-1", outcome="Done", artifacts={"model": store.put(CONTENT)}, figures={"buildMilliseconds": 12.5}
    )
    assert store.read_manifest("job-1") is None
    store.write_manifest(manifest)
    assert store.read_manifest("job-1") == manifest


def test_a_manifest_of_another_shape_is_named_with_the_field(store: FolderStore) -> None:
    store.write_ref("job-1", {"uid": "job-1", "outcome": "Maybe"})
    with pytest.raises(ManifestUnreadable, match="manifest of job job-1 is unreadable: outcome: "):
        store.read_manifest("job-1")


def test_a_manifest_that_is_no_json_is_the_jobs_fault_and_not_the_stores(store: FolderStore) -> None:
    write_atomically(store.root / "refs" / "job-1.json", b"done")
    with pytest.raises(ManifestUnreadable, match="manifest of job job-1 is unreadable: no JSON object"):
        store.read_manifest("job-1")


def test_a_write_that_fails_leaves_what_was_there(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_ref("job-1", {"n": 1})

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ArtifactError, match=r"can't write .*job-1\.json: No space left"):
        store.write_ref("job-1", {"n": 2})
    assert store.read_ref("job-1") == {"n": 1}
    assert files(store.root) == ["refs/job-1.json"]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = {b"a" * 200_000, b"b" * 300_000}
    write_atomically(target, min(contents))
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in sorted(contents) * 10:
        write_atomically(target, content)
    done.set()
    reader.join()
    assert seen <= contents


def test_files_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode


def test_a_folder_where_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in the way")
    with pytest.raises(ArtifactError, match=f"can't write {tmp_path}"):
        FolderStore(tmp_path / "store").put(CONTENT)
    with pytest.raises(ArtifactError, match=f"can't read {tmp_path}"):
        FolderStore(tmp_path / "store").get(DIGEST)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; only root can mount one."""
    place, mount = tmp_path / "disk", shutil.which("mount")
    place.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_keeps_what_was_there(full_disk: Path) -> None:
    store = FolderStore(full_disk)
    small = store.put(CONTENT)
    with pytest.raises(ArtifactError, match=f"can't write {full_disk}.*No space left on device"):
        store.put(os.urandom(200_000))
    assert store.get(small.sha256) == CONTENT
    assert files(full_disk) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]
    store.put(os.urandom(8_000))  # the temporary file of the failed write takes no room any more


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_a_store_is_opened_by_its_address(tmp_path: Path, address: str) -> None:
    folder = tmp_path / "with space"
    opened: ArtifactStore = open_store(address.format(str(folder).replace(" ", "%20") if "://" in address else folder))
    opened.put(CONTENT)
    assert FolderStore(folder).get(DIGEST) == CONTENT


@pytest.mark.parametrize("address", ["", "ftp://host/x", "redis://host"])
def test_other_addresses_are_refused_with_those_that_are_known(address: str) -> None:
    with pytest.raises(ArtifactError, match="file://"):
        open_store(address)


def test_listings_name_what_is_there_and_when_it_was_put(store: FolderStore) -> None:
    assert list(store.digests()) == []
    assert list(store.refs()) == []
    refs = [store.put(bytes([n])).sha256 for n in range(20)]
    store.path(refs[0]).with_name(".tmp-1").write_bytes(b"half")
    for name in ("b-1", "a-1", "a-2.samples"):
        store.write_ref(name, {})
    assert [digest for digest, _ in store.digests()] == sorted(refs)
    assert [digest for digest, _ in store.digests(after=sorted(refs)[9])] == sorted(refs)[10:]
    assert all(abs(modified - datetime.now(UTC)) < timedelta(minutes=1) for _, modified in store.digests())
    assert list(store.refs()) == ["a-1", "a-2.samples", "b-1"]
    assert list(store.refs("a-")) == ["a-1", "a-2.samples"]


def test_what_was_put_again_since_is_left(store: FolderStore) -> None:
    store.put(CONTENT)
    os.utime(store.path(DIGEST), (1_000_000_000, 1_000_000_000))
    ((_, listed),) = store.digests()
    store.put(CONTENT)
    store.delete(DIGEST, unmodified_since=listed)
    assert store.has(DIGEST)
    ((_, listed),) = store.digests()
    store.delete(DIGEST, unmodified_since=listed)
    assert not store.has(DIGEST)
    store.delete(DIGEST, unmodified_since=listed)


@pytest.mark.parametrize(
    ("address", "package"), [("s3://bucket/x", "s3fs"), ("gs://b", "gcsfs"), ("abfs://c/x", "adlfs")]
)
def test_an_object_store_without_its_package_says_what_to_install(
    address: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)  # as if it weren't installed
    with pytest.raises(ArtifactError, match=f"pip install {package} "):
        open_store(address)


@pytest.mark.parametrize("address", ["http://", "http://host/?a=1", "https://me:secret@host", "http://host:port"])
def test_a_server_is_named_by_host_and_port_alone(address: str) -> None:
    with pytest.raises(ArtifactError, match="artifact store 'http"):
        open_store(address)
