"""What every driver of the decisions shares, whether documents lie in a folder or in an API server.

`Observer` looks, `pfpnas_operator.reconcile` decides, `Executor` carries out. What differs between drivers stands
behind the protocols of `protocols`.
"""

from pfpnas_operator.driving.executor import Executor
from pfpnas_operator.driving.hearing import Hearing
from pfpnas_operator.driving.observer import Observer, StoredManifests, left_behind, supernet_observed
from pfpnas_operator.driving.protocols import Jobs, Manifests, Record
from pfpnas_operator.driving.records import Records
from pfpnas_operator.driving.road import Road

__all__ = [
    "Executor",
    "Hearing",
    "Jobs",
    "Manifests",
    "Observer",
    "Record",
    "Records",
    "Road",
    "StoredManifests",
    "left_behind",
    "supernet_observed",
]
