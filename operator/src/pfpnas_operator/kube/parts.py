"""What every keeper works with, made once at the start."""

from concurrent.futures import Executor
from dataclasses import dataclass

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.bus import OperatorBus, WorkloadBus
from pfpnas_api.bus.connection import Client
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.kube.announcing import Announcer
from pfpnas_operator.kube.api import Api
from pfpnas_operator.kube.config import Config
from pfpnas_operator.kube.rights import Rights


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The operator's connections.

    Attributes:
        config: Its configuration.
        api: The Kubernetes API.
        redis: The client behind the buses.
        bus: The operator's side of Redis.
        blobs: By which lost candidates are pushed again.
        store: Artifacts.
        users: Of Redis.
        rights: What owners' pods get to go to Redis and to the store.
        announcer: Posts Events.
        calls: Threads for requests that a cycle makes side by side.
    """

    config: Config
    api: Api
    redis: Client
    bus: OperatorBus
    blobs: WorkloadBus
    store: ArtifactStore
    users: RedisUsers
    rights: Rights
    announcer: Announcer
    calls: Executor
