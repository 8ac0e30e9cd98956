"""A release that brings neither Redis nor a store: a Redis of somebody else's, and a bucket on an S3 server.

It is uninstalled while its documents are there: they stay, and go when they are deleted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import s3fs

from cluster.kube import Cluster
from support.external_redis import ExternalRedis, run_redis
from support.lab import Lab, assert_whole, experiment, supernet
from support.release import Images, Release, named_in, node_address
from support.s3_server import BUCKET, s3_server
from support.tiny_supernet import TINY

pytestmark = pytest.mark.usefixtures("crds", "no_other_operator")

PORT = 30381
CREDENTIALS = "bucket"
"""The Secret with the keys of the bucket, in the release's namespace and in the users'."""


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """What the release did not bring, and the namespace of a user of it."""

    lab: Lab
    redis: ExternalRedis
    s3: dict[str, str]


@pytest.fixture(scope="module")
def borrowed(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Borrowed]:
    """Installed; uninstalled, unless the last test did it."""
    folder = tmp_path_factory.mktemp("own-services")
    with (
        cluster.namespace("frugal") as own,
        cluster.namespace("team") as team,
        cluster.namespace("somebody") as elsewhere,
        s3_server(folder / "s3.log", host=cluster.engine.host_address()) as s3,
    ):
        redis = run_redis(cluster, elsewhere, image=images.redis, port=PORT, release=own)
        for namespace in (own, team):
            literals = (f"--from-literal={name}={value}" for name, value in s3.items())
            cluster.kubectl("create", "secret", "generic", CREDENTIALS, "-n", namespace, *literals)
        values = values_of(redis, s3, agents=f"redis://{node_address(cluster)}:{PORT}/0", watched=team)
        release = Release(cluster=cluster, images=images, folder=folder, namespace=own, values=values)
        release.install(pools={"thrifty": [team]})
        yield Borrowed(lab=Lab(release=release, namespace=team), redis=redis, s3=s3)
        release.uninstall()


def values_of(redis: ExternalRedis, s3: dict[str, str], *, agents: str, watched: str) -> dict[str, Any]:
    """What the chart is told of them."""
    address = urlsplit(s3["AWS_ENDPOINT_URL"])
    to_s3 = {
        "to": [{"ipBlock": {"cidr": f"{address.hostname}/32"}}],
        "ports": [{"protocol": "TCP", "port": address.port}],
    }
    return {
        "watch": {"namespaces": [watched]},
        "redis": {
            "external": {"url": redis.url, "existingSecret": redis.secret},
            "agents": {"url": agents, "service": {"enabled": False}},
        },
        "artifacts": {"external": {"url": f"s3://{BUCKET}/e2e", "credentialsSecret": CREDENTIALS}},
        "networkPolicy": {"extraEgress": [to_s3]},
    }


@pytest.fixture(scope="module")
def searched(borrowed: Borrowed, private_data: dict[str, Any]) -> dict[str, Any]:
    """A search by pods that has ended."""
    lab = borrowed.lab
    config = {"datasets": private_data, "namespaces": [lab.namespace]}
    with lab.release.outside_agent("thrifty", pool="thrifty", config=config):
        by_pods = experiment("small", of="tiny", pool="thrifty", trials=2, trialTemplate={"mode": "Pod"})
        lab.apply(supernet("tiny", TINY), by_pods)
        lab.wait("nas", "small", "Succeeded", seconds=400)
    return lab.get("nas", "small")


def test_a_release_without_redis_and_store_of_its_own_searches(
    borrowed: Borrowed, searched: dict[str, Any], tmp_path: Path
) -> None:
    lab, best = borrowed.lab, searched["status"]["best"]
    assert_whole(lab, "small", trials=2)
    found = lab.cluster.kubectl("get", "sts,pvc,deploy", "-n", lab.release.namespace, "-o", "name").split()
    assert found == ["deployment.apps/pfpnas-operator"]

    model = tmp_path / "best.onnx"
    said = lab.release.pfpnas("get", "best", "-n", lab.namespace, "small", "-o", str(model), env=borrowed.s3)
    assert best["architecture"] in said
    assert digests_in(borrowed.s3) >= {best["artifact"]["sha256"]}


def digests_in(s3: dict[str, str]) -> set[str]:
    """Names of all that lies in the bucket."""
    keys = {"key": s3["AWS_ACCESS_KEY_ID"], "secret": s3["AWS_SECRET_ACCESS_KEY"]}
    files = s3fs.S3FileSystem(endpoint_url=s3["AWS_ENDPOINT_URL"], **keys)
    return {path.rpartition("/")[2] for path in files.find(f"{BUCKET}/e2e")}


def test_a_redis_of_somebody_elses_gets_a_user_for_every_owner(borrowed: Borrowed, searched: dict[str, Any]) -> None:
    users = json.loads(borrowed.lab.release.in_operator(USERS))
    assert {"default", "operator", f"owner-{searched['metadata']['uid']}"} <= set(users)


USERS = """
import json
from pfpnas_api.bus import connect
from pfpnas_operator.kube.config import read_config
from pfpnas_operator.kube.rights import operator_url
users = connect(operator_url(read_config())).execute_command("ACL", "USERS")
print(json.dumps([user.decode() if isinstance(user, bytes) else user for user in users]))
"""


@pytest.mark.usefixtures("searched")
def test_documents_outlive_their_release_and_go_when_they_are_deleted(borrowed: Borrowed) -> None:
    lab, release = borrowed.lab, borrowed.lab.release

    release.uninstall()

    release.assert_gone(but=frozenset({f"Secret/{borrowed.redis.secret}", f"Secret/{CREDENTIALS}"}))
    left = lab.kubectl("get", "sn,nas,nt", "-o", "name").split()
    assert sorted(name.partition("/")[2] for name in left) == ["small", "small-00000", "small-00001", "tiny"]
    lab.kubectl("delete", "nas", "--all", "--timeout=60s")
    lab.kubectl("delete", "sn", "--all", "--wait=false")
    if lab.kubectl("get", "sn", "-o", "name").strip():  # as docs/operations.md says of one that was in use
        lab.kubectl("patch", "sn", "tiny", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    lab.until("nothing is left", lambda: named_in(lab.cluster, lab.namespace) == {f"Secret/{CREDENTIALS}"})
    assert lab.kubectl("get", "sn,nas,nt", "-o", "name").split() == []
