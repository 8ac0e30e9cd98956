"""Candidates: a slice of the supernet, recalibrated, as an ONNX file in the store and on the road to the agents."""

from pfpnas_workloads.trial.build import Builder
from pfpnas_workloads.trial.single import publish_trial, run_trial
from pfpnas_workloads.trial.worker import run_worker

__all__ = ["Builder", "publish_trial", "run_trial", "run_worker"]
