"""The store's requests: artifacts by digest, references by name, and listings for the operator."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from aiohttp import web

from pfpnas_api.artifacts import ArtifactError, FolderStore, RefUnreadable
from pfpnas_api.artifacts.base import decode_ref, digests_in, is_digest, is_ref_name, ref_path
from pfpnas_operator.store.draining import Draining
from pfpnas_operator.store.receiving import FULL, Receiver
from pfpnas_operator.store.rights import Makers, may_list, may_use_ref
from pfpnas_operator.store.tokens import Key

LARGEST_REF: Final = 1 << 20
"""Bytes of a reference."""

PAGE: Final = 5_000
"""Rows of a listing's page: some 400 KiB of digests."""

READ_BUFFER: Final = 1 << 18
"""Bytes of an upload that wait for the disk, twice over: few steps for many bytes, little memory for many senders."""

logger = logging.getLogger("pfpnas_operator.store")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCOPE: Final = web.RequestKey("scope", str)


class Server:
    """The handlers over one folder.

    Args:
        store: The folder.
        key: Makes the tokens.
        max_bytes: Of one artifact.

    Attributes:
        draining: For its end.
    """

    def __init__(self, store: FolderStore, key: Key, *, max_bytes: int) -> None:
        self._store, self._key, self._makers = store, key, Makers()
        self._receiver, self.draining = Receiver(store, max_bytes=max_bytes), Draining()

    def application(self) -> web.Application:
        """The aiohttp application.

        Raises:
            OSError: the folder can't be written.
        """
        self._receiver.prepare()
        application = web.Application(
            client_max_size=LARGEST_REF, middlewares=[_logged, self.draining.middleware, _readable, self._known]
        )
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/sha256", self._list_digests),
                web.get("/sha256/{digest}", self._get),  # HEAD too
                web.put("/sha256/{digest}", self._put),
                web.delete("/sha256/{digest}", self._delete),
                web.get("/refs", self._list_refs),
                web.get("/refs/{name}", self._get_ref),
                web.put("/refs/{name}", self._put_ref),
                web.delete("/refs/{name}", self._delete_ref),
            ]
        )
        return application

    @web.middleware
    async def _known(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets nobody but the probe in without a token."""
        if request.path != "/healthz":
            kind, _, token = request.headers.get("Authorization", "").partition(" ")
            scope = self._key.scope_of(token) if kind.lower() == "bearer" else None
            if scope is None:
                said = "no token, or none that this store's key has made"
                raise web.HTTPUnauthorized(text=said, headers={"WWW-Authenticate": "Bearer"})
            request[SCOPE] = scope
        return await handler(request)

    async def _healthz(self, request: web.Request) -> web.Response:
        try:
            await asyncio.to_thread(self._receiver.check)
        except OSError as e:
            raise web.HTTPServiceUnavailable(text=f"can't write {self._store.root}: {e.strerror or e}") from e
        return web.Response(text="ok")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        digest, scope = _digest(request), request[SCOPE]
        self._makers.asked(digest, scope)
        there = self._store.has(digest)
        if there and request.method == "HEAD":
            # Whoever looks before a PUT that it then leaves out counts on the artifact as much as if it had put it.
            self._store.touch(digest)
        if not there:
            raise web.HTTPNotFound(text=f"no artifact {digest}")
        return web.FileResponse(self._store.path(digest))

    async def _put(self, request: web.Request) -> web.Response:
        digest, scope = _digest(request), request[SCOPE]
        there = await self._receiver.receive(digest, request.content, length=request.content_length)
        if there:
            self._makers.asked(digest, scope)
        else:
            self._makers.made(digest, scope)
        return web.Response(status=200 if there else 201)

    async def _delete(self, request: web.Request) -> web.Response:
        digest = _digest(request)
        if not self._makers.may_delete(digest, request[SCOPE]):
            raise web.HTTPForbidden(text=f"others may need {digest}: it goes by the sweep")
        self._store.delete(digest, unmodified_since=_moment(request))
        return web.Response(status=204)

    async def _get_ref(self, request: web.Request) -> web.StreamResponse:
        name = _ref(request)
        path = self._store.root / ref_path(name)
        if not path.exists():
            raise web.HTTPNotFound(text=f"no reference {name}")
        return web.Response(body=await asyncio.to_thread(path.read_bytes), content_type="application/json")

    async def _put_ref(self, request: web.Request) -> web.Response:
        name = _ref(request)
        try:
            value = decode_ref(await request.read(), "what arrived")
        except ArtifactError as e:
            raise web.HTTPBadRequest(text=f"reference {name}: write a JSON object") from e
        await asyncio.to_thread(self._store.write_ref, name, value)
        return web.Response(status=204)

    async def _delete_ref(self, request: web.Request) -> web.Response:
        self._store.delete_ref(_ref(request))
        return web.Response(status=204)

    async def _list_digests(self, request: web.Request) -> web.Response:
        _listing(request)
        after = request.query.get("after", "")
        found = await asyncio.to_thread(lambda: list(islice(self._store.digests(after=after), PAGE)))
        return _rows([[digest, modified.isoformat()] for digest, modified in found])

    async def _list_refs(self, request: web.Request) -> web.Response:
        _listing(request)
        prefix, after = request.query.get("prefix", ""), request.query.get("after", "")
        with_digests = request.query.get("digests") == "1"
        return _rows(await asyncio.to_thread(self._ref_rows, prefix, after, with_digests=with_digests))

    def _ref_rows(self, prefix: str, after: str, *, with_digests: bool) -> list[list[Any]]:
        """A page of references: their names, and, where asked for, the digests that each names (None: unreadable)."""
        names = list(islice((name for name in self._store.refs(prefix) if name > after), PAGE))
        if not with_digests:
            return [[name] for name in names]
        values = self._store.read_refs(names)
        return [[name, None if isinstance(v, RefUnreadable) else list(digests_in(v))] for name, v in values]


def _digest(request: web.Request) -> str:
    digest = request.match_info["digest"]
    if not is_digest(digest):
        raise web.HTTPBadRequest(text=f"{digest[:80]!r} is no SHA-256 digest")
    return digest


def _ref(request: web.Request) -> str:
    """The name of a reference that the request may use."""
    name = request.match_info["name"]
    if not is_ref_name(name):
        raise web.HTTPBadRequest(text=f"{name[:120]!r} is no name of a reference")
    if not may_use_ref(request[SCOPE], name):
        raise web.HTTPForbidden(text=f"reference {name} belongs to another owner")
    return name


def _listing(request: web.Request) -> None:
    if not may_list(request[SCOPE]):
        raise web.HTTPForbidden(text="listings are for the operator")


def _moment(request: web.Request) -> datetime | None:
    text = request.query.get("unmodified-since")
    if text is None:
        return None
    try:
        # A moment without a zone counts as UTC rather than as wherever this server runs.
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError as e:
        raise web.HTTPBadRequest(text=f"unmodified-since={text[:40]}: write a moment as ISO 8601") from e


def _rows(rows: Sequence[Sequence[Any]]) -> web.Response:
    return web.Response(text=json.dumps({"rows": rows}), content_type="application/json")


@web.middleware
async def _readable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the disk says as an answer that the sender understands."""
    try:
        return await handler(request)
    except ArtifactError as e:
        raise _of_disk(e.__cause__, str(e)) from e
    except ConnectionError:
        raise  # the sender is gone: there is nobody to tell
    except OSError as e:
        raise _of_disk(e, e.strerror or str(e)) from e


def _of_disk(error: BaseException | None, text: str) -> web.HTTPException:
    if isinstance(error, OSError) and error.errno in FULL:
        return web.HTTPInsufficientStorage(text=text)
    return web.HTTPInternalServerError(text=text)


@web.middleware
async def _logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A line for each request that changes something or is refused, for reads at level DEBUG; the token is in none."""
    start, status = time.monotonic(), 499
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as e:
        status = e.status
        raise
    finally:
        if request.path != "/healthz" or status >= 500:
            fields = {
                "method": request.method,
                "path": request.path,
                "status": status,
                "scope": request.get(SCOPE),
                "bytes": request.content_length,
                "milliseconds": round((time.monotonic() - start) * 1000, 1),
            }
            read = request.method in ("GET", "HEAD") and status < 500 and status not in (401, 403)
            logger.log(logging.DEBUG if read else logging.INFO, "request", extra={"fields": fields})
    return response
