"""Accuracy predictors: what the tuner asks (numpy only), and how they are fitted (torch, in `fit` and `perceptron`)."""

from pfpnas_workloads.prediction.encoding import encode, width
from pfpnas_workloads.prediction.predictor import AccuracyPredictor, PredictorError

__all__ = ["AccuracyPredictor", "PredictorError", "encode", "width"]
