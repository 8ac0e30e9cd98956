"""onnxruntime in this process. A provider that is configured but not used is an error, never a figure."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from pfpnas_agent.backends.base import Backend, Inputs, Measured, noise
from pfpnas_agent.failures import Refused
from pfpnas_agent.measuring.job import Job
from pfpnas_agent.measuring.memory import PeakMemory
from pfpnas_agent.measuring.timing import alternate, throughput, warm_up, without_collector
from pfpnas_agent.single_file import read_single_file

if TYPE_CHECKING:
    from pfpnas_api.messages import FailureReason

CPU = "CPUExecutionProvider"
THROUGHPUT_BATCH = 32
MOST_PIXELS = 2048
"""Widest and highest input accepted."""

_SIGNS: tuple[tuple[FailureReason, tuple[str, ...]], ...] = (
    ("OutOfMemory", ("bad_alloc", "Failed to allocate memory", "out of memory", "Available memory of")),
    ("ProviderFallback", ("fallback to CPU EP has been explicitly disabled",)),
    ("UnsupportedOperator", ("NOT_IMPLEMENTED", "No Op registered", "is not a registered function/op")),
)
"""What onnxruntime says in its messages and nowhere else; anything else it refuses is the model's fault."""


class OnnxRuntime(Backend):
    """A session of onnxruntime, its threads and providers set explicitly."""

    def __init__(self, job: Job, model: Path) -> None:
        self._runs, self._providers = job.runs, tuple(job.backend["providers"])
        memory = PeakMemory()
        self._session = open_session(model, providers=self._providers, threads=job.runs.threads)
        self.size = input_size(self._session)
        self._memory = memory

    def measure(self, reference: Path | None) -> Measured:  # noqa: D102
        phases: dict[str, float] = {}
        with without_collector():
            candidate = self._prepared(self._session, self._runs.batch_size, phases)
            peak = self._memory.added()
            beside = None
            if reference is not None:
                session = open_session(reference, providers=self._providers, threads=self._runs.threads)
                beside = self._prepared(session, self._runs.batch_size, phases)
            start = time.perf_counter()
            timed = alternate(candidate, beside, runs=self._runs.runs, max_seconds=self._runs.max_seconds)
            phases["timed"] = time.perf_counter() - start
            rate = self._rate(phases) if self._runs.throughput else None
        return Measured(timed.candidate, timed.reference, throughput=rate, peak_memory_bytes=peak, phases=phases)

    def outputs(self, name: str, batches: Iterator[Inputs], *, samples: int) -> Inputs:  # noqa: D102
        with translated():
            found = [self._session.run([name], {"images": batch})[0] for batch in batches]
        joined: Inputs = np.concatenate(found)
        if joined.ndim != 2 or len(joined) != samples or not np.isfinite(joined).all():
            raise Refused("BadModel", f"output {name} is {joined.shape} and must be finite of shape ({samples}, d)")
        return joined

    def _prepared(self, session: Any, batch: int, phases: dict[str, float]) -> Callable[[], object]:
        feed = {"images": noise((batch, 3, *input_size(session)))}
        start = time.perf_counter()
        with translated():
            warm_up(lambda: session.run(["logits"], feed), seconds=self._runs.warmup_seconds)
        phases["warmup"] = phases.get("warmup", 0.0) + time.perf_counter() - start
        return lambda: session.run(["logits"], feed)

    def _rate(self, phases: dict[str, float]) -> float:
        run = self._prepared(self._session, THROUGHPUT_BATCH, phases)
        start = time.perf_counter()
        rate = throughput(run, images=THROUGHPUT_BATCH, max_seconds=self._runs.max_seconds)
        phases["timed"] += time.perf_counter() - start
        return rate


def open_session(model: Path, *, providers: tuple[str, ...], threads: int) -> Any:
    """A session with explicit threads, no spinning, and the providers asked for or none.

    Raises:
        Refused: BadModel, UnsupportedOperator, OutOfMemory, ProviderFallback.
    """
    missing = [name for name in providers if name not in onnxruntime.get_available_providers()]
    if missing:
        raise Refused("ProviderFallback", f"this onnxruntime has no {', '.join(missing)}: install the build that has")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if CPU not in providers:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # Its own format, which it would recognise by itself, is no ONNX and has other ways to name files.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    content = read_single_file(model)
    with translated(), _nowhere():
        session = onnxruntime.InferenceSession(content, options, providers=list(providers))
    unused = [name for name in providers if name not in session.get_providers()]
    if unused:
        raise Refused("ProviderFallback", f"onnxruntime fell back from {', '.join(unused)}: its driver isn't usable")
    return session


def input_size(session: Any) -> tuple[int, int]:
    """(height, width) of a candidate's input, after checking the contract of inputs and outputs.

    Raises:
        Refused: BadModel.
    """
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name for node in session.get_outputs()}
    if set(inputs) != {"images"} or not {"features", "logits"} <= outputs:
        raise Refused("BadModel", f"inputs {sorted(inputs)}, outputs {sorted(outputs)}: needs images; features, logits")
    node = inputs["images"]
    shape = node.shape
    fits = len(shape) == 4 and not isinstance(shape[0], int) and shape[1] == 3
    if node.type != "tensor(float)" or not fits or not all(isinstance(side, int) for side in shape[2:]):
        raise Refused("BadModel", f"images is {node.type} {shape}: needs float32 (any batch, 3, height, width)")
    if not all(1 <= side <= MOST_PIXELS for side in shape[2:]):
        raise Refused("BadModel", f"images is {shape}: at most {MOST_PIXELS} pixels a side")
    return shape[2], shape[3]


@contextmanager
def _nowhere() -> Iterator[None]:
    """An empty current directory: that is where onnxruntime looks for a file that a model named, if one ever could."""
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        yield


@contextmanager
def translated() -> Iterator[None]:
    """Turn onnxruntime's exceptions into reasons of the closed list."""
    try:
        yield
    except MemoryError as e:
        raise Refused("OutOfMemory", "no memory left") from e
    except Exception as e:
        text = str(e)
        for reason, signs in _SIGNS:
            if any(sign in text for sign in signs):
                raise Refused(reason, text) from e
        if type(e).__module__.startswith("onnxruntime"):
            raise Refused("BadModel", text) from e
        raise
