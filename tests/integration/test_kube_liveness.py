"""What the kubelet is told at /healthz: by kopf's own server of it, our probe, and a real housekeeper behind both."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.error import HTTPError

import kopf
from kopf._core.engines.probing import health_reporter

from pfpnas_operator.kube import settings as our
from pfpnas_operator.kube.housekeeping import MOST_DEAF_LOOKS, Housekeeper
from support.ports import free_port

WAIT_SECONDS = 30
"""Less than the minute after which kopf tries again what is no PermanentError: the kubelet doesn't wait so long."""


class Hub:
    """So much of one as a housekeeper asks for before it begins."""

    def __init__(self) -> None:
        self.parts: Any = self
        self.redis = self.bus = None


class Health:
    """A housekeeper, and what is answered about it."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        hub: Any = Hub()
        self.housekeeper = Housekeeper(hub, threads=threads, loop=asyncio.get_running_loop())
        self.address = f"http://127.0.0.1:{free_port()}/healthz"
        self._threads = threads

    async def answer(self) -> int:
        """The status of a probe's request."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask)

    def _ask(self) -> int:
        try:
            with urllib.request.urlopen(self.address, timeout=WAIT_SECONDS) as answer:
                return int(answer.status)
        except HTTPError as e:
            with e:
                return e.code


@asynccontextmanager
async def serving() -> AsyncIterator[Health]:
    """Health for the length of the block, by the handlers that the import of pfpnas_operator.kube registered."""
    settings, ready, memo = kopf.OperatorSettings(), asyncio.Event(), kopf.Memo()
    our.apply(settings)
    with ThreadPoolExecutor(1) as threads:
        health = Health(threads)
        memo.housekeeper = health.housekeeper
        registry = kopf.get_default_registry()
        task = asyncio.create_task(
            health_reporter(
                health.address, memo=memo, indices={}, registry=registry, settings=settings, ready_flag=ready
            )
        )
        try:
            await asyncio.wait_for(ready.wait(), timeout=60)
            yield health
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_a_watch_that_tells_is_alive() -> None:
    async def asked() -> int:
        async with serving() as health:
            return await health.answer()

    assert asyncio.run(asked()) == 200


def test_a_dead_watch_is_an_error_and_one_that_tells_again_is_alive() -> None:
    async def asked() -> tuple[int, int]:
        async with serving() as health:
            health.housekeeper._deaf_looks = MOST_DEAF_LOOKS
            dead = await health.answer()
            health.housekeeper._deaf_looks = 0
            return dead, await health.answer()

    dead, alive = asyncio.run(asked())
    assert dead >= 500
    assert alive == 200
