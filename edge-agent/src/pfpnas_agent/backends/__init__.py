"""How a candidate is run: one backend a file, behind one small interface."""

from __future__ import annotations

from pathlib import Path

from pfpnas_agent.backends.base import Backend, Measured
from pfpnas_agent.measuring.job import Job


def open_backend(job: Job, model: Path, directory: Path) -> Backend:
    """The backend that a job names, with its candidate loaded.

    Raises:
        Refused: BadModel, UnsupportedOperator, ProviderFallback.
    """
    if job.backend["type"] == "command":
        from pfpnas_agent.backends.command import CommandRunner  # noqa: PLC0415 - each backend imports its own

        return CommandRunner(job, model, directory)
    from pfpnas_agent.backends.onnx_runtime import OnnxRuntime  # noqa: PLC0415

    return OnnxRuntime(job, model)


__all__ = ["Backend", "Measured", "open_backend"]
