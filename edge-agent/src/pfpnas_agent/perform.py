"""From a task to its result: resolve the aliases, fetch the models, run the measuring process, check what it says."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pfpnas_agent import logs
from pfpnas_agent.config import ENV_REDIS, AgentConfig
from pfpnas_agent.failures import Refused
from pfpnas_agent.measuring.job import ANSWER_FILE, GROUP_FILE, Job, Runs
from pfpnas_agent.models import ModelCache
from pfpnas_agent.processes import Ended, kill_group, run_group
from pfpnas_agent.state import StateDir
from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.bus import AgentBus, BlobMissing
from pfpnas_api.messages import FailureReason, MeasureResult, MeasureTask, ModelRef, summary

_FIGURES = ("latency", "accuracy", "accuracy_skipped", "throughput", "peak_memory_bytes", "energy_millijoules")
"""What may be taken over from the measuring process' answer into the result; the rest is for the local log."""

_KILLED_BY_SYSTEM = -9


class Performer:
    """Measures tasks, one after the other."""

    def __init__(self, config: AgentConfig, state: StateDir) -> None:
        self._config, self._state = config, state
        self._models = ModelCache(state.models, max_bytes=config.limits.max_model_bytes)

    def serves(self, task: MeasureTask) -> bool:
        """Whether the owner lends this device to the task's namespace."""
        return task.namespace in self._config.namespaces

    def prepare(self) -> None:
        """Look at every data set, so that no task's deadline passes over images that were never decoded.

        What an interruption leaves undone goes on the next time; data that can't be used fail the tasks that name them.
        """
        from pfpnas_agent.datasets import DataError, prepare  # noqa: PLC0415 - numpy isn't needed by what only asks

        for alias, dataset in self._config.datasets.items():
            try:
                data = prepare(
                    alias, dataset.model_dump(mode="json"), self._state.cache, progress=partial(_prepared, alias)
                )
            except DataError as e:
                logs.warning("data set can't be used", dataset=alias, detail=str(e))
            else:
                logs.info("data set is ready", dataset=alias, images=len(data.labels))

    def perform(self, task: MeasureTask, bus: AgentBus) -> MeasureResult:
        """The result of a task: figures, or a reason of the closed list. The deadline starts here."""
        started = time.monotonic()
        try:
            answer = self._measured(task, bus, started)
            result = _result(task, answer, seconds=time.monotonic() - started)
        except (OSError, ArtifactError) as e:
            # A full disk, say: nothing that the candidate did, and it may pass.
            logs.warning("this device can't work", task=task.task_id, detail=str(e))
            seconds = time.monotonic() - started
            return MeasureResult(task_id=task.task_id, failure="DeviceUnavailable", seconds=seconds)
        except Refused as e:
            logs.warning("not measured", task=task.task_id, reason=e.reason, detail=str(e))
            return MeasureResult(task_id=task.task_id, failure=e.reason, seconds=time.monotonic() - started)
        logs.info("measured", task=task.task_id, seconds=round(result.seconds, 3), phases=answer["phases"])
        return result

    def _measured(self, task: MeasureTask, bus: AgentBus, started: float) -> dict[str, Any]:
        config = self._config
        if not self.serves(task):
            raise Refused("NamespaceRefused", f"namespace {task.namespace!r} is not in the config's namespaces")
        backend, dataset = config.backend(task.backend), config.datasets.get(task.dataset)
        if backend is None:
            raise Refused("UnknownBackend", f"no backend {task.backend!r} in the config")
        if dataset is None:
            raise Refused("UnknownDataset", f"no data set {task.dataset!r} in the config")
        deadline = started + min(task.measurement.deadline_seconds, config.limits.max_seconds)
        model, reference = (self._fetched(part, bus) for part in (task.model, task.reference))
        job = Job(
            runs=_runs(task),
            head=task.head,
            split=task.split,
            alias=task.dataset,
            dataset=dataset.model_dump(mode="json"),
            cache=str(self._state.cache.absolute()),
            backend=backend.model_dump(mode="json"),
            model=model,
            reference=reference,
            deadline_seconds=deadline - time.monotonic(),
            memory_bytes=config.limits.memory_bytes,
        )
        return _run(job, self._state.work, task)

    def _fetched(self, model: ModelRef | None, bus: AgentBus) -> str | None:
        if model is None:
            return None
        try:
            return str(self._models.path(model, bus).absolute())
        except BlobMissing as e:
            raise Refused("BlobMissing", str(e)) from e


def _prepared(alias: str, done: int, total: int) -> None:
    logs.info("preparing data set", dataset=alias, images=done, of=total)


def _result(task: MeasureTask, answer: dict[str, Any], *, seconds: float) -> MeasureResult:
    figures = {name: answer[name] for name in _FIGURES if answer.get(name) is not None}
    try:
        return MeasureResult(task_id=task.task_id, seconds=seconds, **figures)
    except ValidationError as e:
        raise Refused("BackendFailed", f"impossible figures: {summary(e)}") from e


def _runs(task: MeasureTask) -> Runs:
    asked = task.measurement
    return Runs(
        batch_size=asked.batch_size,
        threads=asked.threads,
        runs=asked.runs,
        warmup_seconds=asked.warmup_seconds,
        max_seconds=asked.max_seconds,
        throughput=asked.throughput,
        skip_accuracy_over_ms=asked.skip_accuracy_over_ms,
        skip_accuracy_over_relative=asked.skip_accuracy_over_relative,
    )


def _run(job: Job, work: Path, task: MeasureTask) -> dict[str, Any]:
    """Run the measuring process on a job and read its answer."""
    with _directory(work) as directory:
        job.write(directory)
        try:
            ended = run_group(
                # -P: nothing that lies in the job's directory is ever imported.
                [sys.executable, "-P", "-m", "pfpnas_agent.measuring"],
                directory,
                deadline_seconds=max(0.0, job.deadline_seconds),
                environment=_environment(job.runs.threads, directory),
                lifeline=True,
            )
        finally:
            _kill_command(directory / GROUP_FILE)
        if ended.output:
            logs.info("measuring process printed", task=task.task_id, output=ended.output)
        return _answer(ended, directory / ANSWER_FILE)


def _environment(threads: int, directory: Path) -> dict[str, str]:
    """This process', without Redis' password; the head is fitted with no more threads than the task has.

    What it keeps in passing goes with its directory, also when it is killed.
    """
    kept = {name: value for name, value in os.environ.items() if name != ENV_REDIS}
    return {**kept, "TMPDIR": str(directory), "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def _answer(ended: Ended, path: Path) -> dict[str, Any]:
    if ended.status is None:
        raise Refused("MeasurementTimeout", "the deadline passed; the measuring process was killed")
    if ended.status != 0 or not path.exists():
        reason: FailureReason = "OutOfMemory" if ended.status == _KILLED_BY_SYSTEM else "BackendFailed"
        raise Refused(reason, f"the measuring process ended with status {ended.status}")
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "failure" in answer:
        raise Refused(answer["failure"], answer["message"])
    return answer


@contextmanager
def _directory(work: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(dir=work))
    try:
        yield directory.absolute()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _kill_command(note: Path) -> None:
    """A measuring process that was killed couldn't end its command."""
    if note.exists():
        kill_group(int(note.read_text(encoding="ascii")))
