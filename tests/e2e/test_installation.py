"""A release of one's own for two named namespaces, its Redis behind TLS: what it may do, what an upgrade keeps, that it
searches, and what an uninstall leaves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.kube import Cluster
from cluster.shell import CommandError
from pfpnas_api.joining import Join
from support.certificates import Certificates, make_certificates
from support.lab import Lab, assert_whole, experiment, supernet
from support.release import Images, Release, named_in, node_address
from support.tiny_supernet import TINY

pytestmark = pytest.mark.usefixtures("crds", "no_other_operator")

SECRETS = ("pfpnas-key", "pfpnas-redis-auth")
PORT = 30380
POOLS = {"guarded": ["*"]}

CA = "/run/pfpnas/tls/ca.crt"
"""In Redis' pod."""


@pytest.fixture(scope="module")
def labs(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lab]]:
    """Three namespaces of users; the release watches the first two. It is uninstalled, unless the last test did it."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        cluster.namespace("guarded") as own,
        cluster.namespace("team-a") as first,
        cluster.namespace("team-b") as second,
        cluster.namespace("stranger") as third,
    ):
        address = node_address(cluster)
        made = make_certificates(folder / "tls", name=f"pfpnas-redis.{own}.svc", also=f",IP:{address}")
        apply_certificates(cluster, own, made)
        redis = {"tls": {"enabled": True, "existingSecret": "redis-tls"}}
        values = {
            "watch": {"namespaces": [first, second]},
            "redis": {**redis, "agents": {"url": f"rediss://{address}:{PORT}/0"}},
            "artifacts": {"keep": True},
        }
        release = Release(cluster=cluster, images=images, folder=folder, namespace=own, agents_port=PORT, values=values)
        release.install(pools=POOLS)
        yield [Lab(release=release, namespace=name) for name in (first, second, third)]
        release.uninstall()


def apply_certificates(cluster: Cluster, namespace: str, made: Certificates) -> None:
    """The Secret that `redis.tls.existingSecret` names."""
    files = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authority}
    content = (f"--from-file={name}={path}" for name, path in files.items())
    cluster.kubectl("create", "secret", "generic", "redis-tls", "-n", namespace, *content)


@pytest.fixture(scope="module")
def release(labs: list[Lab]) -> Release:
    """Of this file."""
    return labs[0].release


@pytest.fixture(scope="module")
def searched(labs: list[Lab], private_data: dict[str, Any]) -> dict[str, Any]:
    """A search in the first namespace that has ended; its agent joined by a string with the authority in it."""
    first = labs[0]
    config = {"datasets": private_data, "namespaces": [first.namespace]}
    with first.release.outside_agent("over-tls", pool="guarded", config=config) as agent:
        join = Join.decode((agent.folder / "agent.join").read_text())
        assert (join.url, join.ca is not None) == (f"rediss://{node_address(first.cluster)}:{PORT}/0", True)
        first.apply(supernet("tiny", TINY), experiment("small", of="tiny", pool="guarded", trials=2))
        first.wait("nas", "small", "Succeeded", seconds=400)
    return first.get("nas", "small")


def may(release: Release, verb: str, resource: str, *, namespace: str | None = None) -> bool:
    """Whether the operator's account may do something; in all namespaces where none is named."""
    account = f"--as=system:serviceaccount:{release.namespace}:pfpnas-operator"
    where = ("-n", namespace) if namespace else ("--all-namespaces",)
    try:
        return release.cluster.kubectl("auth", "can-i", verb, resource, account, *where).strip() == "yes"
    except CommandError as e:
        if "no" in str(e).split():
            return False
        raise


