"""Decisions: `reconcile_supernet` and `reconcile_experiment` map what is observed, and the time, to a plan.

Nothing here does I/O, reads a clock or draws a random number, and nothing here knows whether a Kubernetes API server or
a folder of documents holds the resources.
"""

from pfpnas_operator.reconcile.away import reconcile_without
from pfpnas_operator.reconcile.experiment import reconcile_experiment
from pfpnas_operator.reconcile.observed import (
    BadManifest,
    ExperimentObserved,
    JobView,
    Lease,
    LogView,
    ResultView,
    SupernetObserved,
    TrialsRefused,
)
from pfpnas_operator.reconcile.plan import Event, JobRequest, Plan
from pfpnas_operator.reconcile.summary import Summary
from pfpnas_operator.reconcile.supernet import reconcile_supernet

__all__ = [
    "BadManifest",
    "Event",
    "ExperimentObserved",
    "JobRequest",
    "JobView",
    "Lease",
    "LogView",
    "Plan",
    "ResultView",
    "Summary",
    "SupernetObserved",
    "TrialsRefused",
    "reconcile_experiment",
    "reconcile_supernet",
    "reconcile_without",
]
