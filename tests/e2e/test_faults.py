"""What is killed or taken away in mid-search comes back, and nothing is lost or counted twice."""

import pytest

from support.lab import Lab, assert_whole, experiment, succeeded
from support.release import OutsideAgent, Release

KILLED = 137
"""Exit code of a container that was ended by SIGKILL."""

FLUSH = """
from pfpnas_api.bus import connect
from pfpnas_operator.kube.config import read_config
from pfpnas_operator.kube.rights import operator_url
client = connect(operator_url(read_config()))
for key in client.scan_iter("pfp:v1:*"):
    client.delete(key)
"""
"""Delete every key by the operator's own user, which may not FLUSHALL."""


def begun(lab: Lab, name: str, *, trials: int, pool: str = "bench") -> None:
    lab.apply(experiment(name, of="tiny", pool=pool, trials=trials))
    lab.until("a first result", lambda: succeeded(lab, name))


def killed_and_restarted(lab: Lab, component: str) -> None:
    """`kill -9` to the one container of a component; the same pod runs it again."""
    release = lab.release
    before = release.pod(component)
    name = before["metadata"]["name"]
    lab.cluster.kill(name, namespace=release.namespace, container=component)

    def restarted() -> bool:
        pod = release.pod(component)
        container = pod["status"]["containerStatuses"][0]
        ended = container["lastState"].get("terminated", {}).get("exitCode")
        grown = container["restartCount"] > before["status"]["containerStatuses"][0]["restartCount"]
        return bool(pod["metadata"]["uid"] == before["metadata"]["uid"] and grown and ended == KILLED)

    lab.until(f"{name} runs again", restarted)


@pytest.mark.usefixtures("agent", "tiny")
def test_the_operator_killed_in_mid_search(lab: Lab) -> None:
    begun(lab, "operator-dies", trials=8)

    killed_and_restarted(lab, "operator")

    lab.wait("nas", "operator-dies", "Succeeded")
    assert_whole(lab, "operator-dies", trials=8)


@pytest.mark.usefixtures("agent", "tiny")
def test_redis_emptied_killed_and_away_for_a_while_in_mid_search(lab: Lab) -> None:
    begun(lab, "redis-dies", trials=8)

    lab.release.in_operator(FLUSH)
    killed_and_restarted(lab, "redis")
    redis_goes_and_comes(lab.release, lab)

    lab.wait("nas", "redis-dies", "Succeeded")
    assert_whole(lab, "redis-dies", trials=8)


def redis_goes_and_comes(release: Release, lab: Lab) -> None:
    """Longer than a restart takes: it is metered meanwhile."""
    redis = ("sts/pfpnas-redis", "-n", release.namespace)
    try:
        lab.cluster.kubectl("scale", *redis, "--replicas=0")
        lab.until("the operator misses Redis", lambda: release.metrics()["pfpnas_redis_up"] == 0)
    finally:
        lab.cluster.kubectl("scale", *redis, "--replicas=1")
    lab.until("the operator has Redis again", lambda: release.metrics()["pfpnas_redis_up"] == 1)


@pytest.mark.usefixtures("agent", "tiny")
def test_tuner_and_worker_killed_in_mid_search(lab: Lab) -> None:
    begun(lab, "children-die", trials=8)
    before = {pod["metadata"]["uid"]: pod for pod in lab.children("children-die", "pods")}
    assert {component_of(pod) for pod in before.values()} == {"tune", "trial-worker"}

    for pod in before.values():
        lab.cluster.kill(pod["metadata"]["name"], namespace=lab.namespace, container="main")

    again: set[str] = set()

    def both_again() -> bool:
        pods = lab.children("children-die", "pods")
        again.update(component_of(pod) for pod in pods if pod["metadata"]["uid"] not in before)
        return again == {"tune", "trial-worker"}

    lab.until("a new tuner and a new worker", both_again)
    lab.wait("nas", "children-die", "Succeeded")
    assert_whole(lab, "children-die", trials=8)
    told = lab.all("events", "--field-selector=involvedObject.name=children-die,reason=JobFailed")
    assert [event for event in told if "exit code 137" in event["message"]], "the tuner's death is told"


def component_of(pod: dict[str, dict[str, dict[str, str]]]) -> str:
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


@pytest.mark.usefixtures("tiny")
def test_an_agent_that_goes_away_in_mid_search_is_missed_and_comes_back(lab: Lab, lone_agent: OutsideAgent) -> None:
    begun(lab, "missed", trials=12, pool="lonely")

    lone_agent.end()
    missed = lab.wait("nas", "missed", "AgentsAvailable", status="False")
    assert missed["reason"] == "NoHeartbeat"
    assert "lonely" in missed["message"]
    assert succeeded(lab, "missed") < 12
    lab.until("nobody is counted", lambda: lab.release.metrics(pool="lonely").get("pfpnas_agents") == 0)

    lone_agent.start()
    lab.wait("nas", "missed", "AgentsAvailable")
    lab.wait("nas", "missed", "Succeeded")
    assert_whole(lab, "missed", trials=12)
