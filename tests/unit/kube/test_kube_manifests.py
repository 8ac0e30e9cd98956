"""Manifests over a network: asked for when there is a reason to, and otherwise only now and then."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pfpnas_api.artifacts import ArtifactError, ManifestUnreadable
from pfpnas_api.jobs import Manifest
from pfpnas_operator.kube.manifests import LATEST_SECONDS, SOONEST_SECONDS, HeardManifests
from pfpnas_operator.reconcile import BadManifest
from support.reconcile_builders import artifact


class Store:
    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}
        self.asked: list[str] = []
        self.unreadable: set[str] = set()
        self.digests: set[str] = set()

    def read_manifest(self, uid: str) -> Manifest | None:
        self.asked.append(uid)
        if uid in self.unreadable:
            raise ManifestUnreadable(f"the manifest of job {uid} is unreadable: outcome: is no such word")
        return self.manifests.get(uid)

    def has(self, digest: str) -> bool:
        return digest in self.digests


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
    clock.now = manifests.pause()
    read(manifests, "a")
    assert store.asked == ["a", "a"]
    clock.now += 100
    assert manifests.pause() == SOONEST_SECONDS, "whatever keeps it from looking, it never spins"
    read(manifests)
    assert manifests.pause() == LATEST_SECONDS


def test_the_longer_it_is_due_the_more_rarely_it_is_asked_for() -> None:
    manifests, _, clock = make()
    pauses = []
    while clock.now < 600:
        read(manifests, "a")
        pauses.append(manifests.pause())
        clock.now += manifests.pause()
    assert pauses == sorted(pauses)
    assert pauses[-1] == LATEST_SECONDS
    assert len([pause for pause in pauses if pause < LATEST_SECONDS]) < 40


def test_nothing_that_is_there_or_unwanted_is_looked_for() -> None:
    manifests, store, _ = make()
    store.manifests["a"] = Manifest(uid="a", outcome="Done")
    read(manifests, "a", "b")
    read(manifests, "a")
    assert manifests.pause() == LATEST_SECONDS


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


def test_one_that_is_none_is_a_value_and_the_others_are_read() -> None:
    manifests, store, _ = make()
    store.unreadable.add("a")
    store.manifests["b"] = Manifest(uid="b", outcome="Done")
    found = manifests.read(["a", "b"], over=set())
    assert found["b"] == store.manifests["b"]
    assert found["a"] == BadManifest(why="the manifest of job a is unreadable: outcome: is no such word")


def test_one_that_was_none_is_looked_at_again() -> None:
    manifests, store, _ = make()
    store.unreadable.add("a")
    read(manifests, "a")
    store.unreadable.clear()
    assert read(manifests, "a", over={"a"}) == set()


def test_a_model_that_is_not_in_the_store_can_not_be_used() -> None:
    manifests, store, _ = make()
    model = artifact("model")
    store.manifests["a"] = Manifest(uid="a", outcome="Done", artifacts={"model": model})
    found = manifests.read(["a"], over=set())["a"]
    assert isinstance(found, BadManifest)
    assert model.sha256 in found.why
    store.digests.add(model.sha256)
    assert manifests.read(["a"], over={"a"})["a"] == store.manifests["a"]


def test_a_store_that_is_away_is_no_fault_of_a_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(uid: str) -> None:
        raise ArtifactError("the store is away")

    manifests, store, _ = make()
    monkeypatch.setattr(store, "read_manifest", away)
    with pytest.raises(ArtifactError, match="away"):
        manifests.read(["a"], over=set())


def test_bells_that_nobody_waits_for_are_forgotten() -> None:
    manifests, _, _ = make()
    for number in range(5):
        manifests.rang(f"u-{number}")
    read(manifests, "u-9")
    assert manifests._rung == set()
