"""The command backend: the owner's own program, for accelerators whose tool chain nobody else may see.

It is called as `argv + [directory]`, without a shell, in a cleared environment, with a deadline; its process group is
killed at the end. What it writes is believed only as far as it can be true.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pfpnas_agent.backends.base import Backend, Inputs, Measured
from pfpnas_agent.backends.onnx_runtime import CPU, THROUGHPUT_BATCH, input_size, open_session
from pfpnas_agent.failures import Refused
from pfpnas_agent.measuring.job import GROUP_FILE, Job
from pfpnas_agent.measuring.timing import BLOCK, DROPPED
from pfpnas_agent.processes import Ended, run_group

ANSWER, OUTPUTS, INPUTS = "answer.json", "outputs.npy", "inputs.npy"
MOST_ANSWER_BYTES = 4 * 2**20
MOST_OUTPUT_WIDTH = 65_536
TURNS = 2
"""Calls for the candidate, and for the reference: fewer than the built-in backend's blocks, since each call may have to
compile its model."""
SLACK_SECONDS = 0.5
"""The measuring process ends this long before its own deadline, so that the reason is the command's."""


class CommandRequest(BaseModel):
    """`request.json`. `inputs` and `output` are there when outputs are wanted too."""

    version: Literal[1] = 1
    model: Literal["model.onnx"] = "model.onnx"
    sha256: str
    batch_size: int
    threads: int
    warmup_seconds: float
    runs: int
    max_seconds: float
    inputs: Literal["inputs.npy"] | None = None
    output: Literal["features", "logits"] | None = None
    """Which of the model's outputs belongs into `outputs.npy`."""


