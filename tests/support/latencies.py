"""Latencies of nets with random weights on this machine, in passes that lie apart in time, kept on disk."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from pfpnas_agent.hardware import hardware
from pfpnas_api.spaces import Architecture, SearchSpace
from pfpnas_workloads.nets import Supernet, extract, to_onnx
from support.measured_here import RUNS, Bench

TOLD_EVERY = 25


class LatencyTable:
    """Latencies as multiples of the space's smallest net.

    Args:
        space: Whose nets.
        folder: Where they are kept; the file's name holds space, processor and way of measuring.
        tell: Says to a person how far it is.
    """

    def __init__(self, space: SearchSpace, folder: Path, *, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._supernet = Supernet(space, generator=torch.Generator().manual_seed(0)).eval()
        self._bench = Bench(folder / "bench", self._model(space.minimum()))
        parts = [asdict(space), hardware().cpu, asdict(RUNS)]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        self._path = folder / f"latencies-{key}.json"
        self._known: dict[str, float] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def passed(self, architectures: Sequence[Architecture], number: int) -> list[float]:
        """The latencies measured in one pass, in order; what an earlier command measured is not measured again."""
        found = []
        for position, architecture in enumerate(architectures, start=1):
            key = f"{number} {architecture.id}"
            if key not in self._known:
                self._known[key] = self._measured(architecture)
                self._save()
                if position % TOLD_EVERY == 0:
                    self._tell(f"pass {number + 1}: {position} of {len(architectures)} nets")
            found.append(self._known[key])
        return found

    def _measured(self, architecture: Architecture) -> float:
        latency = self._bench.measure(self._model(architecture), accuracy=False)["latency"]
        relative: float = latency["p50"] / latency["reference"]
        return relative

    def _model(self, architecture: Architecture) -> bytes:
        return to_onnx(extract(self._supernet, architecture))

    def _save(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._known))
        temporary.replace(self._path)
