"""One tiny run, whole, that all tests of `pfpnas run` look at, and whose supernet they take over."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kube_site import Site, kube_site
from support.run_process import Place


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """A run from nothing to its end, in mode Pod, and what it printed; look at it, copy it, but leave it as it is."""
    changes = {"spec": {"budget": {"maxTrials": 2}, "trialTemplate": {"mode": "Pod"}}}
    place = Place(tmp_path_factory.mktemp("whole"), experiment=changes)
    with place.run() as run:
        code = run.wait()
        assert code == 0, run.stdout + run.stderr
        return place, run.stdout


@pytest.fixture
def trained(whole_run: tuple[Place, str], tmp_path: Path) -> Callable[..., Place]:
    """Makes a place whose supernet is trained already."""

    def make(experiment: dict[str, Any] | None = None, *, classes: int = 4) -> Place:
        place = Place(tmp_path / "search", experiment=experiment or {}, classes=classes)
        place.adopt_supernet(whole_run[0].out)
        return place

    return make


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Keepers at work on a Redis of their own."""
    with kube_site(tmp_path) as made:
        yield made
