"""Ending without breaking off: requests under way are finished, later ones sent away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web


class Draining:
    """Counts the requests under way.

    aiohttp's own shutdown waits for handlers too, but stops reading from their connections first, so that an upload
    under way would never end.
    """

    def __init__(self) -> None:
        self._under_way, self._stopping = 0, False
        self._idle = asyncio.Event()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Counts a request, or sends it away once the end has come: its sender tries again."""
        if self._stopping:
            raise web.HTTPServiceUnavailable(text="the store is being stopped", headers={"Connection": "close"})
        self._under_way += 1
        try:
            return await handler(request)
        finally:
            self._under_way -= 1
            self._settle()

    async def finish(self, *, seconds: float) -> None:
        """Send new requests away, and wait so long at most for those under way."""
        self._stopping = True
        self._settle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _settle(self) -> None:
        if self._stopping and not self._under_way:
            self._idle.set()
