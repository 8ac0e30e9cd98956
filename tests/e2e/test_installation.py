"""A release of one's own: what it may do, what an upgrade keeps, and what an uninstall leaves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.kube import Cluster
from cluster.shell import CommandError
from support.charts import CHARTS
from support.release import Images, image_values

SECRETS = ("pfpnas-key", "pfpnas-redis-auth")


@dataclass(frozen=True)
class Installed:
    """The chart, in a namespace that it also watches, and that no other release's documents are in."""

    cluster: Cluster
    namespace: str
    values: Path

    def helm(self, command: str, *words: str) -> str:
        """helm install or upgrade, and wait for the pods."""
        where = ("pfpnas", str(CHARTS / "pfpnas"), "-n", self.namespace, "-f", str(self.values))
        return self.cluster.helm(command, *where, *words, "--wait", "--timeout=3m")

    def kubectl(self, *words: str) -> str:
        """kubectl in its namespace."""
        return self.cluster.kubectl("-n", self.namespace, *words)

    def get(self, kinds: str) -> list[dict[str, Any]]:
        """What there is of some kinds, without what every namespace has."""
        found = json.loads(self.kubectl("get", kinds, "-o", "json"))["items"]
        every = {"kube-root-ca.crt", "default"}
        return [one for one in found if one["metadata"]["name"] not in every and not _is_leaving(one)]

    def may(self, verb: str, resource: str, *, namespace: str | None = None) -> bool:
        """Whether the operator's account may do something; in all namespaces where none is named."""
        account = f"--as=system:serviceaccount:{self.namespace}:pfpnas-operator"
        where = ("-n", namespace) if namespace else ("--all-namespaces",)
        try:
            return self.cluster.kubectl("auth", "can-i", verb, resource, account, *where).strip() == "yes"
        except CommandError as e:
            if "no" in str(e).split():
                return False
            raise


def _is_leaving(one: dict[str, Any]) -> bool:
    return "deletionTimestamp" in one["metadata"]


@pytest.fixture(scope="module")
def installed(
    cluster: Cluster, crds: Cluster, module_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Ready; uninstalled at the end, unless the last test did."""
    namespace = module_namespace
    images = Images.build(cluster.engine)
    operator, redis = image_values(images.operator), image_values(images.redis)
    values = {
        "image": {"registry": operator.pop("registry"), "operator": operator},
        "watch": {"namespaces": [namespace]},
        "artifacts": {"size": "1Gi"},
        "redis": {"image": redis, "size": "1Gi"},
    }
    path = tmp_path_factory.mktemp("installation") / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    release = Installed(cluster, namespace, path)
    release.helm("install")
    yield release
    if "pfpnas" in cluster.helm("list", "-q", "-n", namespace).split():
        cluster.helm("uninstall", "pfpnas", "-n", namespace, "--wait")


def test_the_operator_may_do_what_it_needs_where_it_is_asked_to(installed: Installed) -> None:
    here = installed.namespace
    for verb, resource in (("create", "jobs"), ("create", "secrets"), ("patch", "trials/status"), ("list", "pods")):
        assert installed.may(verb, resource, namespace=here), (verb, resource)
    for verb, resource in (("get", "secrets"), ("list", "secrets"), ("create", "pods"), ("get", "pods/log")):
        assert not installed.may(verb, resource, namespace=here), (verb, resource)
    for verb, resource in (("list", "nasexperiments.pfpnas.io"), ("create", "jobs"), ("list", "nodes")):
        assert not installed.may(verb, resource), (verb, resource)


def test_an_upgrade_keeps_secrets_and_restarts_what_changed(installed: Installed) -> None:
    before = _data(installed), _pods(installed)
    installed.helm("upgrade", "--set", "pools.bench={team-a}")
    after = _data(installed), _pods(installed)
    assert after[0] == before[0]
    kept = {name for name in before[1] & after[1] if not name.startswith("pfpnas-operator")}
    assert len(kept) == 2, "store and Redis go on"
    assert len(after[1] - before[1]) == 1


def test_redis_lets_nobody_in_without_a_name(installed: Installed) -> None:
    def ask(*words: str) -> str:
        return installed.kubectl("exec", "pfpnas-redis-0", "-c", "redis", "--", "redis-cli", *words).strip()

    assert "NOAUTH" in ask("ping")
    assert "NOAUTH" in ask("acl", "setuser", "me", "on", "nopass", "+@all", "~*")


def test_an_uninstall_leaves_what_the_policy_keeps(installed: Installed) -> None:
    installed.cluster.helm("uninstall", "pfpnas", "-n", installed.namespace, "--wait", "--timeout=3m")
    kinds = "deploy,sts,ds,svc,cm,secret,sa,role,rolebinding,networkpolicy,pdb,pvc"
    left = [f"{one['kind']}/{one['metadata']['name']}" for one in installed.get(kinds)]
    assert left == ["PersistentVolumeClaim/pfpnas-artifacts"]
    roles = installed.cluster.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name")
    assert [name for name in roles.split() if installed.namespace in name] == []


def _data(installed: Installed) -> list[dict[str, str]]:
    return [json.loads(installed.kubectl("get", "secret", name, "-o", "json"))["data"] for name in SECRETS]


def _pods(installed: Installed) -> set[str]:
    return {f"{one['metadata']['name']}/{one['metadata']['uid']}" for one in installed.get("pods")}
