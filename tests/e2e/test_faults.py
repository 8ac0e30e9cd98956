"""What is taken away in mid-search comes back, and nothing is lost or counted twice."""

import pytest

from support.release import OPERATOR_NAMESPACE, Lab, experiment

pytestmark = pytest.mark.usefixtures("agent")

LIMIT = {"constraints": [{"metric": "Latency", "maxRelative": "50"}]}


def assert_whole(lab: Lab, name: str, trials: int) -> None:
    """Every trial of the budget was measured, and is counted once."""
    found = lab.trials(name)
    assert sorted(trial["spec"]["index"] for trial in found) == list(range(trials))
    assert all(trial["status"]["score"] is not None for trial in found)
    counts = lab.get("nas", name)["status"]["trials"]
    assert (counts["created"], counts["succeeded"], counts.get("failed", 0)) == (trials, trials, 0)


def begun(lab: Lab, name: str, trials: int) -> None:
    lab.apply(experiment(name, of="tiny", pool="bench", trials=trials, objective=LIMIT))
    lab.until("a first result", lambda: lab.get("nas", name).get("status", {}).get("trials", {}).get("succeeded"))


def kill(lab: Lab, component: str) -> None:
    """Its pod is deleted without grace: another one starts at once, whatever the old one was doing."""
    pods = f"-lapp.kubernetes.io/component={component}"
    lab.cluster.kubectl("delete", "pod", "-n", OPERATOR_NAMESPACE, pods, "--grace-period=0", "--force")


@pytest.mark.usefixtures("tiny")
def test_the_operators_pod_taken_away_in_mid_search(lab: Lab) -> None:
    begun(lab, "operator-dies", 6)

    kill(lab, "operator")

    lab.wait("nas", "operator-dies", "Succeeded")
    assert_whole(lab, "operator-dies", 6)


@pytest.mark.usefixtures("tiny")
def test_redis_emptied_and_taken_away_in_mid_search(lab: Lab) -> None:
    begun(lab, "redis-dies", 6)

    lab.cluster.kubectl("exec", "-n", OPERATOR_NAMESPACE, "deploy/pfpnas-operator", "--", "python", "-c", FLUSH)
    kill(lab, "redis")

    lab.wait("nas", "redis-dies", "Succeeded")
    assert_whole(lab, "redis-dies", 6)


FLUSH = """
from pfpnas_api.bus import connect
from pfpnas_operator.kube.config import read_config
from pfpnas_operator.kube.rights import operator_url
client = connect(operator_url(read_config()))
for key in client.scan_iter("pfp:v1:*"):
    client.delete(key)
"""
"""Delete every key by the operator's own user, which may not FLUSHALL."""


@pytest.mark.usefixtures("tiny")
def test_the_pods_of_tuner_and_worker_taken_away_in_mid_search(lab: Lab) -> None:
    begun(lab, "children-die", 6)

    lab.kubectl("delete", "pod", "-lpfpnas.io/name=children-die", "--grace-period=0", "--force")

    lab.wait("nas", "children-die", "Succeeded")
    assert_whole(lab, "children-die", 6)
