"""HTTP to a pod through the API server: no Service is made public for it, and no other port is opened."""

import socket
from collections.abc import Callable
from typing import Any, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward
from urllib3 import HTTPConnectionPool, Timeout
from urllib3.connection import HTTPConnection

from pfpnas_operator.client.cluster import TIMEOUT, Cluster, ClusterError, asking

Dial = Callable[[], socket.socket]


def forwarded_pool(dial: Dial) -> HTTPConnectionPool:
    """Connections that `dial` makes, as urllib3 uses them.

    Args:
        dial: Opens one.
    """

    class Connection(HTTPConnection):
        def connect(self) -> None:
            self.sock = dial()
            self.sock.settimeout(TIMEOUT[1])

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    return Pool("forwarded", maxsize=1, timeout=Timeout(connect=TIMEOUT[0], read=TIMEOUT[1]))


def dial_pod(cluster: Cluster, namespace: str, *, pod: str, port: int) -> socket.socket:
    """A connection to a pod's port.

    Raises:
        ClusterError: it can't be made; names the right that is missing, if one is.
    """
    api = client.CoreV1Api(cluster.api)
    what = f"forward to port {port} of pod {namespace}/{pod}"
    try:
        with asking(cluster, what):
            made = portforward(api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
    except ClusterError as e:
        if _is_forbidden(e.__cause__):
            raise ClusterError(
                f"can't {what}: context {cluster.context} may not: ask for the verbs get and create on "
                f"pods/portforward in namespace {namespace}"
            ) from e
        raise
    return cast(socket.socket, made.socket(port))


def ready_pod(cluster: Cluster, namespace: str, *, service: str) -> tuple[str, int]:
    """A pod that serves, and the port it serves on: what the Service's first port leads to.

    Raises:
        ClusterError: no such Service, none of its pods is ready, or the context may not look.
    """
    api = client.CoreV1Api(cluster.api)
    with asking(cluster, f"read Service {namespace}/{service}"):
        found: Any = api.read_namespaced_service(service, namespace, _request_timeout=TIMEOUT)
    selector = ",".join(f"{key}={value}" for key, value in sorted((found.spec.selector or {}).items()))
    with asking(cluster, f"list the pods of namespace {namespace}"):
        pods: list[Any] = api.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=TIMEOUT).items
    pod = next((pod for pod in pods if _is_ready(pod)), None)
    if pod is None:
        raise ClusterError(f"no pod of Service {namespace}/{service} is ready: see `kubectl -n {namespace} get pods`")
    return pod.metadata.name, _port(pod, found.spec.ports[0])


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _port(pod: Any, port: Any) -> int:
    """The number behind a Service's port, which may be given by name."""
    wanted = port.target_port if port.target_port is not None else port.port
    named = {one.name: one.container_port for one in (pod.spec.containers[0].ports or [])}
    return int(named.get(wanted, wanted))


def _is_forbidden(error: BaseException | None) -> bool:
    """Whether the API server refused the web socket; the client tells it in words only."""
    return isinstance(error, ApiException) and (error.status == 403 or "status 403" in str(error.reason))
