"""The Secret of an owner's pods: one Redis user, one artifact token; written, and never read back."""

from pfpnas_api.jobs import KEY_ADDRESS, KEY_REDIS, KEY_TOKEN
from pfpnas_operator.kube.api import Object
from pfpnas_operator.kube.owners import Owner


def owner_secret(owner: Owner, *, redis_url: str, token: str, artifacts: str) -> Object:
    """The Secret; the store's address is for people, who have no other place to learn it from."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": owner.secret,
            "namespace": owner.namespace,
            "labels": owner.labels(),
            "ownerReferences": [owner.reference],
        },
        "stringData": {KEY_REDIS: redis_url, KEY_TOKEN: token, KEY_ADDRESS: artifacts},
    }
