"""Trials whose experiment isn't there: said of those that wait for it, and only when the API server says so too."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from pfpnas_operator.kube.api import EXPERIMENTS, TRIALS, ApiError, Object, Place
from pfpnas_operator.kube.housekeeping import Housekeeper
from pfpnas_operator.kube.hub import Hub, Orphan
from support.kube_server import ObjectServer
from support.reconcile_builders import condition

NAMESPACE = "team-a"


class House:
    """A server, a hub that was told of Trials only, and a housekeeper."""

    def __init__(self) -> None:
        self.server, self.loop, self.threads = ObjectServer(), asyncio.new_event_loop(), ThreadPoolExecutor(1)
        parts: Any = SimpleNamespace(api=self.server, redis=None, bus=None)
        self.hub = Hub(parts, jobs={}, threads=self.threads, loop=self.loop)
        self.keeper = Housekeeper(self.hub, threads=self.threads, loop=self.loop)

    def apply(self, name: str, *conditions: Any) -> Object:
        """A Trial that the watch tells of."""
        spec = {"experimentRef": {"name": "search"}, "architecture": "a"}
        self.server.create(TRIALS, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        body = self.server.objects[TRIALS.plural, NAMESPACE, name]
        if conditions:
            body["status"] = {"conditions": [one.document() for one in conditions], "score": 0.5}
        self.hub.seen_trial(body, deleted=False)
        return body

    def look(self) -> list[tuple[str, str]]:
        """What is written by one look."""
        self.server.writes.clear()
        self.keeper._tell_orphans()
        return self.server.writes

    def said(self, name: str) -> dict[str, str]:
        status = self.server.objects[TRIALS.plural, NAMESPACE, name]["status"]
        return {one["type"]: one["reason"] for one in status["conditions"]}


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.threads.shutdown()
    made.loop.close()


def test_one_that_waits_for_its_experiment_says_so_once(house: House) -> None:
    body = house.apply("mine")
    assert house.look() == [("amend", "mine")]
    assert house.said("mine") == {"Accepted": "ExperimentNotFound", "Succeeded": "ExperimentNotFound"}
    house.hub.seen_trial(body, deleted=False)
    assert house.look() == []


@pytest.mark.parametrize("ended", ["Succeeded", "Failed"])
def test_one_that_is_finished_keeps_its_figures(house: House, ended: str) -> None:
    house.apply("mine", condition(ended, "Scored"))
    assert house.look() == []


def test_one_that_finished_since_the_watch_told_of_it_keeps_its_figures(house: House) -> None:
    body = house.apply("mine")
    body["status"] = {"conditions": [condition("Succeeded", "Scored").document()], "score": 0.5}
    assert house.look() == []


def test_an_experiment_that_the_watch_did_not_tell_of_yet_is_there_all_the_same(house: House) -> None:
    house.apply("mine")
    house.server.create(EXPERIMENTS, NAMESPACE, {"metadata": {"name": "search"}, "spec": {}})
    assert house.look() == []


def test_a_namespace_that_nobody_may_look_into_keeps_nothing_from_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = house.server.get

    def get(place: Place, namespace: str, name: str) -> Object | None:
        if namespace == "gone":
            raise ApiError(403, "Forbidden", "forbidden")
        return there(place, namespace, name)

    monkeypatch.setattr(house.server, "get", get)
    house.hub.orphans["gone", "search"] = {"theirs": Orphan(uid="u", untold=True)}
    house.apply("mine")
    assert house.look() == [("amend", "mine")]
