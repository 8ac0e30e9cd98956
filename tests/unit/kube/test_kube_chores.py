"""Chores: none waits for another, and what they measure goes with what was measured."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from pfpnas_operator.kube.housekeeping import Housekeeper, _Chore


class Bus:
    """Two agents and a task, whatever the pool."""

    def agents(self, pool: str) -> list[str]:
        return ["a", "b"]

    def tasks(self, pool: str) -> list[str]:
        return ["t"]


class House:
    """A housekeeper whose hub has nothing but a bus."""

    def __init__(self) -> None:
        self.loop, self.threads = asyncio.new_event_loop(), ThreadPoolExecutor(4)
        hub: Any = SimpleNamespace(parts=SimpleNamespace(redis=None, bus=Bus()))
        self.keeper = Housekeeper(hub, threads=self.threads, loop=self.loop)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.threads.shutdown()
    made.loop.close()


def test_agents_are_tended_while_a_sweep_waits_for_a_store_that_is_away(house: House) -> None:
    store_is_back, tended = threading.Event(), threading.Semaphore(0)
    house.keeper._chores = [
        _Chore("sweep", 600, lambda: bool(store_is_back.wait(30))),  # type: ignore[arg-type]
        _Chore("agents", 0, tended.release),
    ]

    async def look() -> bool:
        house.keeper.start()
        try:
            return await asyncio.to_thread(lambda: all(tended.acquire(timeout=20) for _ in range(3)))
        finally:
            house.keeper.stop()
            store_is_back.set()

    assert house.loop.run_until_complete(look())


def test_a_chore_that_fails_is_done_again(house: House) -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise ValueError("not today")

    house.keeper._chores = [_Chore("sweep", 0, fail)]

    async def look() -> bool:
        house.keeper.start()
        try:
            return await asyncio.to_thread(lambda: all(tried.acquire(timeout=20) for _ in range(2)))
        finally:
            house.keeper.stop()

    assert house.loop.run_until_complete(look())


def figure(name: str, pool: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"pool": pool})


def test_a_pool_that_no_search_uses_any_more_has_no_figures(house: House) -> None:
    house.keeper._measure_pools({"edge", "bench"})
    assert (figure("pfpnas_agents", "edge"), figure("pfpnas_tasks", "edge")) == (2, 1)
    house.keeper._measure_pools({"bench"})
    assert (figure("pfpnas_agents", "edge"), figure("pfpnas_tasks", "edge")) == (None, None)
    assert figure("pfpnas_tasks", "bench") == 1
    house.keeper._measure_pools(set())
    assert figure("pfpnas_agents", "bench") is None