def test_the_operator_may_do_what_it_needs_where_it_is_asked_to(labs: list[Lab], release: Release) -> None:
    first, second, third = (lab.namespace for lab in labs)
    for verb, resource in (("create", "jobs"), ("create", "secrets"), ("patch", "trials/status"), ("list", "pods")):
        assert may(release, verb, resource, namespace=first), (verb, resource)
        assert may(release, verb, resource, namespace=second), (verb, resource)
        assert not may(release, verb, resource, namespace=third), (verb, resource)
    for verb, resource in (("get", "secrets"), ("list", "secrets"), ("create", "pods"), ("get", "pods/log")):
        assert not may(release, verb, resource, namespace=first), (verb, resource)
    for verb, resource in (("list", "nasexperiments.pfpnas.io"), ("create", "jobs"), ("list", "nodes")):
        assert not may(release, verb, resource), (verb, resource)


def test_an_upgrade_keeps_secrets_and_restarts_what_changed(release: Release) -> None:
    before = data(release), pods(release)
    release.upgrade("--set", "pools.bench={team-a}")
    after = data(release), pods(release)
    assert after[0] == before[0]
    kept = {name for name in before[1] & after[1] if not name.startswith("pfpnas-operator")}
    assert len(kept) == 2, "store and Redis go on"
    assert len(after[1] - before[1]) == 1


def test_redis_lets_nobody_in_without_tls_and_a_name(release: Release) -> None:
    def ask(*words: str) -> str:
        redis = ("exec", "-n", release.namespace, "pfpnas-redis-0", "-c", "redis", "--", "redis-cli")
        return release.cluster.kubectl(*redis, *words).strip()

    tls = ("--tls", "--cacert", CA, "-h", f"pfpnas-redis.{release.namespace}.svc")
    assert "NOAUTH" in ask(*tls, "ping")
    assert "NOAUTH" in ask(*tls, "acl", "setuser", "me", "on", "nopass", "+@all", "~*")
    with pytest.raises(CommandError):
        ask("ping")


def test_a_search_goes_its_way_over_tls(labs: list[Lab], searched: dict[str, Any], tmp_path: Path) -> None:
    assert_whole(labs[0], "small", trials=2)
    said = labs[0].release.pfpnas("get", "best", "-n", labs[0].namespace, "small", "-o", str(tmp_path / "best.onnx"))
    assert searched["status"]["best"]["architecture"] in said


def test_only_the_named_namespaces_are_watched(labs: list[Lab]) -> None:
    second, third = labs[1:]
    for lab in (third, second):
        lab.apply(experiment("early", of="not-yet", pool="guarded", trials=1))
    waiting = second.wait("nas", "early", "SupernetReady", status="False")
    assert waiting["reason"] == "NotFound"
    assert "status" not in third.get("nas", "early")


@pytest.mark.usefixtures("searched")
def test_the_documented_uninstall_leaves_what_the_policy_keeps(labs: list[Lab], release: Release) -> None:
    cluster = release.cluster
    for lab in labs:
        cluster.kubectl("delete", "nas,sn", "--all", "-n", lab.namespace, "--timeout=120s")
        lab.until("nothing is left of them", lambda lab=lab: children_left(lab) == set())

    release.uninstall()

    release.assert_gone(but=frozenset({"PersistentVolumeClaim/pfpnas-artifacts", "Secret/redis-tls"}))
    for lab in labs:
        assert named_in(cluster, lab.namespace) == set(), "roles are taken back too"


def children_left(lab: Lab) -> set[str]:
    """Trials, and what the operator made for its documents."""
    of_release = {"Role/pfpnas-operator", "RoleBinding/pfpnas-operator"}
    trials = {one["metadata"]["name"] for one in lab.all("nt")}
    return (named_in(lab.cluster, lab.namespace) | trials) - of_release


def data(release: Release) -> list[dict[str, str]]:
    get = ("get", "secret", "-n", release.namespace, "-o", "json")
    return [json.loads(release.cluster.kubectl(*get, name))["data"] for name in SECRETS]


def pods(release: Release) -> set[str]:
    found = json.loads(release.cluster.kubectl("get", "pods", "-n", release.namespace, "-o", "json"))["items"]
    return {f"{one['metadata']['name']}/{one['metadata']['uid']}" for one in found if not leaves(one)}


def leaves(one: dict[str, Any]) -> bool:
    return "deletionTimestamp" in one["metadata"]
