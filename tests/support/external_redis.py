"""A Redis that is not the chart's: a pod in a namespace, with the operator's user, reachable from agents outside."""

import json
from dataclasses import dataclass

from cluster.kube import Cluster
from pfpnas_operator.access import aclfile
from support.polling import Document

NAME = "somebodys-redis"
PASSWORD = "from-somebody-else"

START = (
    "cp /users/users.acl /data/users.acl &&"
    " exec redis-server --aclfile /data/users.acl --dir /data --save '' --protected-mode no"
)
"""The server writes the users that are added into that file, which a mounted Secret would not let it."""


@dataclass(frozen=True, kw_only=True)
class ExternalRedis:
    """Where it is.

    Attributes:
        url: As the operator is told, with the name of its user.
        secret: The Secret of the release's namespace with the password.
    """

    url: str
    secret: str


def run_redis(cluster: Cluster, namespace: str, *, image: str, port: int, release: str) -> ExternalRedis:
    """Start it in a namespace that goes with it, on a port of the node's; the release's gets the password."""
    redis = ExternalRedis(url=f"redis://operator@{NAME}.{namespace}.svc:6379/0", secret=f"{NAME}-password")
    users = {"users.acl": aclfile.merged("", PASSWORD)}
    _apply(cluster, namespace, _secret(f"{NAME}-users", users), _pod(image), _service(port))
    _apply(cluster, release, _secret(redis.secret, {"password": PASSWORD}))
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{NAME}", "--timeout=180s")
    return redis


def _apply(cluster: Cluster, namespace: str, *objects: Document) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=text)


def _secret(name: str, data: dict[str, str]) -> Document:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def _pod(image: str) -> Document:
    container = {
        "name": "redis",
        "image": image,
        "command": ["sh", "-c", START],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "users", "mountPath": "/users"}, {"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "users", "secret": {"secretName": f"{NAME}-users"}}, {"name": "data", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": {"app": NAME}}, "spec": spec}


def _service(port: int) -> Document:
    spec = {"type": "NodePort", "selector": {"app": NAME}, "ports": [{"port": 6379, "nodePort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": spec}
