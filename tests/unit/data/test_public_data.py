"""Reading public data: every format and place, and what is said when they are missing or damaged."""

import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.kinds.supernet import DatasetSpec, ShapesSpec
from pfpnas_workloads.data import DataError, PublicData, load

Batch = tuple[np.ndarray, list[int]]
"""Rows of pixels, `(n, 3 * 32 * 32)`, and their labels."""


def read(spec: DatasetSpec, folder: Path) -> PublicData:
    return load(spec, store=FolderStore(folder / "store"), side=16)


def write_npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def some_arrays(n: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"images": rng.integers(0, 256, (n, 8, 8), dtype=np.uint8), "labels": np.arange(n) % 4}


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_mnist(folder: Path, n: int = 12, *, name: str = "MNIST") -> Path:
    rng = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{name}/raw/{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}/raw/{prefix}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8))
    return folder


def write_cifar(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Batch]]:
    """Files in CIFAR's form, whose checksums stand in for the published ones; returns what is in them, by split."""
    kind = getattr(torchvision.datasets, name)
    rng, classes = np.random.default_rng(0), int(name.removeprefix("CIFAR"))
    key = "labels" if name == "CIFAR10" else "fine_labels"
    root = folder / kind.base_folder
    root.mkdir()

    def write(file: str, content: dict[str, object]) -> list[str]:
        # The published form is a pickle, which torchvision reads once the checksum is right.
        (root / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((root / file).read_bytes()).hexdigest()]

    written: dict[str, list[Batch]] = {"train": [], "test": []}
    for split, files in (("train", kind.train_list), ("test", kind.test_list)):
        sums = []
        for file, _ in files:
            pixels = rng.integers(0, 256, (classes, 3 * 32 * 32), dtype=np.uint8)
            labels = rng.permutation(classes).tolist()
            written[split].append((pixels, labels))
            sums.append(write(file, {"data": pixels, key: labels}))
        monkeypatch.setattr(kind, f"{split}_list", sums)
    names = [f"class {index}" for index in range(classes)]
    file, md5 = write(kind.meta["filename"], {kind.meta["key"]: names})
    monkeypatch.setattr(kind, "meta", kind.meta | {"filename": file, "md5": md5})
    return written


def write_images(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 5) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(n):
            pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def test_shapes_are_drawn_in_two_different_splits(tmp_path: Path) -> None:
    spec = DatasetSpec(format="Shapes", shapes=ShapesSpec(samples=120, validation_samples=60, resolution=16))
    data = read(spec, tmp_path)
    assert (len(data.train_images), len(data.validation_labels), data.classes) == (120, 60, 10)
    every = torch.arange(60)
    assert data.train_images[every].shape == (60, 3, 16, 16)
    assert not torch.equal(data.train_images[every], data.validation_images[every])


def test_statistics_are_those_of_the_training_images(tmp_path: Path) -> None:
    arrays = some_arrays()
    path = write_npz(
        tmp_path / "a.npz", **arrays, validation_images=arrays["images"][:8], validation_labels=arrays["labels"][:8]
    )
    data = read(DatasetSpec(format="NPZ", uri=str(path)), tmp_path)
    unit = arrays["images"] / 255
    assert data.mean == pytest.approx([unit.mean()] * 3)
    assert data.std == pytest.approx([unit.std()] * 3)


def test_npz_without_validation_holds_out_the_same_share_of_each_class(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", **some_arrays(40))
    data = read(DatasetSpec(format="NPZ", uri=str(path), validation_fraction="0.2"), tmp_path)
    assert torch.bincount(data.validation_labels).tolist() == [2] * 4
    assert torch.bincount(data.train_labels).tolist() == [8] * 4


@pytest.mark.parametrize("shape", [(40, 8, 8, 3), (40, 3, 8, 8)])
def test_npz_takes_colour_in_both_orders(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.zeros(shape, np.uint8)
    images[(..., 1) if shape[3] == 3 else (slice(None), 1)] = 200
    path = write_npz(tmp_path / "a.npz", images=images, labels=np.arange(40) % 4)
    data = read(DatasetSpec(format="NPZ", uri=path.as_uri()), tmp_path)
    assert data.train_images[torch.tensor([0])][0, :, 0, 0].tolist() == [0, 200, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "no array `labels`"),
        ({"labels": np.zeros(3, int)}, "40 `images`, but 3 `labels`"),
        ({"labels": np.full(40, 0.5)}, "`labels` is float64"),
        ({"labels": np.zeros(40, int)}, "one class only"),
        ({"images": np.zeros((40, 8, 8))}, "images are float64"),
    ],
)
def test_npz_of_another_form_is_refused(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    arrays = {name: array for name, array in (some_arrays() | change).items() if array is not None}
    path = write_npz(tmp_path / "odd.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read(DatasetSpec(format="NPZ", uri=str(path)), tmp_path)


def test_truncated_npz_is_named(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "short.npz", **some_arrays())
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"short\.npz can't be read"):
        read(DatasetSpec(format="NPZ", uri=str(path)), tmp_path)


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, images=np.array([{}], dtype=object), labels=np.zeros(1, int))
    with pytest.raises(DataError, match=r"objects\.npz can't be read"):
        read(DatasetSpec(format="NPZ", uri=str(path)), tmp_path)


