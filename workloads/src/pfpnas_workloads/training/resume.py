"""Checkpoints of a training in progress: everything the next step depends on."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pfpnas_api.artifacts import ArtifactError, ArtifactStore
from pfpnas_api.kinds.supernet import SupernetSpec
from pfpnas_workloads.metadata import ContainerError, pack, unpack
from pfpnas_workloads.runtime import logger
from pfpnas_workloads.training.checkpoint import weights_of
from pfpnas_workloads.training.trainer import Trainer

_WEIGHT, _MOMENTUM = "weight.", "momentum."


class Bookmark:
    """The one checkpoint in progress of a job, ``refs/<uid>.checkpoint.json`` and the artifact it names.

    The artifact comes first, then the reference, then the old artifact goes: at any moment a whole checkpoint is
    there. One that is damaged or belongs to another specification is passed over.

    Args:
        store: Where it is kept.
        uid: Of the job.
        spec: What is trained.
    """

    def __init__(self, store: ArtifactStore, uid: str, spec: SupernetSpec) -> None:
        self._store, self._name = store, f"{uid}.checkpoint"
        self._fingerprint = _fingerprint(spec)

    def save(self, trainer: Trainer) -> None:
        """Keep the state of `trainer` in place of the one before."""
        old = self._digest()
        artifact = self._store.put(_encode(trainer, self._fingerprint))
        self._store.write_ref(self._name, {"sha256": artifact.sha256, "step": trainer.step})
        if old is not None and old != artifact.sha256:
            self._store.release(old)

    def restore(self, trainer: Trainer) -> bool:
        """Bring `trainer` to the state kept last; False if there is none."""
        # One reads for all: ranks of which only some found it would train at different steps.
        content = trainer.ranks.from_leading(self._read() if trainer.ranks.leading else None)
        if content is None:
            return False
        _decode(trainer, unpack(content), load(content))
        return True

    def _read(self) -> bytes | None:
        """The checkpoint kept last, if it is whole and of this specification."""
        digest = self._digest()
        if digest is None:
            return None
        try:
            content = self._store.get(digest)
            record = unpack(content)
            load(content)
        except (ArtifactError, ContainerError, SafetensorError) as e:
            logger.warning("the checkpoint in progress is lost, the training begins anew: %s", e)
            return None
        return content if record.get("fingerprint") == self._fingerprint else None

    def remove(self) -> None:
        """Forget it: the training has ended."""
        digest = self._digest()
        if digest is not None:  # the reference goes last: whoever is killed in between finds the artifact again
            self._store.release(digest)
        self._store.delete_ref(self._name)

    def _digest(self) -> str | None:
        try:
            value = (self._store.read_ref(self._name) or {}).get("sha256")
        except ArtifactError as e:
            logger.warning("the reference to the checkpoint in progress is lost: %s", e)
            return None
        return value if isinstance(value, str) else None


def _fingerprint(spec: SupernetSpec) -> str:
    """A digest of all that decides how a training goes; not of where it runs, how often it saves, or who shares it."""
    parts = {name: part.document() for name, part in (("space", spec.search_space), ("dataset", spec.dataset))}
    training = spec.training.document()
    parts["training"] = {name: training[name] for name in training.keys() - {"workers", "checkpointEvery"}}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _encode(trainer: Trainer, fingerprint: str) -> bytes:
    tensors = {f"{_WEIGHT}{name}": tensor for name, tensor in weights_of(trainer.supernet).items()}
    for name, parameter in trainer.supernet.named_parameters():
        momentum = trainer.optimiser.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[f"{_MOMENTUM}{name}"] = momentum.detach().cpu().contiguous()
    record = {"fingerprint": fingerprint, "step": trainer.step, "scaler": trainer.scaler.state_dict()}
    return save(tensors, metadata=pack(record))


def _decode(trainer: Trainer, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    weights = {name.removeprefix(_WEIGHT): tensor for name, tensor in tensors.items() if name.startswith(_WEIGHT)}
    trainer.supernet.load_state_dict(weights)
    for name, parameter in trainer.supernet.named_parameters():
        momentum = tensors.get(f"{_MOMENTUM}{name}")
        if momentum is not None:
            kept = torch.empty_like(parameter, requires_grad=False).copy_(momentum)
            trainer.optimiser.state[parameter]["momentum_buffer"] = kept
    trainer.scaler.load_state_dict(dict(record["scaler"]))
    trainer.step = int(record["step"])
