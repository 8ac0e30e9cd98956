"""The store as a server: artifacts by digest, references by name, a token that says whose they are."""

import hashlib
import io
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlencode, urlparse

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from pfpnas_api.artifacts.base import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    artifact_path,
    decode_ref,
    encode_ref,
    ref_path,
)
from pfpnas_api.artifacts.opening import PATIENCE_SECONDS
from pfpnas_api.kinds.common import ArtifactRef

TIMEOUT: Final = urllib3.Timeout(connect=10, read=120)
"""Seconds. Reading waits for the server's disk too: gigabytes are flushed before a PUT is answered."""

PIECE: Final = 1 << 20
"""Bytes of a body that are read or sent at once. The timeout is one of each piece."""

LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries; the first pause is a tenth of one, and each doubles, ± half of it."""

MOST_SAID: Final = 500
"""Characters of a server's own words in an error."""

_AWAY: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of a server, or of what stands before it, that another try may change."""

_NO_HEADERS: Final[Mapping[str, str]] = {}

Returned = TypeVar("Returned")


class _Away(Exception):  # noqa: N818 - reads as the state it names
    """No answer, or none that counts: worth another try."""


class HttpStore(ArtifactStore):
    """The store behind a server.

    Every request is safe to repeat, so each is repeated, at growing and random distances, while the server is away.
    TLS is verified by the system's authorities, or those of SSL_CERT_FILE.

    Args:
        address: ``http(s)://host[:port][/path]``.
        token: What the server asks for.
        patience_seconds: How long a server that is away is waited for, at each call.
        pool: Connections to use instead of own ones to the address.

    Raises:
        ArtifactError: no such address.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        pool: urllib3.HTTPConnectionPool | None = None,
    ) -> None:
        parsed = urlparse(address)
        if not parsed.hostname or parsed.query or parsed.fragment or parsed.username:
            raise ArtifactError(f"artifact store {address!r}: write http(s)://host:port, and nothing else in it")
        self.address, self._base = address.rstrip("/"), parsed.path.rstrip("/")
        self._patience = patience_seconds
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = pool or _pool(address)

    def __str__(self) -> str:
        """Its address."""
        return self.address

    def put(self, content: bytes) -> ArtifactRef:  # noqa: D102
        digest = hashlib.sha256(content).hexdigest()
        if self._size(digest) != len(content):
            self._call("PUT", self._artifact(digest), _nothing, content=content)
        return ArtifactRef(sha256=digest, size=len(content))

    def get(self, digest: str) -> bytes:  # noqa: D102
        content = self._call("GET", self._artifact(digest), _verified, absent=(404,))
        if content is None:
            raise ArtifactMissing(f"no artifact {digest} in {self.address}")
        if content[0] != digest:
            raise ArtifactDamaged(
                f"artifact {digest} in {self.address} is damaged (it has digest {content[0]}): delete it there "
                "and run again"
            )
        return content[1]

    def has(self, digest: str) -> bool:  # noqa: D102
        return self._size(digest) is not None

    def delete(self, digest: str, *, unmodified_since: datetime | None = None) -> None:  # noqa: D102
        query = {"unmodified-since": unmodified_since.isoformat()} if unmodified_since else {}
        self._call("DELETE", self._artifact(digest, **query), _nothing, absent=(404, 412))

    def release(self, digest: str) -> None:  # noqa: D102
        # 403: others may need it, so it is left to the sweep.
        self._call("DELETE", self._artifact(digest), _nothing, absent=(404, 403))

    def digests(self) -> Iterator[tuple[str, datetime]]:  # noqa: D102
        for digest, modified in self._listed("/sha256"):
            yield digest, datetime.fromisoformat(modified)

    def write_ref(self, name: str, value: dict[str, Any]) -> None:  # noqa: D102
        self._call("PUT", self._ref(name), _nothing, content=encode_ref(value))

    def delete_ref(self, name: str) -> None:  # noqa: D102
        self._call("DELETE", self._ref(name), _nothing, absent=(404,))

    def read_ref(self, name: str) -> dict[str, Any] | None:  # noqa: D102
        content = self._call("GET", self._ref(name), _body, absent=(404,))
        return None if content is None else decode_ref(content, f"reference {name} in {self.address}")

    def refs(self, prefix: str = "") -> Iterator[str]:  # noqa: D102
        for (name,) in self._listed("/refs", prefix=prefix):
            yield name

    def named(self) -> Iterator[tuple[str, frozenset[str] | None]]:
        """Every reference, and the digests that it names; the server reads them, a page of them a request.

        Raises:
            ArtifactError: the store can't be read.
        """
        for name, digests in self._listed("/refs", digests="1"):
            yield name, None if digests is None else frozenset(digests)

    def _size(self, digest: str) -> int | None:
        return self._call("HEAD", self._artifact(digest), _length, absent=(404,))

    def _range(self, digest: str, start: int, end: int) -> bytes:
        # A request each, so that one that breaks off is repeated by itself.
        headers = {"Range": f"bytes={start}-{end - 1}"}
        piece = self._call("GET", self._artifact(digest), self._part, headers=headers, absent=(404,))
        if piece is None:
            raise ArtifactMissing(f"no artifact {digest} in {self.address}")
        return piece

    def _part(self, response: urllib3.BaseHTTPResponse) -> bytes:
        if response.status != 206:
            raise ArtifactError(
                f"artifact store {self.address} answers {response.status} when asked for a part: let what stands "
                "before it pass the header Range on"
            )
        return response.read()

    def _artifact(self, digest: str, **query: str) -> str:
        artifact_path(digest)  # refuses what is no digest
        return _with(f"/sha256/{digest}", query)

    @staticmethod
    def _ref(name: str) -> str:
        ref_path(name)  # refuses what is no name
        return f"/refs/{quote(name)}"

    def _listed(self, path: str, **query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a listing, a page a request."""
        after = ""
        while True:
            content = self._call("GET", _with(path, query | {"after": after}), _body) or b""
            rows = decode_ref(content, f"the listing {path} of {self.address}").get("rows", [])
            yield from map(tuple, rows)
            if not rows:
                return
            after = rows[-1][0]

    def _call(
        self,
        method: str,
        path: str,
        read: Callable[[urllib3.BaseHTTPResponse], Returned],
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        absent: tuple[int, ...] = (),
    ) -> Returned | None:
        """What `read` makes of the answer; None for an answer whose status is in `absent`."""
        deadline = time.monotonic() + self._patience
        for pause in _pauses():
            try:
                return self._once(method, path, read, content=content, headers=headers, absent=absent)
            except (HTTPError, OSError, _Away) as e:
                if e.args and isinstance(e.args[0], ssl.SSLCertVerificationError):
                    raise ArtifactError(self._unknown(e.args[0])) from e
                if time.monotonic() + pause > deadline:
                    raise ArtifactError(self._unreachable(e)) from e
                time.sleep(pause)
        raise AssertionError("the pauses never end")

    def _once(
        self,
        method: str,
        path: str,
        read: Callable[[urllib3.BaseHTTPResponse], Returned],
        *,
        content: bytes | None,
        headers: Mapping[str, str],
        absent: tuple[int, ...],
    ) -> Returned | None:
        response = self._pool.urlopen(
            method,
            self._base + path,
            body=None if content is None else _pieces(content),
            headers={**self._headers, **headers, **({} if content is None else {"Content-Length": str(len(content))})},
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            if response.status in absent:
                return None
            self._refuse(method, path, response)
            return read(response)
        except BaseException:
            response.close()  # what is left of the answer must not be taken for the next one
            raise
        finally:
            response.drain_conn()
            response.release_conn()

    def _refuse(self, method: str, path: str, response: urllib3.BaseHTTPResponse) -> None:
        status = response.status
        if status < 300:
            return
        said = response.read(MOST_SAID).decode(errors="replace").strip()
        if status in _AWAY:
            raise _Away(f"it answers {status}{f' ({said})' if said else ''}")
        remedy = _REMEDIES.get(status, "is its address right?")
        raise ArtifactError(f"artifact store {self.address} refuses {method} {path}: {status} {said}: {remedy}")

    def _unknown(self, error: ssl.SSLCertVerificationError) -> str:
        return (
            f"artifact store {self.address} is not known to be who it says ({error.verify_message}): name the file of "
            "its authority in SSL_CERT_FILE, and the store as its certificate does"
        )

    def _unreachable(self, error: Exception) -> str:
        reason = error.__cause__ or error
        return (
            f"artifact store {self.address} is away for {self._patience:.0f} s: {reason}: is it running, is its "
            f"address right, and may this pod reach it (NetworkPolicy)?"
        )


_REMEDIES: Final[Mapping[int, str]] = {
    401: "give the token that the store's key made, in PFPNAS_ARTIFACTS_TOKEN",
    403: "this token is another owner's",
    413: "raise the store's --max-bytes",
    507: "make its volume larger, or delete experiments and supernets that nobody needs",
}


def _pool(address: str) -> urllib3.HTTPConnectionPool:
    secure = {"ssl_context": ssl.create_default_context()} if address.startswith("https:") else {}
    try:
        return urllib3.connection_from_url(address, timeout=TIMEOUT, maxsize=16, block=False, **secure)
    except (LocationParseError, ValueError) as e:
        raise ArtifactError(f"artifact store {address!r}: {e}") from e


def _pauses() -> Iterator[float]:
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(LONGEST_PAUSE, pause * 2)


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _pieces(content: bytes) -> Iterator[bytes]:
    """Views, not copies: a checkpoint may be hundreds of megabytes."""
    view = memoryview(content)
    for start in range(0, len(view), PIECE):
        yield cast(bytes, view[start : start + PIECE])  # the socket takes whatever is bytes-like


def _nothing(response: urllib3.BaseHTTPResponse) -> None:
    response.drain_conn()


def _length(response: urllib3.BaseHTTPResponse) -> int:
    return int(response.headers.get("Content-Length", -1))


def _body(response: urllib3.BaseHTTPResponse) -> bytes:
    return response.read()


def _verified(response: urllib3.BaseHTTPResponse) -> tuple[str, bytes]:
    """Digest and content. A BytesIO hands out its own buffer, so there is one copy at any time."""
    digest, content = hashlib.sha256(), io.BytesIO()
    while piece := response.read(PIECE):
        digest.update(piece)
        content.write(piece)
    return digest.hexdigest(), content.getvalue()
