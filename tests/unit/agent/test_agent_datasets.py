"""Private data: four formats read alike, splits decided by pixels, and errors that name the file."""

import gzip
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pfpnas_agent.datasets import DataError, growing, prepare, prepared, splits
from pfpnas_agent.datasets.resize import as_inputs, resized
from support.agent_data import blobs, idx_bytes, write_idx


def idx(folder: Path, **changes: Any) -> dict[str, Any]:
    return {"format": "IDX", "classes": None, "validation": None, "test": None, **write_idx(folder), **changes}


def test_a_split_follows_from_the_digest_of_the_pixels(tmp_path: Path) -> None:
    data = prepare("d", idx(tmp_path), tmp_path / "cache")
    images, labels = blobs()
    place = [int(hashlib.sha256(image.tobytes()).hexdigest(), 16) % 100 for image in images]
    expected = [0 if p < 60 else 1 if p < 80 else 2 for p in place]
    assert data.split.tolist() == expected
    assert data.labels.tolist() == labels.tolist()
    assert (data.classes, data.size, data.grey) == (4, (8, 8), True)


def test_copies_of_an_image_are_in_one_split() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert splits.split_of(image) == splits.split_of(image.copy(order="F"))


@pytest.mark.parametrize(
    ("official", "shares"),
    [
        (frozenset({splits.TEST}), (75, 25, 0)),
        (frozenset({splits.VALIDATION}), (75, 0, 25)),
        (frozenset({splits.VALIDATION, splits.TEST}), (100, 0, 0)),
    ],
)
def test_an_official_split_leaves_its_share_to_the_others(official: frozenset[int], shares: tuple[int, ...]) -> None:
    images, _ = blobs(2000)
    found = np.bincount([splits.split_of(image, official=official) for image in images], minlength=3) / 20
    np.testing.assert_allclose(found, shares, atol=5)
    assert all(found[split] == 0 for split in official)


def test_official_files_are_their_split(tmp_path: Path) -> None:
    dataset = idx(tmp_path, test=write_idx(tmp_path, count=30, prefix="t"))
    data = prepare("d", dataset, tmp_path / "cache")
    assert data.split[300:].tolist() == [splits.TEST] * 30
    assert not (data.split[:300] == splits.TEST).any()


def test_gzipped_idx_is_read_as_it_is(tmp_path: Path) -> None:
    dataset = idx(tmp_path)
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(Path(dataset["images"]).read_bytes()))
    plain = prepare("d", dataset, tmp_path / "a").images(8, 8)
    assert np.array_equal(prepare("d", {**dataset, "images": str(packed)}, tmp_path / "b").images(8, 8), plain)


def test_npz_folder_and_cifar_give_what_idx_gives(tmp_path: Path) -> None:
    images, labels = blobs(20, size=32)
    colour = np.repeat(images[..., None], 3, axis=3)
    np.savez(tmp_path / "a.npz", images=colour, labels=labels)
    records = np.concatenate([labels[:, None], colour.transpose(0, 3, 1, 2).reshape(20, -1)], axis=1)
    (tmp_path / "batch.bin").write_bytes(records.tobytes())
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "tree" / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "tree" / f"class{label}" / f"{number:02}.png")
    npz = prepare("n", {"format": "NPZ", "path": str(tmp_path / "a.npz")}, tmp_path / "c")
    cifar = prepare("c", {"format": "CIFARBinary", "paths": [str(tmp_path / "batch.bin")]}, tmp_path / "c")
    tree = prepare("f", {"format": "Folder", "path": str(tmp_path / "tree")}, tmp_path / "c")
    assert np.array_equal(npz.images(32, 32), colour)
    assert np.array_equal(cifar.images(32, 32), colour)
    assert cifar.labels.tolist() == npz.labels.tolist() == labels.tolist()
    order = np.argsort(labels, kind="stable")
    assert np.array_equal(tree.images(32, 32), images[order])
    assert tree.labels.tolist() == labels[order].tolist()


def test_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    records = np.zeros((3, 2 + 3072), np.uint8)
    records[:, 0], records[:, 1] = 7, [0, 50, 99]
    (tmp_path / "train.bin").write_bytes(records.tobytes())
    data = prepare("c", {"format": "CIFARBinary", "paths": [str(tmp_path / "train.bin")]}, tmp_path / "cache")
    assert data.labels.tolist() == [0, 50, 99]


