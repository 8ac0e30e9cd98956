"""Training of supernets, their checkpoints, and the evaluation of what is in them.

The workload itself is `training.pretrain`, imported by who runs it: trials need checkpoints only, and no data readers.
"""

from pfpnas_workloads.training.calibration import load_calibration, save_calibration
from pfpnas_workloads.training.checkpoint import CheckpointError, load_supernet, save_supernet
from pfpnas_workloads.training.evaluation import accuracy, evaluate

__all__ = [
    "CheckpointError",
    "accuracy",
    "evaluate",
    "load_calibration",
    "load_supernet",
    "save_calibration",
    "save_supernet",
]
