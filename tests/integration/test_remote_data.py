"""Public data on a web server and in a bucket, both real servers of this machine."""

import contextlib
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.kinds.supernet import DatasetSpec
from pfpnas_workloads.data import DataError, PublicData, load
from pfpnas_workloads.runtime import Unreachable
from support.s3_server import BUCKET, s3_server


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing of it."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The address of a folder, for the length of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.npz``, ``tree/<class>/*.png`` and ``tree.tar``."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    np.savez(folder / "a.npz", images=rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), labels=np.arange(40) % 4)
    for label in ("cat", "dog"):
        (folder / "tree" / label).mkdir(parents=True)
        for n in range(4):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "tree" / label / f"{n}.png")
    with tarfile.open(folder / "tree.tar", "w") as archive:
        for part in (folder / "tree").iterdir():
            archive.add(part, part.name)
    return folder


@pytest.fixture(scope="module")
def web(files: Path) -> Iterator[str]:
    with web_server(files) as address:
        yield address


@pytest.fixture(scope="module")
def bucket(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket with the same files, and the variables by which its clients find it."""
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        buckets = fsspec.filesystem("s3")
        for path in (path for path in files.rglob("*") if path.is_file()):
            buckets.put_file(str(path), f"{BUCKET}/{path.relative_to(files)}")
        yield f"s3://{BUCKET}"


def read(spec: dict[str, str], folder: Path) -> PublicData:
    return load(DatasetSpec.model_validate(spec), store=FolderStore(folder / "store"), side=16)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where downloads go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def brought(folder: Path) -> list[Path]:
    """Downloads in a temporary folder, into which torch puts things of its own."""
    return list(folder.glob("pfpnas-data-*"))


@pytest.mark.parametrize("place", ["web", "bucket"])
def test_a_file_and_a_tar_are_read_from_elsewhere_and_gone_afterwards(
    request: pytest.FixtureRequest, place: str, tmp_path: Path, temporary: Path
) -> None:
    base = request.getfixturevalue(place)
    arrays = read({"format": "NPZ", "uri": f"{base}/a.npz"}, tmp_path)
    assert len(arrays.train_images) + len(arrays.validation_images) == 40
    tree = read({"format": "ImageFolder", "uri": f"{base}/tree.tar"}, tmp_path)
    assert tree.classes == 2
    assert tree.train_images[tree.train_labels].shape[1:] == (3, 16, 16)  # decoded only now
    del arrays, tree
    assert brought(temporary) == []


def test_a_prefix_of_a_bucket_is_a_folder(bucket: str, tmp_path: Path, temporary: Path) -> None:
    tree = read({"format": "ImageFolder", "uri": f"{bucket}/tree/"}, tmp_path)
    assert (tree.classes, len(tree.train_images) + len(tree.validation_images)) == (2, 8)


@pytest.mark.parametrize(("place", "name"), [("web", "none.npz"), ("bucket", "none.npz"), ("bucket", "tree")])
def test_what_is_not_there_is_named_and_leaves_nothing(
    request: pytest.FixtureRequest, place: str, name: str, tmp_path: Path, temporary: Path
) -> None:
    uri = f"{request.getfixturevalue(place)}/{name}"
    with pytest.raises(DataError, match=rf"dataset\.uri {uri}: (nothing is there|is a folder)"):
        read({"format": "NPZ", "uri": uri}, tmp_path)
    assert brought(temporary) == []


def test_a_server_that_is_away_is_no_fault_of_the_document(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(Unreachable, match=r"dataset\.uri http://127\.0\.0\.1:1/a\.npz: can't be read"):
        read({"format": "NPZ", "uri": "http://127.0.0.1:1/a.npz"}, tmp_path)
    assert brought(temporary) == []