def test_images_of_various_sizes_and_modes_become_one_array(tmp_path: Path) -> None:
    for name, mode, size in (("a", "L", (5, 9)), ("b", "RGBA", (12, 4))):
        (tmp_path / "tree" / name).mkdir(parents=True)
        Image.new(mode, size, 200 if mode == "L" else (200, 10, 10, 255)).save(tmp_path / "tree" / name / "1.png")
    data = prepare("f", {"format": "Folder", "path": str(tmp_path / "tree")}, tmp_path / "cache")
    images = data.images(6, 6)
    assert data.size is None
    assert images.shape == (2, 6, 6, 3)
    assert images[0, 0, 0].tolist() == [200, 200, 200]
    assert images[1, 0, 0].tolist() == [200, 10, 10]


def test_inputs_are_rgb_between_zero_and_one() -> None:
    grey = as_inputs(np.array([[[0, 255], [51, 102]]], np.uint8))
    assert grey.dtype == np.float32
    assert grey.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(grey[0, 2], [[0, 1], [0.2, 0.4]], rtol=1e-6)
    colour = as_inputs(np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3))
    np.testing.assert_allclose(colour[0, 1] * 255, [[1, 4], [7, 10]], rtol=1e-6)


def test_resizing_is_pillows_bilinear_filter() -> None:
    image = blobs(1)[0][0]
    expected = np.asarray(Image.fromarray(image).resize((16, 12), Image.Resampling.BILINEAR))
    assert np.array_equal(resized(image, 12, 16), expected)


def test_cached_images_are_used_until_the_files_change(tmp_path: Path) -> None:
    dataset = idx(tmp_path)
    first = prepare("d", dataset, tmp_path / "cache")
    first.images(16, 16)
    (cached,) = (tmp_path / "cache").glob("d-*/images-16x16.raw")
    stamp = cached.stat().st_ino
    prepare("d", dataset, tmp_path / "cache").images(16, 16)
    assert cached.stat().st_ino == stamp
    Path(dataset["images"]).write_bytes(idx_bytes(255 - blobs()[0]))
    changed = prepare("d", dataset, tmp_path / "cache").images(8, 8)
    assert np.array_equal(changed, 255 - blobs()[0])
    assert not cached.exists()


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST_CACHE_BYTES", 100_000)
    data = prepare("d", idx(tmp_path), tmp_path / "cache")
    for size in (8, 9, 10, 11, 12):
        data.images(size, size)
    kept = list((tmp_path / "cache").glob("*/images-*.raw"))
    assert sum(path.stat().st_size for path in kept) <= 100_000
    assert (tmp_path / "cache").joinpath(kept[0].parent.name, "images-12x12.raw") in kept


class Killed(BaseException):
    """What a process that is killed looks like from inside."""


def _interrupted(alias: str, dataset: dict[str, Any], cache: Path, *, at: int, size: int | None = None) -> None:
    """Prepare until so many images are done: the index, or the images of a size."""

    def progress(done: int, total: int) -> None:
        if done >= at:
            raise Killed

    def work() -> None:
        if size is None:
            prepare(alias, dataset, cache, progress=progress)
        else:
            prepare(alias, dataset, cache).images(size, size, progress=progress)

    with pytest.raises(Killed):
        work()


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Any]:
    """Image files, with an official test split of their own."""
    for folder, count in (("all", 30), ("test", 10)):
        for number, (image, label) in enumerate(zip(*blobs(count, seed=count), strict=True)):
            path = tmp_path / folder / f"class{label}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return {"format": "Folder", "path": str(tmp_path / "all"), "test": {"path": str(tmp_path / "test")}}


