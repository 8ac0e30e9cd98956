"""The artifact store's server as a process, by our own client and by bare requests."""

import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from pfpnas_api.artifacts import ArtifactDamaged, ArtifactError, ArtifactMissing, FolderStore, open_store
from pfpnas_api.kinds import ArtifactRef
from pfpnas_operator.store.tokens import Key
from support.artifact_server import ArtifactServer, artifact_server

UID, OTHER = "0c3f1c1e-9a39-4b3a-8d40-2f6d2f0f6f10", "11111111-9a39-4b3a-8d40-2f6d2f0f6f10"
THIRD = "22222222-9a39-4b3a-8d40-2f6d2f0f6f10"
CONTENT = b"a candidate"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactServer]:
    """One server for the tests that do it no harm."""
    with artifact_server(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture
def server(shared: ArtifactServer) -> ArtifactServer:
    """An empty one."""
    shared.empty()
    return shared


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def ask(
    server: ArtifactServer, method: str, path: str, *, token: str | None = None, **options: object
) -> tuple[int, str]:
    """Status and text of a bare request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = urllib3.request(method, server.address + path, headers=headers, retries=False, timeout=20, **options)  # type: ignore[arg-type]
    return answer.status, answer.data.decode()


def test_artifacts_go_there_and_come_back(server: ArtifactServer) -> None:
    store = server.store(UID)
    assert not store.has(DIGEST)
    with pytest.raises(ArtifactMissing, match=DIGEST):
        store.get(DIGEST)
    assert store.put(CONTENT).sha256 == DIGEST
    assert store.has(DIGEST)
    assert store.get(DIGEST) == CONTENT
    assert store.get(store.put(b"").sha256) == b""
    large = os.urandom(5_000_001)
    assert server.store(OTHER).get(store.put(large).sha256) == large
    assert FolderStore(server.root).get(DIGEST) == CONTENT


def test_what_is_there_already_is_not_sent_again_but_counts_as_put(server: ArtifactServer) -> None:
    server.store(UID).put(CONTENT)
    sent = len(server.requests("PUT"))
    os.utime(FolderStore(server.root).path(DIGEST), (1_000_000_000, 1_000_000_000))
    server.store(OTHER).put(CONTENT)
    assert len(server.requests("PUT")) == sent
    ((_, modified),) = server.store().digests()
    assert datetime.now(UTC) - modified < timedelta(minutes=5)


def test_a_put_under_another_digest_is_refused_with_both(server: ArtifactServer) -> None:
    wrong = "0" * 64
    status, text = ask(server, "PUT", f"/sha256/{wrong}", token=server.key.token(UID), body=CONTENT)
    assert status == 400
    assert wrong in text
    assert DIGEST in text
    assert files(server.root) == []


def test_a_damaged_artifact_is_noticed_and_put_right(server: ArtifactServer) -> None:
    store = server.store(UID)
    store.put(CONTENT)
    FolderStore(server.root).path(DIGEST).write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match=f"artifact {DIGEST} in {server.address} is damaged.*delete it"):
        store.get(DIGEST)
    store.put(CONTENT)  # of another size, so it is sent
    assert store.get(DIGEST) == CONTENT


def test_an_artifact_comes_in_pieces_of_a_request_each(server: ArtifactServer) -> None:
    store, content = server.store(UID), os.urandom(2_500_000)
    artifact = store.put(content)
    pieces = list(store.pieces(artifact, 1_000_000))
    assert [len(piece) for piece in pieces] == [1_000_000, 1_000_000, 500_000]
    assert b"".join(pieces) == content
    FolderStore(server.root).path(artifact.sha256).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactDamaged, match=f"artifact {artifact.sha256} in {server.address} is damaged"):
        list(store.pieces(artifact, 1_000_000))
    FolderStore(server.root).delete(artifact.sha256)
    with pytest.raises(ArtifactMissing, match=artifact.sha256):
        list(store.pieces(artifact, 1_000_000))


class Whole(BaseHTTPRequestHandler):
    """What knows nothing of ranges."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENT)


def test_parts_that_come_whole_are_no_damage() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Whole) as proxy:
        threading.Thread(target=proxy.serve_forever).start()
        try:
            store = open_store(f"http://127.0.0.1:{proxy.server_port}", patience_seconds=5)
            with pytest.raises(ArtifactError, match=r"answers 200 when asked for a part.*header Range") as caught:
                list(store.pieces(ArtifactRef(sha256=DIGEST, size=len(CONTENT)), 4))
            assert not isinstance(caught.value, ArtifactDamaged)
        finally:
            proxy.shutdown()


