"""What is killed or taken away in mid-search comes back, and nothing is lost or counted twice.

Each search has far more trials than it could measure meanwhile, so that it is in its middle whatever the machine's
speed; once the fault is over it is told to end soon.
"""

import pytest

from support.lab import Lab, assert_whole, experiment, succeeded
from support.release import OutsideAgent, without

MANY = 200
"""Trials: minutes of measuring."""

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


def begun(lab: Lab, name: str, *, pool: str = "bench") -> None:
    lab.apply(experiment(name, of="tiny", pool=pool, trials=MANY))
    lab.until("a first result", lambda: succeeded(lab, name))


def assert_in_its_middle(lab: Lab, name: str) -> None:
    """So it was when whatever came before this happened: who searched on since has not come to the end either."""
    ended = lab.condition("nas", name, "Succeeded")
    assert ended is None or ended["status"] == "False"
    assert 0 < succeeded(lab, name) < MANY


def assert_ends_whole(lab: Lab, name: str) -> None:
    """It goes on, and measures a few more than there are; all of them are there and counted, once."""
    trials = len(lab.trials(name)) + 4  # of which some may have begun until the operator hears of it
    lab.patch("nas", name, {"budget": {"maxTrials": trials}})
    lab.wait("nas", name, "Succeeded")
    assert_whole(lab, name, trials=trials)


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
    begun(lab, "operator-dies")

    killed_and_restarted(lab, "operator")

    assert_in_its_middle(lab, "operator-dies")
    assert_ends_whole(lab, "operator-dies")


@pytest.mark.usefixtures("agent", "tiny")
def test_redis_emptied_and_killed_then_redis_and_store_away_for_a_while_in_mid_search(lab: Lab) -> None:
    begun(lab, "unserved")

    lab.release.in_operator(FLUSH)
    killed_and_restarted(lab, "redis")
    assert_in_its_middle(lab, "unserved")
    redis_goes_and_comes(lab, "unserved")
    store_goes_and_comes(lab, "unserved")

    assert_ends_whole(lab, "unserved")


def redis_goes_and_comes(lab: Lab, search: str) -> None:
    """Longer than a restart takes: the search says so, and it is metered."""
    release = lab.release
    with without(lab.cluster, "redis", namespace=release.namespace):
        assert_said_to_be_away(lab, search, reason="RedisAway")
        lab.until("the operator misses Redis", lambda: release.metrics()["pfpnas_redis_up"] == 0)
    lab.until("the operator has Redis again", lambda: release.metrics()["pfpnas_redis_up"] == 1)
    lab.wait("nas", search, "Searching")


def store_goes_and_comes(lab: Lab, search: str) -> None:
    """The store's volume is mounted by one pod at a time, so there is no second one to go on with."""
    with without(lab.cluster, "artifacts", namespace=lab.release.namespace):
        assert_said_to_be_away(lab, search, reason="StoreAway")
    lab.wait("nas", search, "Searching")


def assert_said_to_be_away(lab: Lab, search: str, *, reason: str) -> None:
    """That nobody knows how the search is, and why it does not go on; it has not ended."""
    lab.wait("nas", search, "Succeeded", status="False", reason=reason)
    lab.wait("nas", search, "Searching", status="Unknown", reason=reason)
    assert_in_its_middle(lab, search)


@pytest.mark.usefixtures("agent", "tiny")
def test_tuner_and_worker_killed_in_mid_search(lab: Lab) -> None:
    begun(lab, "children-die")
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
    assert_in_its_middle(lab, "children-die")
    assert_ends_whole(lab, "children-die")
    told = lab.all("events", "--field-selector=involvedObject.name=children-die,reason=JobFailed")
    assert [event for event in told if "exit code 137" in event["message"]], "the tuner's death is told"


def component_of(pod: dict[str, dict[str, dict[str, str]]]) -> str:
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


@pytest.mark.usefixtures("tiny")
def test_an_agent_that_goes_away_in_mid_search_is_missed_and_comes_back(lab: Lab, lone_agent: OutsideAgent) -> None:
    begun(lab, "missed", pool="lonely")

    lone_agent.end()
    missed = lab.wait("nas", "missed", "AgentsAvailable", status="False")
    assert missed["reason"] == "NoHeartbeat"
    assert "lonely" in missed["message"]
    assert_in_its_middle(lab, "missed")
    lab.until("nobody is counted", lambda: lab.release.metrics(pool="lonely").get("pfpnas_agents") == 0)

    lone_agent.start()
    lab.wait("nas", "missed", "AgentsAvailable")
    assert_ends_whole(lab, "missed")
