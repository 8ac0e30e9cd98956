"""Fixtures of the end-to-end tests: a real cluster, namespaces in it, the CRDs. They tell what they do."""

import os
from collections.abc import Iterator

import pytest

from cluster.kube import Cluster
from cluster.provider import choose, provide, what_kind_lacks
from cluster.settings import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the tests alone in time: the first one's fixtures may build a cluster for half an hour."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600, func_only=True))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The cluster of this run (`cluster.provider` says which); started and stopped here unless it ran before."""
    choice = choose(os.environ, is_root=os.geteuid() == 0, kind_lacks=what_kind_lacks)
    if choice.provider is None:
        pytest.skip(choice.reason)
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # minutes without a word look like a hang
        provided = provide(choice)
        running = provided.__enter__()
    try:
        yield running
    finally:
        with capture.global_and_fixture_disabled():
            provided.__exit__(None, None, None)


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> Cluster:
    """The cluster with our kinds, accepted and served."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    names = (f"crd/{plural}.pfpnas.io" for plural in ("supernets", "nasexperiments", "trials"))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    return cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own; Pod Security `restricted` is enforced in it."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="module")
def module_namespace(cluster: Cluster) -> Iterator[str]:
    """As `namespace`, one for all tests of a file."""
    with cluster.namespace() as name:
        yield name
