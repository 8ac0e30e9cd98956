"""Latency and accuracy of candidates on this machine, by the agent's own measuring process."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pfpnas_agent.measuring.job import ANSWER_FILE, Job, Runs
from pfpnas_agent.processes import run_group

DIGITS = Path(__file__).parents[2] / "examples/digits/digits"
DIGITS_DATASET = {
    "format": "IDX",
    "images": str(DIGITS / "images-idx3-ubyte"),
    "labels": str(DIGITS / "labels-idx1-ubyte"),
    "classes": 10,
    "validation": None,
    "test": None,
}
"""The quick start's private data, as the agent's configuration has them."""

RUNS = Runs(
    batch_size=1,
    threads=1,
    runs=64,
    warmup_seconds=0.5,
    max_seconds=30.0,
    throughput=False,
    skip_accuracy_over_ms=None,
    skip_accuracy_over_relative=None,
)
"""As an experiment measures that says nothing else."""

ALWAYS_SKIPPED = 1e-9
"""A multiple of the reference above which every candidate is: its accuracy is skipped."""

DEADLINE_SECONDS = 120.0


class MeasuringFailed(Exception):  # noqa: N818 - reads as the state it names
    """The measuring process gave no figures."""


class Bench:
    """Measures candidates beside one reference model, each in a fresh process, one after the other.

    Args:
        folder: Keeps the images that the agent decodes.
        reference: ONNX bytes of the reference model.
    """

    def __init__(self, folder: Path, reference: bytes) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._reference = folder / "reference.onnx"
        self._reference.write_bytes(reference)

    def measure(self, model: bytes, *, accuracy: bool) -> dict[str, Any]:
        """The agent's answer: `latency` (p50, reference, …) and, if wanted, `accuracy` on the validation split.

        Raises:
            MeasuringFailed: no figures, and why.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            directory = Path(name).absolute()
            candidate = directory / "candidate.onnx"
            candidate.write_bytes(model)
            self._job(candidate, accuracy=accuracy).write(directory)
            return _answer(directory)

    def _job(self, candidate: Path, *, accuracy: bool) -> Job:
        runs = RUNS if accuracy else Runs(**{**vars(RUNS), "skip_accuracy_over_relative": ALWAYS_SKIPPED})
        return Job(
            runs=runs,
            head="Fitted",
            split="Validation",
            alias="digits",
            dataset=DIGITS_DATASET,
            cache=str((self.folder / "images").absolute()),
            backend={"type": "onnxruntime", "providers": ["CPUExecutionProvider"]},
            model=str(candidate),
            reference=str(self._reference.absolute()),
            deadline_seconds=DEADLINE_SECONDS,
            memory_bytes=None,
        )


def _answer(directory: Path) -> dict[str, Any]:
    ended = run_group(
        [sys.executable, "-P", "-m", "pfpnas_agent.measuring"],
        directory,
        deadline_seconds=DEADLINE_SECONDS,
        environment={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        lifeline=True,
    )
    path = directory / ANSWER_FILE
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "latency" not in answer:
        raise MeasuringFailed(f"status {ended.status}: {answer.get('message') or ended.output}")
    return answer