class CommandAnswer(BaseModel):
    """`answer.json`, closed: a field that isn't known is a lie or a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    latency_ms: Annotated[
        list[Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1, max_length=100_000)
    ]
    outputs: Literal["outputs.npy"] | None = None
    peak_memory_bytes: Annotated[int, Field(ge=0)] | None = None
    energy_mj: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class CommandRunner(Backend):
    """One candidate through the owner's command."""

    def __init__(self, job: Job, model: Path, directory: Path) -> None:
        self._job, self._model, self._directory = job, model, directory
        self._ends = time.monotonic() + job.deadline_seconds - SLACK_SECONDS
        # The input's size stands in the model; onnxruntime is here anyway, and reads it without running anything.
        self.size = input_size(open_session(model, providers=(CPU,), threads=1))

    def measure(self, reference: Path | None) -> Measured:  # noqa: D102
        start = time.perf_counter()
        candidate, beside = self._in_turns(reference)
        rate = self._throughput() if self._job.runs.throughput else None
        memory = [answer.peak_memory_bytes for answer in candidate if answer.peak_memory_bytes is not None]
        energy = [answer.energy_mj for answer in candidate if answer.energy_mj is not None]
        return Measured(
            _counted(candidate),
            _counted(beside),
            throughput=rate,
            peak_memory_bytes=max(memory, default=None),
            energy_millijoules=float(np.mean(energy)) if energy else None,
            phases={"timed": time.perf_counter() - start},
        )

    def outputs(self, name: str, batches: Iterator[Inputs], *, samples: int) -> Inputs:  # noqa: D102
        place = self._fresh(self._model)
        shape = (samples, 3, *self.size)
        inputs = np.lib.format.open_memmap(place / INPUTS, mode="w+", dtype=np.float32, shape=shape)
        at = 0
        for batch in batches:
            inputs[at : at + len(batch)] = batch
            at += len(batch)
        del inputs
        # One run that nobody looks at: the figures come from the calls without inputs.
        request = self._request(self._model, runs=1, warmup_seconds=0.0)
        answer = self._call(place, request.model_copy(update={"inputs": INPUTS, "output": name}))
        if answer.outputs is None:
            raise Refused("BackendFailed", f"{ANSWER} names no outputs although {INPUTS} was given")
        return _read_outputs(place / OUTPUTS, samples)

    def _in_turns(self, reference: Path | None) -> tuple[list[CommandAnswer], list[CommandAnswer]]:
        """The calls for the candidate and for the reference, alternating, so that drift hits both."""
        runs, models = self._job.runs, [self._model] if reference is None else [self._model, reference]
        share: dict[str, int | float] = {
            "runs": -(-runs.runs // TURNS) + DROPPED,
            "max_seconds": runs.max_seconds / TURNS / len(models),
        }
        answers: list[list[CommandAnswer]] = [[], []]
        for _ in range(TURNS):
            for taken, model in zip(answers, models, strict=False):
                taken.append(self._timed(model, **share))
        return answers[0], answers[1]

    def _throughput(self) -> float:
        answer = self._timed(self._model, batch_size=THROUGHPUT_BATCH, runs=BLOCK + DROPPED)
        return 1e3 * THROUGHPUT_BATCH / float(np.median(_counted([answer])))

    def _timed(self, model: Path, **changes: int | float) -> CommandAnswer:
        request = self._request(model, **changes)
        start = time.monotonic()
        answer = self._call(self._fresh(model), request)
        _check_plausible(answer.latency_ms, request, wall_seconds=time.monotonic() - start)
        return answer

    def _request(self, model: Path, **changes: int | float) -> CommandRequest:
        runs = self._job.runs
        fields: dict[str, int | float] = {
            "batch_size": runs.batch_size,
            "threads": runs.threads,
            "warmup_seconds": runs.warmup_seconds,
            "runs": runs.runs,
            "max_seconds": runs.max_seconds,
        }
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        return CommandRequest.model_validate({"sha256": digest, **fields, **changes})

    def _fresh(self, model: Path) -> Path:
        place = self._directory / "command"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        shutil.copyfile(model, place / "model.onnx")
        return place

    def _call(self, place: Path, request: CommandRequest) -> CommandAnswer:
        (place / "request.json").write_text(request.model_dump_json(exclude_none=True), encoding="utf-8")
        seconds = min(self._job.backend["deadline_seconds"], self._ends - time.monotonic())
        try:
            ended = run_group(
                [*self._job.backend["argv"], str(place)],
                place,
                deadline_seconds=max(0.0, seconds),
                environment={},
                on_start=lambda group: _note(self._directory / GROUP_FILE, group),
            )
        except OSError as e:
            raise Refused("BackendFailed", f"the command can't be started: {e.strerror}") from e
        finally:
            (self._directory / GROUP_FILE).unlink(missing_ok=True)
        print(f"command ended with {ended.status}: {ended.output}", flush=True)
        _check_status(ended)
        return _read_answer(place / ANSWER)


def _counted(answers: list[CommandAnswer]) -> list[float]:
    """The runs that count: of each call all but the first, and one at least."""
    return [run for answer in answers for run in (answer.latency_ms[DROPPED:] or answer.latency_ms[-1:])]


def _note(path: Path, group: int) -> None:
    path.write_text(str(group), encoding="ascii")


def _check_status(ended: Ended) -> None:
    match ended.status:
        case 0:
            return
        case None:
            raise Refused("MeasurementTimeout", "the command passed its deadline")
        case 65:
            raise Refused("BadModel", "the command can't read the model (65)")
        case 69 | 75:
            raise Refused("DeviceUnavailable", f"the command's device is away or busy ({ended.status})")
        case 78:
            raise Refused("UnsupportedOperator", "the command's device lacks an operator (78)")
        case -9:
            raise Refused("OutOfMemory", "the command was killed by the system")
    raise Refused("BackendFailed", f"the command ended with status {ended.status}")


def _check_plausible(latencies: list[float], request: CommandRequest, *, wall_seconds: float) -> None:
    """Runs that took longer than the command itself never happened; fewer than asked need the time to be up."""
    seconds = sum(latencies) / 1e3
    if seconds > wall_seconds:
        raise Refused("BackendFailed", f"runs of {seconds:.3f} s in all, but the command took {wall_seconds:.3f} s")
    if len(latencies) < request.runs and seconds < request.max_seconds / 2:
        raise Refused("BackendFailed", f"{len(latencies)} runs where {request.runs} were asked and time was left")


def _read_plain(path: Path, most_bytes: int) -> bytes:
    """A regular file's bytes: no link to somewhere else, no pipe that never ends, no giant."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise Refused("BackendFailed", f"{path.name} can't be read: {e.strerror}") from e
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
            raise Refused("BackendFailed", f"{path.name} is no plain file of at most {most_bytes} bytes")
        return file.read(most_bytes)


def _read_answer(path: Path) -> CommandAnswer:
    try:
        return CommandAnswer.model_validate_json(_read_plain(path, MOST_ANSWER_BYTES))
    except ValidationError as e:
        detail = e.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, detail["loc"])) or ANSWER
        raise Refused("BackendFailed", f"{ANSWER}: {field}: {detail['msg']}") from e


def _read_outputs(path: Path, samples: int) -> Inputs:
    content = io.BytesIO(_read_plain(path, 4096 + 4 * samples * MOST_OUTPUT_WIDTH))
    try:
        array = np.load(content, allow_pickle=False)
    except (ValueError, EOFError, OSError) as e:
        raise Refused("BackendFailed", f"{OUTPUTS} is no .npy file") from e
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != samples or not np.isfinite(array).all():
        raise Refused("BackendFailed", f"{OUTPUTS} is {array.dtype} {array.shape}: needs finite float32 ({samples}, d)")
    found: Inputs = array
    return found
