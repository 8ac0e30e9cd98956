"""Training of supernets, their checkpoints, and the evaluation of what is in them."""

from pfpnas_workloads.training.calibration import load_calibration, save_calibration
from pfpnas_workloads.training.checkpoint import CheckpointError, load_supernet, save_supernet
from pfpnas_workloads.training.evaluation import accuracy, evaluate
from pfpnas_workloads.training.pretrain import run_pretrain

__all__ = [
    "CheckpointError",
    "accuracy",
    "evaluate",
    "load_calibration",
    "load_supernet",
    "run_pretrain",
    "save_calibration",
    "save_supernet",
]
