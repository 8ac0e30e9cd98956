"""What a glance at the public data tells before anything is started."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.preflight import DataMissing, preflight
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.server import RedisUnavailable
from support.reconcile_builders import make_experiment, make_supernet

NOWHERE = "redis://127.0.0.1:1/0"
"""Refused at once: so a preflight that finds nothing wrong before ends with this."""


def _check(folder: Path, state: str = "New", **dataset: Any) -> None:
    supernet = make_supernet(state)
    changed = supernet.spec.dataset.model_copy(update=dataset)
    supernet = supernet.model_copy(update={"spec": supernet.spec.model_copy(update={"dataset": changed})})
    records = Records(supernet=supernet, experiment=make_experiment())
    preflight(RunFolder(folder), records, redis_url=NOWHERE, agent_config=None)


@pytest.mark.parametrize(
    ("form", "belongs"),
    [
        ("CIFAR10", "cifar-10-batches-py/"),
        ("CIFAR100", "cifar-100-python/"),
        ("MNIST", "MNIST/raw/"),
        ("FashionMNIST", "FashionMNIST/raw/"),
        ("ImageFolder", "does not exist"),
        ("NPZ", "does not exist"),
    ],
)
def test_missing_data_are_named_with_what_belongs_there(tmp_path: Path, form: str, belongs: str) -> None:
    with pytest.raises(DataMissing, match=r"Supernet/tiny: spec\.dataset\.uri: .*none") as error:
        _check(tmp_path, format=form, uri=str(tmp_path / "none"))
    assert belongs in str(error.value)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_arrays_that_are_there_pass(tmp_path: Path, prefix: str) -> None:
    np.savez(tmp_path / "a b.npz", images=np.zeros(3))
    uri = f"{prefix}{tmp_path / 'a b.npz'}"
    with pytest.raises(RedisUnavailable):
        _check(tmp_path, format="NPZ", uri=uri.replace(" ", "%20") if prefix else uri)


def test_truncated_arrays_are_seen(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(300))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(DataMissing, match="truncated"):
        _check(tmp_path, format="NPZ", uri=str(tmp_path / "a.npz"))


@pytest.mark.parametrize("uri", [None, "sha256:" + "0" * 64])
def test_what_is_no_file_is_left_to_the_training(tmp_path: Path, uri: str | None) -> None:
    with pytest.raises(RedisUnavailable):
        _check(tmp_path, format="Shapes" if uri is None else "NPZ", uri=uri)


def test_trained_supernet_needs_no_data_any_more(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable):
        _check(tmp_path, "Ready", format="CIFAR10", uri=str(tmp_path / "none"))


def test_too_little_room_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfpnas_operator.local.preflight.LEAST_BYTES", 2**60)
    with pytest.raises(FolderError, match="are free"):
        _check(tmp_path, format="CIFAR10", uri=str(tmp_path / "none"))
