"""The bus: Redis streams between operator, workloads and agents.

The custom resources are the record and Redis is only the road: losing all of it costs time, never a result.
"""

from pfpnas_api.bus.address import with_login
from pfpnas_api.bus.agent import AgentBus, BlobMissing, Claim, GroupMissing
from pfpnas_api.bus.connection import BusError, check, connect, patiently, redacted
from pfpnas_api.bus.names import AgentKeys
from pfpnas_api.bus.operator import OperatorBus, Queued, Received
from pfpnas_api.bus.workload import BuildClaim, TunerBus, WorkerBus, WorkloadBus

__all__ = [
    "AgentBus",
    "AgentKeys",
    "BlobMissing",
    "BuildClaim",
    "BusError",
    "Claim",
    "GroupMissing",
    "OperatorBus",
    "Queued",
    "Received",
    "TunerBus",
    "WorkerBus",
    "WorkloadBus",
    "check",
    "connect",
    "patiently",
    "redacted",
    "with_login",
]
