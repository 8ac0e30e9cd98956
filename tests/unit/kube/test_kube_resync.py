"""What the watch did not tell is found by looking; once may be its delay, again and again is its end."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf
import pytest

from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, Object, Place
from pfpnas_operator.kube.housekeeping import MOST_DEAF_LOOKS, Housekeeper
from pfpnas_operator.kube.namespaces import Listed


class Api:
    """Lists what it is given, with whatever labels."""

    def __init__(self) -> None:
        self.uids: dict[str, list[str]] = {}

    def list(self, place: Place, namespace: str | None = None, *, labels: str | None = None) -> list[Object]:
        return [{"metadata": {"uid": uid, "generation": 1}} for uid in self.uids.get(place.plural, ())]


class Parts:
    redis = bus = None

    def __init__(self) -> None:
        self.api = Api()


class Hub:
    """Keeps generations, and notes what it is told."""

    def __init__(self) -> None:
        self.parts, self.jobs = Parts(), frozenset[str]()
        self.kept: dict[str, int] = {}
        self.elsewhere: set[str] = set()
        """Of those that are kept, in another namespace than is looked into."""
        self.told: list[str] = []
        self.heard = 0

    def generation_of(self, uid: str) -> int:
        return self.kept.get(uid, 0)

    def uids(self, namespaces: frozenset[str] | None = None) -> set[str]:
        return self.kept.keys() - (set() if namespaces is None else self.elsewhere)

    def namespaces(self) -> set[str]:
        return set()

    def seen_supernet(self, body: Object, *, deleted: bool) -> None:
        self.told.append(f"supernet {body['metadata']['uid']}")

    def seen_experiment(self, body: Object, *, deleted: bool) -> None:
        self.told.append(f"experiment {body['metadata']['uid']}")

    def listed_jobs(self, uids: frozenset[str], *, namespaces: frozenset[str] | None) -> None:
        assert namespaces is None
        self.jobs = uids

    def end(self, uid: str) -> None:
        self.told.append(f"end {uid}")


class House:
    """A housekeeper, and looks that it makes."""

    def __init__(self) -> None:
        self.loop, self.threads, self.hub = asyncio.new_event_loop(), ThreadPoolExecutor(1), Hub()
        hub: Any = self.hub
        self.keeper = Housekeeper(hub, threads=self.threads, loop=self.loop)

    def look(self, *found: tuple[Place, str, int], namespaces: frozenset[str] | None = None) -> list[str]:
        """What the hub is told after a look that finds these: place, uid, generation."""
        self.hub.told.clear()
        bodies: list[Any] = [(place, {"metadata": {"uid": uid, "generation": number}}) for place, uid, number in found]
        self.loop.run_until_complete(self.keeper._compare(Listed(bodies, namespaces)))
        return list(self.hub.told)


@pytest.fixture
def house() -> Any:
    made = House()
    yield made
    made.threads.shutdown()
    made.loop.close()


def test_what_is_known_is_not_told(house: House) -> None:
    house.hub.kept = {"u-1": 2}
    for _ in range(3):
        assert house.look((EXPERIMENTS, "u-1", 2)) == []
    assert house.keeper.watch_state() == "ok"


def test_a_new_object_is_told_at_the_second_look(house: House) -> None:
    assert house.look((SUPERNETS, "u-1", 1)) == []
    assert house.look((SUPERNETS, "u-1", 1)) == ["supernet u-1"]


def test_a_changed_object_is_told_at_the_second_look(house: House) -> None:
    house.hub.kept = {"u-1": 1}
    assert house.look((EXPERIMENTS, "u-1", 2)) == []
    assert house.look((EXPERIMENTS, "u-1", 2)) == ["experiment u-1"]


def test_one_whose_event_came_between_two_looks_was_only_late(house: House) -> None:
    house.look((EXPERIMENTS, "u-1", 1))
    house.hub.kept = {"u-1": 1}
    assert house.look((EXPERIMENTS, "u-1", 1)) == []


def test_the_end_of_an_object_is_told_at_the_second_look(house: House) -> None:
    house.hub.kept = {"u-1": 1}
    assert house.look() == []
    assert house.look() == ["end u-1"]


def test_what_lies_where_nobody_could_look_has_not_ended(house: House) -> None:
    house.hub.kept, house.hub.elsewhere = {"u-1": 1, "u-2": 1}, {"u-1"}
    there = frozenset({"team-b"})
    assert house.look(namespaces=there) == []
    assert house.look(namespaces=there) == ["end u-2"]


def dead(house: House) -> bool:
    try:
        house.keeper.watch_state()
    except kopf.PermanentError:
        return True
    return False


def test_a_watch_that_tells_nothing_any_more_is_dead(house: House) -> None:
    for number in range(MOST_DEAF_LOOKS):
        assert not dead(house)
        for _ in range(2):
            house.look((EXPERIMENTS, f"u-{number}", 1))
    assert dead(house)


def test_a_watch_that_tells_of_others_lives(house: House) -> None:
    for number in range(2 * MOST_DEAF_LOOKS):
        house.hub.heard += 1
        for _ in range(2):
            house.look((EXPERIMENTS, f"u-{number}", 1))
        house.hub.heard += 1
        house.look()
    assert not dead(house)


def test_jobs_are_listed_too(house: House) -> None:
    house.hub.parts.api.uids = {"jobs": ["j-1", "j-2"]}
    house.loop.run_until_complete(house.loop.run_in_executor(house.threads, house.keeper._resync))
    house.loop.run_until_complete(asyncio.sleep(0))
    assert house.hub.jobs == {"j-1", "j-2"}
