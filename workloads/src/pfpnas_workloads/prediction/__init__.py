"""Predictors of what an architecture will measure.

The public accuracy's is fitted once to a supernet (torch, in `fit` and `perceptron`) and asked without torch
(`predictor`). The private ones, of one search's latency and accuracy, are fitted while it runs (`private`).
"""

from pfpnas_workloads.prediction.encoding import encode, width
from pfpnas_workloads.prediction.predictor import AccuracyPredictor, PredictorError

__all__ = ["AccuracyPredictor", "PredictorError", "encode", "width"]
