"""Scoring: what a candidate is worth, which is better, the measured front, and the limits known before any build."""

from pfpnas_api.scoring.front import FrontPoint, hypervolume, insert_point, pareto_front
from pfpnas_api.scoring.joint import joint_score
from pfpnas_api.scoring.judgement import Judged, Judgement, is_better, judge, order_key
from pfpnas_api.scoring.limits import StaticLimit, StaticLimits, static_limits
from pfpnas_api.scoring.metrics import cost_per_million
from pfpnas_api.scoring.volume import front_point, latency_threshold, reference_latency, relative_hypervolume

__all__ = [
    "FrontPoint",
    "Judged",
    "Judgement",
    "StaticLimit",
    "StaticLimits",
    "cost_per_million",
    "front_point",
    "hypervolume",
    "insert_point",
    "is_better",
    "joint_score",
    "judge",
    "latency_threshold",
    "order_key",
    "pareto_front",
    "reference_latency",
    "relative_hypervolume",
    "static_limits",
]
