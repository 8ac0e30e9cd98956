"""From an address to its store."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from pfpnas_api.artifacts.base import ArtifactError, ArtifactStore
from pfpnas_api.artifacts.folder import FolderStore

PATIENCE_SECONDS: Final = 60.0
"""How long a server may be away: the time in which Kubernetes starts one elsewhere with the same volume."""

OBJECT_STORES: Final = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs"}
"""Schemes of object stores, and what speaks to them (the extras s3, gcs and azure of this package bring it)."""

AZURE: Final = frozenset({"abfs", "abfss"})
ENV_AZURE_ANONYMOUS: Final = "AZURE_STORAGE_ANON"


def provider_options(address: str, *, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What a provider's package is told beside an address.

    Older versions of adlfs go to Azure as nobody unless they are told to look for a credential, the pod's own identity
    among them. Who wants that says so in AZURE_STORAGE_ANON, adlfs' own variable.
    """
    as_somebody = urlparse(address).scheme in AZURE and ENV_AZURE_ANONYMOUS not in environ
    return {"anon": False} if as_somebody else {}


def open_store(address: str, token: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> ArtifactStore:
    """The store at an address: a folder, ``file://…``, ``http(s)://…``, or an object store.

    Args:
        address: Where it is. Of an object store the bucket (container) and a prefix, as in ``s3://models/pfpnas``;
            its credentials come from the environment, as the provider's own tools take them.
        token: For ``http(s)://`` only: what the server asks for.
        patience_seconds: For ``http(s)://`` only: how long a server that is away is waited for, at each call.

    Raises:
        ArtifactError: no address, a scheme that isn't known, or an object store whose package isn't installed.
    """
    if not address:
        raise ArtifactError("the artifact store has no address: give a folder, file://…, http(s)://… or s3://…")
    parsed = urlparse(address)
    if parsed.scheme in ("", "file"):
        return FolderStore(Path(unquote(parsed.path) if parsed.scheme else address))
    if parsed.scheme in ("http", "https"):
        # Here, since the edge agent reads no store but uses this package, and its memory is short.
        from pfpnas_api.artifacts.http import HttpStore  # noqa: PLC0415

        return HttpStore(address, token=token, patience_seconds=patience_seconds)
    if parsed.scheme in OBJECT_STORES:
        from pfpnas_api.artifacts.objects import FsspecStore  # noqa: PLC0415 - of an extra

        return FsspecStore(address, package=OBJECT_STORES[parsed.scheme])
    known = ", ".join(f"{scheme}://" for scheme in ("file", "http", "https", *OBJECT_STORES))
    raise ArtifactError(f"artifact store {address!r}: known are plain folders and {known}")
