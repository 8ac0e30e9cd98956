"""Listings of the artifact store's server: whose they are, what they say, and that they are whole."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from pfpnas_api.artifacts import ArtifactError, FolderStore
from pfpnas_operator.store import server as serving
from pfpnas_operator.store.sweep import read_contents
from pfpnas_operator.store.tokens import OPERATOR, Key
from support.artifact_server import ArtifactServer, artifact_server

UID = "0c3f1c1e-9a39-4b3a-8d40-2f6d2f0f6f10"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactServer]:
    with artifact_server(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture
def server(shared: ArtifactServer) -> ArtifactServer:
    """An empty one."""
    shared.empty()
    return shared


def test_listings_are_the_operators(server: ArtifactServer) -> None:
    store = server.store(UID)
    for listing in (store.refs(), store.digests()):
        with pytest.raises(ArtifactError, match="403 listings are for the operator"):
            next(iter(listing))


def test_a_listing_says_what_references_name(server: ArtifactServer) -> None:
    folder = FolderStore(server.root)
    model, other = "a" * 64, "b" * 64
    folder.write_ref("e-1", {"artifacts": {"model": {"sha256": model, "size": 1}}, "log": f"sha256:{other}"})
    folder.write_ref("e-2", {})
    (server.root / "refs" / "e-3.json").write_text("{")
    wanted = {"e-1": {model, other}, "e-2": frozenset(), "e-3": None}
    assert dict(server.store().named()) == wanted
    assert dict(folder.named()) == wanted
    with pytest.raises(ArtifactError, match="403 listings are for the operator"):
        next(iter(server.store(UID).named()))


def test_a_sweep_asks_for_no_reference_by_itself_but_those_of_owners(server: ArtifactServer) -> None:
    store, folder = server.store(), FolderStore(server.root)
    for n in range(200):
        folder.write_ref(f"e-{n:03d}", {"sha256": folder.put(bytes([n])).sha256})
    folder.write_ref("owner-e", {"kind": "NASExperiment", "namespace": "a", "name": "n", "deletionPolicy": "Delete"})
    asked: list[str] = []
    request = store._pool.urlopen

    def counted(method: str, path: str, **more: Any) -> Any:
        asked.append(f"{method} {path}")
        return request(method, path, **more)

    store._pool.urlopen = counted  # type: ignore[method-assign]
    contents = read_contents(store)
    assert len(contents.refs) == 201
    assert len({digest for named in contents.refs.values() for digest in named or ()}) == 200
    assert list(contents.owners) == ["e"]
    assert len(asked) == 5, asked  # two listings, each with its empty last page; and the owner's record


def test_listings_are_whole_over_many_pages(server: ArtifactServer) -> None:
    folder = FolderStore(server.root)
    names = sorted(f"{UID}-{n:05d}" for n in range(10_001))
    (server.root / "refs").mkdir()
    for name in names:
        (server.root / "refs" / f"{name}.json").write_text("{}")
    digests = sorted(folder.put(bytes([n])).sha256 for n in range(40))
    folder.write_ref("z-1", {})
    store = server.store()
    assert list(store.refs()) == [*names, "z-1"]
    assert list(store.refs("z")) == ["z-1"]
    assert [name for name, _ in store.named()] == [*names, "z-1"]
    assert [digest for digest, _ in store.digests()] == digests


async def pages(folder: FolderStore) -> list[list[str]]:
    """The names on each page of the references, as a client turns them."""
    key, after = Key(b"k" * 32), ""
    found: list[list[str]] = []
    headers = {"Authorization": f"Bearer {key.token(OPERATOR)}"}
    async with TestClient(TestServer(serving.Server(folder, key, max_bytes=1000).application())) as client:
        while not found or found[-1]:
            answer = await client.get("/refs", params={"after": after}, headers=headers)
            found.append([name for (name,) in (await answer.json())["rows"]])
            after = found[-1][-1] if found[-1] else after
    return found[:-1]


def test_a_name_that_begins_with_another_is_on_a_page_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PAGE", 2)
    folder = FolderStore(tmp_path)
    names = ["a-pretrain", "a-pretrain-1", "a-pretrain.checkpoint", "a-pretrain.checkpoint-1", "b"]
    for name in names:
        folder.write_ref(name, {})
    assert list(folder.refs()) == names
    assert asyncio.run(pages(folder)) == [names[:2], names[2:4], names[4:]]
