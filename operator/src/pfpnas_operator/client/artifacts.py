"""The artifact store of a cluster as its users reach it from outside, with no more rights than their own."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kubernetes import client

from pfpnas_api.artifacts import ArtifactStore, open_store
from pfpnas_api.artifacts.http import HttpStore
from pfpnas_api.jobs import KEY_ADDRESS, KEY_TOKEN, secret_name
from pfpnas_operator.client.cluster import TIMEOUT, Cluster, ClusterError, NotThere, asking
from pfpnas_operator.client.forward import dial_pod, forwarded_pool, ready_pod

PATIENCE_SECONDS: Final = 15.0
"""A person waits."""

SERVICE: Final = "pfpnas-artifacts"
"""Of the store, where an owner's Secret doesn't say its address."""


@dataclass(frozen=True)
class Access:
    """What an experiment's own pods go to the store with.

    Attributes:
        token: Of the experiment.
        address: Of the store, as a pod reaches it; None if nobody has said it.
    """

    token: str | None
    address: str | None


def read_access(cluster: Cluster, namespace: str, *, experiment: str) -> Access:
    """What the experiment's Secret says, by the user's own right to read it.

    Raises:
        ClusterError: it isn't there, or may not be read.
    """
    name = secret_name(experiment, kind="NASExperiment")
    try:
        with asking(cluster, f"read Secret {namespace}/{name}, which holds the token of the artifact store"):
            secret = client.CoreV1Api(cluster.api).read_namespaced_secret(name, namespace, _request_timeout=TIMEOUT)
    except NotThere as e:
        raise ClusterError(f"Secret {namespace}/{name} isn't there: does the operator run? It makes it anew") from e
    data = {key: b64decode(value).decode() for key, value in (secret.data or {}).items()}
    return Access(token=data.get(KEY_TOKEN), address=data.get(KEY_ADDRESS))


def reach_store(cluster: Cluster, access: Access, *, operator_namespace: str) -> ArtifactStore:
    """The store: one inside the cluster through the API server, any other one directly.

    Args:
        cluster: Where it is, if it is inside.
        access: What the experiment's Secret says.
        operator_namespace: Where the store is if the Secret doesn't say it.

    Raises:
        ClusterError: the way there can't be found.
        ArtifactError: an address that can't be used.
    """
    place = place_inside(access.address or f"http://{SERVICE}.{operator_namespace}.svc")
    if place is None:
        return open_store(str(access.address), access.token, patience_seconds=PATIENCE_SECONDS)
    service, namespace = place
    pod, port = ready_pod(cluster, namespace, service=service)
    pool = forwarded_pool(lambda: dial_pod(cluster, namespace, pod=pod, port=port))
    address = f"http://{service}.{namespace}.svc"
    return HttpStore(address, token=access.token, patience_seconds=PATIENCE_SECONDS, pool=pool)


def place_inside(address: str) -> tuple[str, str] | None:
    """Service and namespace of an address that only the cluster knows, such as ``http://NAME.NAMESPACE.svc:8080``."""
    parts = urlsplit(address)
    labels = (parts.hostname or "").split(".")
    if parts.scheme == "http" and len(labels) >= 3 and labels[2] == "svc":
        return labels[0], labels[1]
    return None