def test_references_are_written_read_replaced_and_deleted(server: ArtifactServer) -> None:
    store = server.store(UID)
    name = f"{UID}-pretrain.checkpoint"
    assert store.read_ref(name) is None
    store.write_ref(name, {"n": 1})
    store.write_ref(name, {"n": 2})
    assert store.read_ref(name) == {"n": 2}
    store.delete_ref(name)
    store.delete_ref(name)
    assert store.read_ref(name) is None


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b""])
def test_a_reference_is_a_json_object(server: ArtifactServer, body: bytes) -> None:
    status, text = ask(server, "PUT", f"/refs/{UID}-a", token=server.key.token(UID), body=body)
    assert (status, text) == (400, f"reference {UID}-a: write a JSON object")


def test_a_reference_has_a_largest_size(server: ArtifactServer) -> None:
    store = server.store(UID)
    store.write_ref(f"{UID}-a", {"text": "x" * 1_000_000})
    with pytest.raises(ArtifactError, match="413"):
        store.write_ref(f"{UID}-a", {"text": "x" * 1_100_000})


@pytest.mark.parametrize("name", [f"{OTHER}-trial", "owner-" + UID, "trial", UID + "x-1"])
def test_an_owner_may_use_its_own_references_only(server: ArtifactServer, name: str) -> None:
    server.store().write_ref(name, {"n": 1})
    store = server.store(UID)
    refused = r"403 .*belongs to another owner"
    with pytest.raises(ArtifactError, match=refused):
        store.write_ref(name, {})
    with pytest.raises(ArtifactError, match=refused):
        store.read_ref(name)
    with pytest.raises(ArtifactError, match=refused):
        store.delete_ref(name)
    assert server.store().read_ref(name) == {"n": 1}


@pytest.mark.parametrize("path", ["/sha256/" + DIGEST, "/refs/a-1", "/refs", "/sha256", "/nowhere"])
@pytest.mark.parametrize("token", [None, "", "operator", "operator." + "0" * 64, Key(b"j" * 32).token("operator")])
def test_without_a_token_of_its_key_nothing_is_told(server: ArtifactServer, path: str, token: str | None) -> None:
    for method in ("GET", "PUT", "DELETE"):
        status, text = ask(server, method, path, token=token)
        assert (status, text) == (401, "no token, or none that this store's key has made")


def test_a_wrong_token_is_said_to_be_one_with_the_remedy(server: ArtifactServer) -> None:
    with pytest.raises(ArtifactError, match=f"{server.address} refuses HEAD .*401.*PFPNAS_ARTIFACTS_TOKEN"):
        open_store(server.address, "wrong").put(CONTENT)


def test_no_token_is_in_the_log(server: ArtifactServer) -> None:
    server.store(UID).put(CONTENT)
    signature = server.key.token(UID).partition(".")[2]
    assert server.requests("PUT")[-1]["scope"] == UID
    assert signature not in str(server.lines("request"))


def test_health_needs_no_token(server: ArtifactServer) -> None:
    assert ask(server, "GET", "/healthz") == (200, "ok")


@pytest.mark.parametrize(
    "path", ["/sha256/abc", f"/sha256/{DIGEST.upper()}", "/sha256/..%2Fkey", "/refs/..%2F..%2Fkey"]
)
def test_a_path_leads_nowhere_else(server: ArtifactServer, path: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        status, text = ask(server, method, path, token=server.key.token("operator"))
        assert status == 400, text


def test_an_owner_deletes_what_it_alone_made(server: ArtifactServer) -> None:
    store = server.store(UID)
    store.release(store.put(CONTENT).sha256)
    assert files(server.root) == []


def test_what_others_may_need_is_left_to_the_sweep(server: ArtifactServer) -> None:
    store, other = server.store(UID), server.store(OTHER)
    store.put(CONTENT)
    with pytest.raises(ArtifactError, match="403 others may need"):
        other.delete(DIGEST)
    assert other.has(DIGEST)  # and so may count on it
    store.release(DIGEST)
    other.release(DIGEST)
    assert store.get(DIGEST) == CONTENT
    server.store().delete(DIGEST)
    assert not store.has(DIGEST)


def test_what_was_put_again_since_is_left_by_the_sweep(server: ArtifactServer) -> None:
    operator = server.store()
    operator.put(CONTENT)
    os.utime(FolderStore(server.root).path(DIGEST), (1_000_000_000.25, 1_000_000_000.25))
    ((_, listed),) = operator.digests()
    server.store(UID).put(CONTENT)
    operator.delete(DIGEST, unmodified_since=listed)
    ((_, listed),) = operator.digests()
    operator.delete(DIGEST, unmodified_since=listed)
    assert list(operator.digests()) == []


def test_the_same_artifact_put_by_many_at_once_is_whole(server: ArtifactServer) -> None:
    content = os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()

    def put(n: int) -> int:
        return ask(server, "PUT", f"/sha256/{digest}", token=server.key.token(UID), body=content)[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(16))) <= {200, 201}
    assert server.store().get(digest) == content
    assert files(server.root) == [f"sha256/{digest[:2]}/{digest}"]


