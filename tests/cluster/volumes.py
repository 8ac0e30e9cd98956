"""Volumes of the local cluster: there is no provisioner, so a fixed number of folders is offered beforehand."""

import json
import shutil
from pathlib import Path
from typing import Any

from cluster.settings import NODE, STORAGE_CLASS


def storage_class() -> dict[str, Any]:
    """The cluster's default class, so that charts need name none."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(name: str, folder: Path) -> dict[str, Any]:
    """A `local` volume: unlike hostPath it honours a pod's fsGroup."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def make_volumes(folder: Path, count: int) -> list[dict[str, Any]]:
    """Empty folders for non-root pods, and their volumes."""
    names = [f"local-{number:02}" for number in range(count)]
    for name in names:
        _empty(folder / name)
    return [volume(name, folder / name) for name in names]


def released(volumes: str, folder: Path) -> list[dict[str, Any]]:
    """The volumes of `kubectl get pv -o json` whose claim is gone, emptied, to be made anew."""
    names = [item["metadata"]["name"] for item in json.loads(volumes)["items"] if _is_released(item)]
    for name in names:
        _empty(folder / name)
    return [volume(name, folder / name) for name in names]


def _is_released(item: dict[str, Any]) -> bool:
    ours = item["spec"].get("storageClassName") == STORAGE_CLASS
    return bool(ours and item.get("status", {}).get("phase") == "Released")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # also for pods that set no fsGroup
