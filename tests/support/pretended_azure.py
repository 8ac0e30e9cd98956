"""Azure as fsspec sees it, in memory: an account has to be known, and whoever names none goes there as somebody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry


class PretendedAzure(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Takes what adlfs takes, and refuses as it does: an address without an account, and asking as nobody."""

    protocol = ("abfs", "abfss")
    cachable = False
    opened: list[dict[str, Any]] = []

    def __init__(self, account_name: str | None = None, *, anon: bool = True, **options: Any) -> None:
        super().__init__(**options)
        if account_name is None:
            raise ValueError("Must provide either a connection_string or account_name with credentials!!")
        self.opened.append({"account": account_name, "anon": anon})

    @staticmethod
    def _get_kwargs_from_urls(url: str) -> dict[str, str]:
        _, at, host = urlsplit(url).netloc.rpartition("@")
        return {"account_name": host.split(".")[0]} if at else {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        parts = urlsplit(path)
        return f"/{parts.netloc.partition('@')[0]}{parts.path}" if parts.scheme in cls.protocol else path


@contextmanager
def pretended_azure() -> Iterator[PretendedAzure]:
    """For the length of the block."""
    before = {scheme: _registry.get(scheme) for scheme in PretendedAzure.protocol}
    for scheme in PretendedAzure.protocol:
        fsspec.register_implementation(scheme, PretendedAzure, clobber=True)
    PretendedAzure.opened.clear()
    try:
        yield PretendedAzure("anybody")
    finally:
        for scheme, there in before.items():
            _registry.pop(scheme, None)
            if there is not None:
                _registry[scheme] = there
