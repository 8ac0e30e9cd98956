"""The Secret of an owner's pods: one Redis user, one artifact token; written, and never read back."""

from urllib.parse import quote, urlsplit, urlunsplit

from pfpnas_operator.kube.api import Object
from pfpnas_operator.kube.jobs import KEY_ADDRESS, KEY_REDIS, KEY_TOKEN
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


def redis_url(address: str, *, user: str | None = None, password: str | None = None, ca: str | None = None) -> str:
    """An address with credentials in it.

    Args:
        address: redis://[user@]host:port/db, rediss:// or unix://.
        user: In place of the address's own.
        password: Left out, the address is used as it is.
        ca: PEM of the authority that signed the server's certificate; redis-py takes it from the URL, so that no pod
            has to mount it.
    """
    parts = urlsplit(address)
    if password is not None and parts.scheme != "unix":
        name = user if user is not None else (parts.username or "")
        place = parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{place}")
    if ca is not None and parts.scheme == "rediss":
        extra = f"ssl_ca_data={quote(ca, safe='')}"
        parts = parts._replace(query=f"{parts.query}&{extra}" if parts.query else extra)
    return urlunsplit(parts)
