"""`pfpnas run` on the device whose answers are known: nothing to train, and the same figures in every run."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pfpnas_agent.datasets import splits
from pfpnas_operator.local.folder import RunFolder
from support import known_answer_device
from support.agent_data import idx_bytes
from support.known_answer import ENUMERABLE
from support.known_answer_device import secrets
from support.ready_supernet import ready_supernet
from support.run_process import Place, Whole, merged

PICTURES = 1500
BACKEND = "known"

SEARCH: dict[str, Any] = {
    "spec": {
        # The device tells what it knows: neither a warm-up nor more runs would change it.
        "target": {"backend": BACKEND, "head": "Supernet", "measurement": {"warmupSeconds": "0"}},
        "objective": {"constraints": [{"metric": "Latency", "maxRelative": "1.7"}]},
    }
}


def command(memory: Path, *, noise: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """The backend as the agent's file names it."""
    memory.mkdir(parents=True, exist_ok=True)
    program = str(Path(known_answer_device.__file__))
    return {"type": "command", "argv": [sys.executable, program, "enumerable", str(noise), str(seed), str(memory)]}


def write_secrets(folder: Path) -> dict[str, str]:
    """The pictures that tell their label; returns the paths as the agent's config names them."""
    pictures, labels, _ = secrets(PICTURES)
    paths = {"images": folder / "secrets.idx3", "labels": folder / "secrets.idx1"}
    paths["images"].write_bytes(idx_bytes(pictures))
    paths["labels"].write_bytes(idx_bytes(labels))
    return {name: str(path) for name, path in paths.items()}


def expected_accuracy(share: float, *, split: int = splits.VALIDATION) -> float:
    """What the agent scores for a net that answers this share of all pictures: of those that fell into the split."""
    pictures, _, hardness = secrets(PICTURES)
    mine = [hard for picture, hard in zip(pictures, hardness, strict=True) if splits.split_of(picture) == split]
    return float(sum(hard < share for hard in mine) / len(mine))


def known_place(folder: Path, experiment: Mapping[str, Any] | None = None) -> Place:
    """A search on that device, ready to begin; what hangs on its uid (which trials are measured twice) is fixed too."""
    place = Place(folder, experiment=merged(SEARCH, experiment or {}))
    place.agent["datasets"]["private"] = {"format": "IDX", **write_secrets(folder), "classes": 10}
    place.agent["backends"] = {BACKEND: command(folder / "memory")}
    out = RunFolder(place.out)
    supernet = ready_supernet(out.store, ENUMERABLE)
    place.supernet = {"spec": Whole(supernet.spec.document())}
    place.write()
    out.write_supernet(supernet)
    place.write_experiment(uid="known-answers")
    return place