@pytest.mark.parametrize("owners", [(UID, OTHER), (UID, OTHER, THIRD)], ids=len)
def test_what_several_owners_put_at_once_none_of_them_takes_from_the_others(
    server: ArtifactServer, owners: tuple[str, ...]
) -> None:
    content = os.urandom(2_000_000)
    digest = hashlib.sha256(content).hexdigest()
    for connection in [half_sent(server, digest, content, uid=uid) for uid in owners]:
        with connection:
            connection.sendall(content[len(content) // 2 :])
            assert b" 20" in connection.recv(100)
    for uid in reversed(owners):
        server.store(uid).release(digest)
    assert server.store(UID).get(digest) == content, "it goes by the sweep alone"


def half_sent(server: ArtifactServer, digest: str, content: bytes, *, uid: str = UID) -> socket.socket:
    """An owner's PUT that stops in the middle; some of it is on the server's disk."""
    port, incoming = int(server.address.rsplit(":", 1)[1]), server.root / "incoming"
    before = len(list(incoming.iterdir()))
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"PUT /sha256/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key.token(uid)}\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[: len(content) // 2])
    until(lambda: len(list(incoming.iterdir())) > before)
    return connection


def test_a_sender_that_goes_leaves_nothing(server: ArtifactServer) -> None:
    content = os.urandom(2_000_000)
    half_sent(server, hashlib.sha256(content).hexdigest(), content).close()
    until(lambda: files(server.root) == [])


def test_a_server_killed_in_a_put_leaves_nothing_half_and_takes_it_when_it_is_back(tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    digest = hashlib.sha256(content).hexdigest()
    with artifact_server(tmp_path) as server:
        server.store(UID).put(CONTENT)
        connection = half_sent(server, digest, content)
        server.kill()
        connection.close()
        assert not FolderStore(server.root).has(digest)
        server.start()
        assert files(server.root) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]
        server.store(UID).put(content)
        assert server.store(UID).get(digest) == content


def test_a_client_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    with artifact_server(tmp_path) as server:
        store = server.store(UID, patience_seconds=60)
        store.put(CONTENT)
        server.kill()
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append(store.get(DIGEST)))
        reader.start()
        server.start()
        reader.join(60)
        assert found == [CONTENT]


def test_a_server_that_stays_away_is_named_with_the_remedy(tmp_path: Path) -> None:
    with artifact_server(tmp_path) as server:
        store = server.store(UID, patience_seconds=0.5)
        server.kill()
        with pytest.raises(ArtifactError, match=rf"{server.address} is away .*refused.*NetworkPolicy"):
            store.put(CONTENT)


def test_a_put_under_way_is_finished_before_it_stops(tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    digest = hashlib.sha256(content).hexdigest()
    with artifact_server(tmp_path) as server:
        connection = half_sent(server, digest, content)
        ended: list[int] = []
        stopper = threading.Thread(target=lambda: ended.append(server.terminate()))
        stopper.start()
        until(lambda: server.lines("stopping"))
        connection.sendall(content[len(content) // 2 :])
        answer = connection.recv(1000)
        connection.close()
        stopper.join(60)
        assert b" 201 " in answer
        assert ended == [0]
        assert FolderStore(server.root).get(digest) == content


def test_a_larger_artifact_than_allowed_is_refused_at_once(tmp_path: Path) -> None:
    with artifact_server(tmp_path, "--max-bytes", "1000") as server:
        store = server.store(UID)
        store.put(b"x" * 1000)
        with pytest.raises(ArtifactError, match=r"413 1001 bytes are more.*\(1000\).*--max-bytes"):
            store.put(b"x" * 1001)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; only root can mount one."""
    place, mount = tmp_path / "disk", shutil.which("mount")
    place.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_said_to_be_one_and_what_is_there_stays(tmp_path: Path, small_disk: Path) -> None:
    with artifact_server(tmp_path, root=small_disk / "store") as server:
        store = server.store(UID)
        store.put(CONTENT)
        with pytest.raises(ArtifactError, match=r"507 5000000 bytes don't fit.*make its volume larger"):
            store.put(b"x" * 5_000_000)
        first, second = os.urandom(2_500_000), os.urandom(2_500_000)
        connection = half_sent(server, hashlib.sha256(first).hexdigest(), first)
        with half_sent(server, hashlib.sha256(second).hexdigest(), second) as other:  # both fit, but not together
            connection.sendall(first[len(first) // 2 :])
            assert b" 201 " in connection.recv(100)
            other.sendall(second[len(second) // 2 :])
            assert b" 507 " in other.recv(100)
        connection.close()
        with pytest.raises(ArtifactError, match="507"):  # noqa: PT012 - until it is full to the last page
            for _ in range(100):
                store.put(os.urandom(100_000))
        assert ask(server, "GET", "/healthz")[0] == 200
        assert store.get(DIGEST) == CONTENT
