"""Candidates and reference models as files: fetched once, verified by digest, a bounded number of them kept."""

import hashlib
import os
from pathlib import Path

from pfpnas_agent.failures import Refused
from pfpnas_agent.single_file import refuse_other_files
from pfpnas_api.artifacts import write_atomically
from pfpnas_api.bus import AgentBus
from pfpnas_api.messages import CHUNK_BYTES, ModelRef

MOST_MODELS = 8
"""Kept on disk: the reference of an experiment or two, and the latest candidates."""


class ModelCache:
    """Model files by digest."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root, self._max_bytes = root, max_bytes

    def path(self, model: ModelRef, bus: AgentBus) -> Path:
        """The verified file of a model, from disk or from Redis.

        Raises:
            Refused: BadModel (too large, another digest, external data).
            BlobMissing: a chunk isn't in Redis.
        """
        path = self._root / f"{model.sha256}.onnx"
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256:
            os.utime(path)
            return path
        write_atomically(path, self._fetched(model, bus))
        self._prune()
        return path

    def _fetched(self, model: ModelRef, bus: AgentBus) -> bytes:
        if model.size > self._max_bytes:
            raise Refused("BadModel", f"{model.size} bytes; limits.maxModelSize allows {self._max_bytes}")
        if model.chunks != -(-model.size // CHUNK_BYTES):
            raise Refused("BadModel", f"{model.size} bytes in {model.chunks} chunks don't fit together")
        content = bus.fetch(model)
        if len(content) != model.size or hashlib.sha256(content).hexdigest() != model.sha256:
            raise Refused("BadModel", "the bytes in Redis have another size or digest than the task says")
        refuse_other_files(content)
        return content

    def _prune(self) -> None:
        kept = sorted(self._root.glob("*.onnx"), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[:-MOST_MODELS]:
            old.unlink(missing_ok=True)
