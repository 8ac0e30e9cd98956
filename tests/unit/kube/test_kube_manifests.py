"""Manifests over a network: asked for when there is a reason to, and otherwise only now and then."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pfpnas_api.jobs import Manifest
from pfpnas_operator.kube.manifests import LOOK_AGAIN_SECONDS, HeardManifests


class Store:
    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}
        self.asked: list[str] = []

    def read_manifest(self, uid: str) -> Manifest | None:
        self.asked.append(uid)
        return self.manifests.get(uid)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[HeardManifests, Store, Clock]:
    store, clock = Store(), Clock()
    parts: Any = store
    return HeardManifests(store=parts, pool=ThreadPoolExecutor(2), clock=clock), store, clock


def read(manifests: HeardManifests, *uids: str, over: set[str] | None = None) -> set[str]:
    return set(manifests.read(uids, over=over or set()))


def test_without_a_reason_it_is_asked_again_only_after_a_while() -> None:
    manifests, store, clock = make()
    for _ in range(3):
        assert read(manifests, "a") == set()
    assert store.asked == ["a"]
    clock.now = LOOK_AGAIN_SECONDS
    read(manifests, "a")
    assert store.asked == ["a", "a"]


def test_a_bell_is_a_reason() -> None:
    manifests, store, _ = make()
    read(manifests, "a", "b")
    store.manifests["a"] = Manifest(uid="a", outcome="Done")
    manifests.rang("a")
    assert read(manifests, "a", "b") == {"a"}
    assert store.asked == ["a", "b", "a"]


def test_a_job_that_ended_is_always_looked_up() -> None:
    manifests, store, _ = make()
    read(manifests, "a")
    store.manifests["a"] = Manifest(uid="a", outcome="Done")
    assert read(manifests, "a", over={"a"}) == {"a"}


def test_what_was_found_is_not_asked_for_again_while_it_is_wanted() -> None:
    manifests, store, _ = make()
    store.manifests["a"] = Manifest(uid="a", outcome="Done")
    assert read(manifests, "a") == read(manifests, "a", over={"a"}) == {"a"}
    assert store.asked == ["a"]
    read(manifests)
    read(manifests, "a")
    assert store.asked == ["a", "a"]
