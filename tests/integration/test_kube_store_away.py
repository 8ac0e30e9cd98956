"""Keepers whose artifact store, a server of its own, goes away and comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.artifacts import ArtifactError
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS
from pfpnas_operator.kube.starting import STORE_SECONDS, make_parts
from pfpnas_operator.store.tokens import OPERATOR
from support.artifact_server import ArtifactServer, artifact_server
from support.kube_site import CONFIGURED, NAMESPACE, Site, kube_site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ArtifactServer]:
    with artifact_server(tmp_path / "server") as started:
        yield started


@pytest.fixture
def site(tmp_path: Path, server: ArtifactServer) -> Iterator[Site]:
    with kube_site(tmp_path, server.store(OPERATOR, patience_seconds=0.2)) as made:
        yield made


def search(site: Site, kind: str) -> tuple[str, str]:
    return site.said(EXPERIMENTS, "search", kind)


def supernet(site: Site, kind: str) -> tuple[str, str]:
    return site.said(SUPERNETS, "tiny", kind)


def message(site: Site, place: Any, name: str, kind: str) -> str:
    found = {one["type"]: one for one in site.body(place, name)["status"]["conditions"]}
    return str(found[kind]["message"])


def test_a_search_says_so_is_suspended_meanwhile_and_goes_on_by_itself(site: Site, server: ArtifactServer) -> None:
    while not site.trials():
        site.step()
    server.kill()
    assert not site.try_cycle(site.experiment)
    assert search(site, "Searching") == ("True", "Searching"), "back at the next look it would not be worth a word"
    assert not site.try_cycle(site.experiment)
    assert search(site, "Searching") == ("Unknown", "StoreAway")
    assert search(site, "Succeeded") == ("False", "StoreAway")
    assert server.address in message(site, EXPERIMENTS, "search", "Searching")
    assert site.jobs_of(site.experiment.uid)
    writes = len(site.server.writes)
    site.try_cycle(site.experiment)
    assert len(site.server.writes) == writes, "it is said once"

    site.wish(EXPERIMENTS, "search", suspend=True)
    site.try_cycle(site.experiment)
    assert search(site, "Suspended") == ("True", "Suspended")
    assert not site.jobs_of(site.experiment.uid)

    site.wish(EXPERIMENTS, "search", suspend=False)
    site.try_cycle(site.experiment)
    assert search(site, "Succeeded") == ("False", "StoreAway")
    server.start()
    site.until("Succeeded")
    assert site.count("succeeded") == 6


def test_it_is_said_too_where_only_what_was_decided_needs_it(site: Site, server: ArtifactServer) -> None:
    """All candidates are built, so no manifest is looked for; their chunks are in the store alone."""
    site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]["spec"]["budget"]["maxTrials"] = 3
    site.start_operator()
    while not site.trials() or any(not body.get("status", {}).get("artifact") for body in site.trials()):
        site.step()
    server.kill()
    assert not site.try_cycle(site.experiment)
    assert search(site, "Searching") == ("True", "Searching")
    for _ in range(3):
        assert not site.try_cycle(site.experiment)
        assert search(site, "Searching") == ("Unknown", "StoreAway")
    server.start()
    site.until("Succeeded")
    assert site.count("succeeded") == 3


def test_a_supernet_in_training_says_so_and_is_suspended_meanwhile(site: Site, server: ArtifactServer) -> None:
    site.try_cycle(site.supernet)
    site.run_jobs()
    site.try_cycle(site.supernet)
    server.kill()
    for _ in range(2):
        assert not site.try_cycle(site.supernet)
    assert supernet(site, "Trained") == ("Unknown", "StoreAway")
    assert supernet(site, "Ready") == ("False", "StoreAway")
    assert server.address in message(site, SUPERNETS, "tiny", "Ready")
    assert site.jobs_of(site.supernet.uid)

    site.wish(SUPERNETS, "tiny", suspend=True)
    site.try_cycle(site.supernet)
    assert supernet(site, "Ready") == ("False", "Suspended")
    assert not site.jobs_of(site.supernet.uid)

    site.wish(SUPERNETS, "tiny", suspend=False)
    server.start()
    site.until("Succeeded")


def test_a_supernet_in_training_says_so_where_redis_is_away_too(site: Site, server: ArtifactServer) -> None:
    site.try_cycle(site.supernet)
    server.kill()
    site.redis.kill()
    for _ in range(2):
        assert not site.try_cycle(site.supernet)
    assert supernet(site, "Ready") == ("False", "RedisAway")


def test_a_supernet_that_is_ready_needs_no_store(site: Site, server: ArtifactServer) -> None:
    while not site.trials():
        site.step()
    server.kill()
    assert site.try_cycle(site.supernet)


def test_a_store_that_comes_back_empty_is_told_again_who_owns_what(site: Site, server: ArtifactServer) -> None:
    while not site.trials():
        site.step()
    note = f"owner-{site.experiment.uid}"
    server.kill()
    site.try_cycle(site.experiment)
    server.empty()
    server.start()
    assert site.store.read_ref(note) is None
    site.try_cycle(site.experiment)
    assert site.store.read_ref(note) is not None


def test_an_operator_waits_for_it_no_longer_than_who_wants_to_suspend_something_does(
    tmp_path: Path, server: ArtifactServer
) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    artifacts = CONFIGURED.artifacts.model_copy(update={"address": server.address})
    api: Any = None
    parts = make_parts(CONFIGURED.model_copy(update={"artifacts": artifacts, "key_file": key}), api)
    server.kill()
    with pytest.raises(ArtifactError, match=f"away for {STORE_SECONDS:.0f} s"):
        parts.store.read_ref("owner-u")
    parts.calls.shutdown()