@pytest.mark.parametrize("at", [7, 30, 33])
def test_an_interrupted_index_goes_on_where_it_was(
    tmp_path: Path, tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(growing, "PIECE_SECONDS", 0.0)
    _interrupted("f", tree, tmp_path / "cache", at=at)
    told: list[tuple[int, int]] = []
    data = prepare("f", tree, tmp_path / "cache", progress=lambda *done: told.append(done))
    assert told == [(done, 40) for done in range(at + 1, 41)]
    whole = prepare("f", tree, tmp_path / "other")
    assert data.split.tolist() == whole.split.tolist()
    assert (data.size, data.grey, data.labels.tolist()) == (whole.size, whole.grey, whole.labels.tolist())


@pytest.mark.parametrize("at", [7, 30, 33])
def test_interrupted_resizing_goes_on_where_it_was(
    tmp_path: Path, tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(growing, "PIECE_SECONDS", 0.0)
    _interrupted("f", tree, tmp_path / "cache", at=at, size=6)
    told: list[tuple[int, int]] = []
    images = prepare("f", tree, tmp_path / "cache").images(6, 6, progress=lambda *done: told.append(done))
    assert told == [(done, 40) for done in range(at + 1, 41)]
    assert np.array_equal(images, prepare("f", tree, tmp_path / "other").images(6, 6))


def test_rows_that_a_power_cut_left_half_written_are_made_again(
    tmp_path: Path, tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "PIECE_SECONDS", 0.0)
    _interrupted("f", tree, tmp_path / "cache", at=12)
    (part,) = (tmp_path / "cache").glob("*/*.part")
    with part.open("ab") as file:
        file.write(bytes(500))
    data = prepare("f", tree, tmp_path / "cache")
    assert data.split.tolist() == prepare("f", tree, tmp_path / "other").split.tolist()


@pytest.mark.parametrize("name", ["index.npz", "index.raw", "images-8x8.raw"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged"])
def test_what_a_power_cut_damaged_is_made_again(tmp_path: Path, name: str, content: bytes) -> None:
    dataset = idx(tmp_path)
    whole = prepare("d", dataset, tmp_path / "cache").images(8, 8).copy()
    for path in (tmp_path / "cache").glob("d-*/index.npz"):
        path.write_bytes(content)
    next((tmp_path / "cache").glob(f"d-*/{name}")).write_bytes(content)
    data = prepare("d", dataset, tmp_path / "cache")
    assert data.split.tolist() == prepare("d", dataset, tmp_path / "other").split.tolist()
    assert np.array_equal(data.images(8, 8), whole)


def test_processes_that_want_the_same_images_make_them_once(tmp_path: Path, tree: dict[str, Any]) -> None:
    program = (
        "import json, sys; from pathlib import Path; from pfpnas_agent.datasets import growing, prepare;"
        "growing.PIECE_SECONDS = 0.0; dataset, cache = json.loads(sys.argv[1]), Path(sys.argv[2]);"
        "prepare('f', dataset, cache, progress=lambda done, total: print(done))"
    )
    command = [sys.executable, "-c", program, json.dumps(tree), str(tmp_path / "cache")]
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(subprocess.check_output, command, timeout=120) for _ in range(3)]
    told = [int(line) for process in running for line in process.result().split()]
    assert sorted(told) == list(range(1, 41))


def _truncate(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-1])


def test_truncated_idx_is_named(tmp_path: Path) -> None:
    dataset = idx(tmp_path)
    _truncate(dataset["images"])
    with pytest.raises(DataError, match=r"images\.idx3 has 19215 bytes where its header promises 19216: copy it again"):
        prepare("d", dataset, tmp_path / "cache")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.idx is missing"):
        prepare("d", idx(tmp_path, labels=str(tmp_path / "gone.idx")), tmp_path / "cache")


def test_swapped_images_and_labels_are_told(tmp_path: Path) -> None:
    paths = write_idx(tmp_path)
    dataset = idx(tmp_path, images=paths["labels"], labels=paths["images"])
    with pytest.raises(DataError, match="are images and labels swapped"):
        prepare("d", dataset, tmp_path / "cache")


def test_labels_outside_the_classes_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels run from 0 to 3; allowed are 0 to 2"):
        prepare("d", idx(tmp_path, classes=3), tmp_path / "cache")


def test_labels_of_another_set_are_told(tmp_path: Path) -> None:
    other = write_idx(tmp_path, count=7, prefix="o")
    with pytest.raises(DataError, match="300 images, but 7 labels"):
        prepare("d", idx(tmp_path, labels=other["labels"]), tmp_path / "cache")


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "lacks labels: it needs"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(2, np.uint8)}, "'images' is float64"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2)}, "'labels' is float64"),
    ],
)
def test_npz_of_another_make_is_told(tmp_path: Path, arrays: dict[str, np.ndarray], named: str) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    with pytest.raises(DataError, match=named):
        prepare("n", {"format": "NPZ", "path": str(tmp_path / "a.npz")}, tmp_path / "cache")


def test_objects_in_an_npz_are_never_unpickled(tmp_path: Path) -> None:
    array = np.empty(1, object)
    array[0] = {}
    np.savez(tmp_path / "a.npz", images=array, labels=np.zeros(1, np.uint8))
    with pytest.raises(DataError, match="no readable"):
        prepare("n", {"format": "NPZ", "path": str(tmp_path / "a.npz")}, tmp_path / "cache")


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with pytest.raises(DataError, match=r"a/1\.png can't be decoded"):
        prepare("f", {"format": "Folder", "path": str(tmp_path / "tree")}, tmp_path / "cache")


def test_half_a_cifar_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(bytes(3073 * 2 - 1))
    with pytest.raises(DataError, match=r"b\.bin has 6145 bytes, no whole number"):
        prepare("c", {"format": "CIFARBinary", "paths": [str(tmp_path / "b.bin")]}, tmp_path / "cache")


def test_an_empty_split_is_told(tmp_path: Path) -> None:
    data = prepare("d", {**idx(tmp_path), **write_idx(tmp_path, count=1)}, tmp_path / "cache")
    empty = (data.split[0] + 1) % 3
    with pytest.raises(DataError, match="too small"):
        data.rows(empty)
