"""Fixtures of the end-to-end tests: a real cluster, namespaces in it, the CRDs. They tell what they do."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.kube import Cluster
from cluster.provider import choose, provide, what_kind_lacks
from cluster.settings import ROOT
from support.agent_data import write_idx
from support.lab import Lab, supernet
from support.release import KINDS, OPERATOR_NAMESPACE, Images, OutsideAgent, Release, without
from support.tiny_supernet import TINY


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
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in KINDS))
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


POOLS = {"bench": ["*"], "teams": ["*"], "digits-pool": ["*"], "lonely": ["*"], "closed": ["somewhere-else"]}
"""Pools of the release, and the namespaces that may use them."""


KEEP = "PFPNAS_E2E_KEEP"
"""Set in the environment: the release stays after the tests and is there for the next ones; for developers."""


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """Of the checkout, on the node."""
    return Images.build(cluster.engine)


@pytest.fixture(scope="session")
def release(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """PFP-NAS for all namespaces, installed by Helm; at the end uninstalled: nothing of it is left but the kinds."""
    keep = bool(os.environ.get(KEEP))
    with contextlib.ExitStack() as stack:
        if not (keep and cluster.has("namespace", OPERATOR_NAMESPACE)):
            entered = cluster.namespace(named=OPERATOR_NAMESPACE, keep=keep)
            stack.enter_context(entered)
        folder = tmp_path_factory.mktemp("release")
        installed = Release(cluster=cluster, images=images, folder=folder)
        installed.install(pools=POOLS)
        yield installed
        if not keep:
            installed.uninstall()
            installed.assert_gone()
            # Last of all: nobody else uses the kinds any more, should they go after all.
            installed.assert_kinds_outlive_their_release()


@pytest.fixture(scope="session")
def lab(release: Release) -> Iterator[Lab]:
    """A namespace in which the tests' searches share one Supernet."""
    with release.cluster.namespace("lab", named="lab" if os.environ.get(KEEP) else None) as name:
        lab = Lab(release=release, namespace=name)
        yield lab
        # While there is an operator: a Supernet that a search was using leaves only when it lets go of it.
        lab.kubectl("delete", "nas,sn", "--all", "--timeout=120s")


@pytest.fixture(scope="session")
def tiny(lab: Lab) -> str:
    """Name of a small Supernet, trained and fitted by pods."""
    lab.apply(supernet("tiny", TINY))
    lab.wait("sn", "tiny", "Ready")
    return "tiny"


@pytest.fixture(scope="session")
def private_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The agent's own description of a small private data set."""
    folder = tmp_path_factory.mktemp("private")
    return {"quadrants": {"format": "IDX", **write_idx(Path(folder))}}


@pytest.fixture(scope="session")
def agent(release: Release, lab: Lab, private_data: dict[str, Any]) -> Iterator[OutsideAgent]:
    """An agent of the pool `bench`, as a process outside the cluster that serves the tests' namespace."""
    config = {"datasets": private_data, "namespaces": [lab.namespace]}
    with release.outside_agent("bench-1", pool="bench", config=config) as outside:
        yield outside


@pytest.fixture
def lone_agent(release: Release, lab: Lab, private_data: dict[str, Any]) -> Iterator[OutsideAgent]:
    """The only agent of the pool `lonely`, for a test that ends it."""
    config = {"datasets": private_data, "namespaces": [lab.namespace]}
    with release.outside_agent("leaver", pool="lonely", config=config) as outside:
        yield outside


@pytest.fixture(scope="module")
def no_other_operator(cluster: Cluster) -> Iterator[None]:
    """While a file's own release works, the operator of all namespaces, if there is one, does not: one a namespace."""
    operator = ("deploy/pfpnas-operator", "-n", OPERATOR_NAMESPACE)
    if not cluster.kubectl("get", *operator, "--ignore-not-found", "-o", "name").strip():
        yield
        return
    with without(cluster, "operator", namespace=OPERATOR_NAMESPACE):
        yield
