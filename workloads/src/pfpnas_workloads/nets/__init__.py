"""Supernets, the static nets in them, and their ONNX files."""

from pfpnas_workloads.nets.common import DEFAULT_MEAN, DEFAULT_STD
from pfpnas_workloads.nets.export import to_onnx
from pfpnas_workloads.nets.extract import arrays, extract
from pfpnas_workloads.nets.recalibrate import recalibrate
from pfpnas_workloads.nets.static import StaticNet
from pfpnas_workloads.nets.supernet import Supernet

__all__ = [
    "DEFAULT_MEAN",
    "DEFAULT_STD",
    "StaticNet",
    "Supernet",
    "arrays",
    "extract",
    "recalibrate",
    "to_onnx",
]
