"""Private accuracy and latency of a trained supernet's subnets, measured when first asked for and kept on disk."""

import hashlib
import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pfpnas_agent.hardware import hardware
from pfpnas_api.messages import BuildRequest
from pfpnas_api.spaces import Architecture
from support.code_digest import code_digest
from support.measured_here import RUNS, Bench
from support.trained_supernet import Tell, TrainedSupernet

LATENCIES = 2
"""Measurements of a subnet's latency, each in a process of its own: a search draws one of them, so that what it sees is
as noisy as a device."""


MEASURING = (
    "edge-agent/src/pfpnas_agent/measuring",
    "edge-agent/src/pfpnas_agent/backends",
    "edge-agent/src/pfpnas_agent/datasets",
    "edge-agent/src/pfpnas_agent/heads",
    "edge-agent/src/pfpnas_agent/processes.py",
    "workloads/src/pfpnas_workloads/nets",
    "workloads/src/pfpnas_workloads/trial/build.py",
    "workloads/src/pfpnas_workloads/trial/sources.py",
    "tests/support/measured_here.py",
    "tests/support/subnet_table.py",
)
"""Code that a subnet's figures may depend on."""


@dataclass(frozen=True)
class Subnet:
    """What was measured of one subnet.

    Attributes:
        accuracy: On the private validation split, by the agent's fitted head.
        samples: Images it was scored on.
        relatives: Latency as a multiple of the smallest subnet's, once a measurement.
        build_seconds: Slice, recalibration, ONNX.
        whole_seconds: A measurement with accuracy, the process included.
        latency_seconds: The same without accuracy.
    """

    accuracy: float
    samples: int
    relatives: tuple[float, ...]
    build_seconds: float
    whole_seconds: float
    latency_seconds: float

    def drawn(self, seed: int, architecture: str) -> float:
        """One of the measured latencies, the same for the same seed and architecture."""
        digest = hashlib.sha256(f"{seed}:{architecture}".encode()).digest()
        return self.relatives[digest[0] % len(self.relatives)]


@dataclass
class SubnetTable:
    """Subnets by architecture, as far as they were asked for.

    A line of JSON a subnet, appended when it is measured; a last line that a kill cut off is passed over.

    Attributes:
        supernet: Whose subnets.
        folder: Where the table lies; its file's name holds checkpoint, processor and settings of a measurement.
        tell: Says to a person that some subnets were measured by other code. They are used nevertheless: measuring all
            takes long, and most changes of that code change no figure; whether this one does, a person knows.
        measured_now: Subnets measured by this process.
        seconds_now: Spent on them.
    """

    supernet: TrainedSupernet
    folder: Path
    tell: Tell
    measured_now: int = 0
    seconds_now: float = 0.0
    _known: dict[str, Subnet] = field(default_factory=dict)
    _builder: "_Builder | None" = None
    _by_other_code: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._code = code_digest(MEASURING)
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._read(line)
            if text and not text.endswith("\n"):
                self.path.write_text(text + "\n", encoding="utf-8")
        if self._by_other_code:
            self.tell(
                f"{self._by_other_code} of {len(self)} subnets in {self.path} were measured by other code than now's, "
                "or before that was noted; name another --cache to measure all anew"
            )

    @property
    def key(self) -> str:
        """Of checkpoint, processor and settings of a measurement."""
        parts = [self.supernet.checkpoint.sha256, hardware().cpu, LATENCIES, asdict(RUNS)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"subnets-{self.key}.jsonl"

    def __len__(self) -> int:
        return len(self._known)

    @property
    def noise(self) -> float | None:
        """Mean absolute percentage error of the latency that a perfect predictor would show; None of nothing.

        Two measurements of one net differ by √2 times what each of them differs from the truth.
        """
        pairs = [2 * abs(a - b) / (a + b) for a, b in (subnet.relatives[:2] for subnet in self._known.values())]
        return statistics.mean(pairs) / 2**0.5 if pairs else None

    def of(self, architecture: Architecture) -> Subnet:
        """What was measured of an architecture, now if never before."""
        if architecture.id not in self._known:
            started = time.perf_counter()
            if self._builder is None:
                self._builder = _Builder(self.supernet, self.folder / "bench")
            self._known[architecture.id] = subnet = self._builder.measured(architecture)
            self._append({"architecture": architecture.id, "code": self._code, **asdict(subnet)})
            self.measured_now += 1
            self.seconds_now += time.perf_counter() - started
        return self._known[architecture.id]

    def _append(self, line: dict[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self, line: str) -> None:
        try:
            fields = json.loads(line)
            architecture, code = fields.pop("architecture"), fields.pop("code", None)
            self._known[architecture] = Subnet(**{**fields, "relatives": tuple(fields["relatives"])})
        except (ValueError, KeyError, TypeError):
            return
        self._by_other_code += code != self._code


class _Builder:
    """Builds candidates as the trial worker does, and measures them as the agent does."""

    def __init__(self, supernet: TrainedSupernet, folder: Path) -> None:
        from pfpnas_workloads.trial.build import Builder  # torch: only where something is to be measured

        self._supernet, self._builder = supernet, Builder(supernet.store)
        self._bench = Bench(folder, self._model(supernet.space.minimum()))

    def measured(self, architecture: Architecture) -> Subnet:
        started = time.perf_counter()
        model = self._model(architecture)
        built = time.perf_counter()
        whole = self._bench.measure(model, accuracy=True)
        done = time.perf_counter()
        again = [self._bench.measure(model, accuracy=False) for _ in range(LATENCIES - 1)]
        ended = time.perf_counter()
        answers = [answer["latency"] for answer in (whole, *again)]
        return Subnet(
            accuracy=whole["accuracy"]["value"],
            samples=whole["accuracy"]["samples"],
            relatives=tuple(latency["p50"] / latency["reference"] for latency in answers),
            build_seconds=built - started,
            whole_seconds=done - built,
            latency_seconds=(ended - done) / (LATENCIES - 1),
        )

    def _model(self, architecture: Architecture) -> bytes:
        supernet = self._supernet
        request = BuildRequest(
            uid="table",
            pool="bench",
            architecture=architecture.id,
            checkpoint=supernet.checkpoint,
            calibration=supernet.calibration,
        )
        artifact = self._builder.build(request).artifacts["model"]
        content = supernet.store.get(artifact.sha256)
        supernet.store.delete(artifact.sha256)  # thousands of them would fill the disk
        return content