def test_npz_comes_out_of_the_artifact_store(tmp_path: Path) -> None:
    content = write_npz(tmp_path / "a.npz", **some_arrays()).read_bytes()
    digest = FolderStore(tmp_path / "store").put(content).sha256
    assert read(DatasetSpec(format="NPZ", uri=f"sha256:{digest}"), tmp_path).classes == 4


def test_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no artifact {'0' * 64}"):
        read(DatasetSpec(format="NPZ", uri="sha256:" + "0" * 64), tmp_path)


def test_unknown_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="places known are"):
        read(DatasetSpec(format="NPZ", uri="ftp://host/a.npz"), tmp_path)


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_idx_files_are_read_with_their_official_split(tmp_path: Path, name: str) -> None:
    folder = write_mnist(tmp_path, name=name)
    data = read(DatasetSpec.model_validate({"format": name, "uri": str(folder)}), tmp_path)
    assert (len(data.train_images), len(data.validation_images), data.classes) == (12, 12, 10)
    assert not data.natural
    assert data.validation_labels.tolist() == [*range(10), 0, 1]
    written = np.random.default_rng(0).integers(0, 256, (2, 12, 28, 28), dtype=np.uint8)  # as write_mnist draws them
    for split, images in zip(written, (data.train_images, data.validation_images), strict=True):
        expected = torch.from_numpy(split)[:, None].expand(-1, 3, -1, -1)
        assert torch.equal(images[torch.arange(12)], expected)


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_is_read_with_its_official_split(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_cifar(tmp_path, name, monkeypatch)
    data = read(DatasetSpec.model_validate({"format": name, "uri": str(tmp_path)}), tmp_path)
    assert data.natural
    assert data.classes == int(name.removeprefix("CIFAR"))
    for images, labels, split in (
        (data.train_images, data.train_labels, "train"),
        (data.validation_images, data.validation_labels, "test"),
    ):
        pixels = np.concatenate([rows for rows, _ in written[split]]).reshape(-1, 3, 32, 32)
        assert torch.equal(images[torch.arange(len(labels))], torch.from_numpy(pixels))
        assert labels.tolist() == [label for _, batch in written[split] for label in batch]


def test_altered_cifar_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, "CIFAR10", monkeypatch)
    altered = tmp_path / "cifar-10-batches-py/data_batch_3"
    altered.write_bytes(altered.read_bytes() + b" ")
    with pytest.raises(DataError, match=r"CIFAR10 is missing or damaged.*data_batch_1 to 5"):
        read(DatasetSpec(format="CIFAR10", uri=str(tmp_path)), tmp_path)


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_missing_standard_data_say_what_belongs_where(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} is missing or damaged in .*{tmp_path.name}.*must hold"):
        read(DatasetSpec.model_validate({"format": name, "uri": str(tmp_path)}), tmp_path)


def test_truncated_mnist_is_refused(tmp_path: Path) -> None:
    broken = write_mnist(tmp_path) / "MNIST/raw/train-images-idx3-ubyte"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(DataError, match="MNIST is missing or damaged"):
        read(DatasetSpec(format="MNIST", uri=str(tmp_path)), tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        read(DatasetSpec(format="CIFAR10", uri=str(tmp_path / "nowhere")), tmp_path)


def test_image_folder_with_splits(tmp_path: Path) -> None:
    write_images(tmp_path / "data/train")
    write_images(tmp_path / "data/val", n=2)
    data = read(DatasetSpec(format="ImageFolder", uri=str(tmp_path / "data")), tmp_path)
    assert (len(data.train_images), len(data.validation_images), data.natural) == (10, 4, True)
    assert data.train_images[torch.tensor([0, 9])].shape == (2, 3, 16, 16)


def test_image_folder_without_splits_holds_out_different_images(tmp_path: Path) -> None:
    write_images(tmp_path / "data", n=10)
    data = read(DatasetSpec(format="ImageFolder", uri=str(tmp_path / "data"), validation_fraction="0.2"), tmp_path)
    train = data.train_images[torch.arange(16)].flatten(1)
    held = data.validation_images[torch.arange(4)].flatten(1)
    assert not (train[:, None] == held[None]).all(dim=2).any()


def test_damaged_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    (tmp_path / "data/cat/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cat/0\.png is no readable image"):
        read(DatasetSpec(format="ImageFolder", uri=str(tmp_path / "data")), tmp_path)


def test_image_folder_whose_splits_differ_in_classes_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "data/train")
    write_images(tmp_path / "data/val", classes=("cat", "cow"))
    with pytest.raises(DataError, match="same classes"):
        read(DatasetSpec(format="ImageFolder", uri=str(tmp_path / "data")), tmp_path)


def test_empty_image_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="an image folder holds"):
        read(DatasetSpec(format="ImageFolder", uri=str(tmp_path / "data")), tmp_path)


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname=".")
    return buffer.getvalue()


def test_folder_comes_out_of_the_artifact_store_as_a_tar(tmp_path: Path) -> None:
    digest = FolderStore(tmp_path / "store").put(packed(write_mnist(tmp_path / "data"))).sha256
    assert read(DatasetSpec(format="MNIST", uri=f"sha256:{digest}"), tmp_path).classes == 10


def test_tar_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"out"))
    digest = FolderStore(tmp_path / "store").put(buffer.getvalue()).sha256
    with pytest.raises(DataError, match="must be a tar"):
        read(DatasetSpec(format="MNIST", uri=f"sha256:{digest}"), tmp_path)
