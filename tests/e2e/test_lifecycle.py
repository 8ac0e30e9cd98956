"""What a user changes while a search runs, or after it has ended."""

import json
from itertools import islice

import pytest

from support.lab import Document, Lab, experiment, succeeded, supernet, trial
from support.tiny_supernet import TINY, tiny_spec

pytestmark = pytest.mark.usefixtures("agent")


def test_a_suspended_search_stops_and_goes_on_where_it_was(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("paused", of=tiny, pool="bench", trials=200))  # it must not be at its end before it is paused
    lab.until("a first result", lambda: succeeded(lab, "paused") > 0)

    lab.patch("nas", "paused", {"suspend": True})
    lab.wait("nas", "paused", "Suspended")
    lab.until("its Jobs are gone", lambda: lab.children("paused") == [])
    lab.until("its agent is counted", lambda: lab.release.metrics(pool="bench").get("pfpnas_agents") == 1)
    before = {one["metadata"]["name"]: one["spec"]["architecture"] for one in lab.trials("paused")}

    lab.patch("nas", "paused", {"suspend": False, "budget": {"maxTrials": len(before) + 4}})
    lab.wait("nas", "paused", "Succeeded")
    after = {one["metadata"]["name"]: one["spec"]["architecture"] for one in lab.trials("paused")}
    assert len(after) == len(before) + 4
    assert before.items() <= after.items()
    lab.wait("nas", "paused", "Suspended", status="False")


LOG = """
import sys
from pfpnas_api.bus import OperatorBus, connect
from pfpnas_operator.kube.config import read_config
from pfpnas_operator.kube.rights import operator_url
entries = [entry for _, entry in OperatorBus(connect(operator_url(read_config()))).log(sys.argv[1])]
print("[" + ",".join(entry.model_dump_json() for entry in entries) + "]")
"""
"""What the tuner of an experiment is told."""


def not_searched(lab: Lab, name: str, *, count: int) -> list[str]:
    """Architectures that no trial has: of the smallest and the largest those that are free, then any."""
    taken = {one["spec"]["architecture"] for one in lab.trials(name)}
    space = tiny_spec().search_space.space(classes=10)
    others = islice(space.enumerate(), len(taken) + count + 2)
    found = dict.fromkeys(one.id for one in (space.minimum(), space.maximum(), *others))
    return [one for one in found if one not in taken][:count]


def accuracy_and_latency(one: Document) -> tuple[float, float]:
    metrics = one["status"]["metrics"]
    return metrics["accuracy"], metrics["latencyMilliseconds"]["p50"]


def front_of(trials: list[Document]) -> set[str]:
    """Names of the trials that no other one beats in both figures."""
    points = {one["metadata"]["name"]: accuracy_and_latency(one) for one in trials}

    def beaten(point: tuple[float, float]) -> bool:
        return any(o != point and o[0] >= point[0] and o[1] <= point[1] for o in points.values())

    return {name for name, point in points.items() if not beaten(point)}


@pytest.fixture(scope="module")
def by_hand(lab: Lab, tiny: str) -> dict[str, str]:
    """Trials that were added to the search `guided` after its end, and their architectures; it has ended again."""
    in_time = {"constraints": [{"metric": "Latency", "max": "10s"}]}
    lab.apply(experiment("guided", of=tiny, pool="bench", trials=2, objective=in_time))
    lab.wait("nas", "guided", "Succeeded")
    wanted = {f"my-idea-{n}": text for n, text in enumerate(not_searched(lab, "guided", count=2))}
    lab.apply(*(trial(name, of="guided", architecture=text) for name, text in wanted.items()))
    for name in wanted:
        lab.wait("nt", name, "Succeeded")
    lab.until("they are counted", lambda: succeeded(lab, "guided") == 4)
    lab.wait("nas", "guided", "Succeeded")
    return wanted


def test_trials_by_hand_are_measured_and_ranked_with_the_others(lab: Lab, by_hand: dict[str, str]) -> None:
    status, trials = lab.get("nas", "guided")["status"], lab.trials("guided")
    assert {point["trial"] for point in status["front"]} == front_of(trials)
    scores = {one["metadata"]["name"]: one["status"]["score"] for one in trials}
    assert scores[status["best"]["trial"]] == max(scores.values())
    mine = [one for one in trials if one["metadata"]["name"] in by_hand]
    assert [one["metadata"]["ownerReferences"][0]["name"] for one in mine] == ["guided", "guided"]
    digests = {one["status"]["artifact"]["sha256"] for one in trials}
    assert len(digests) == len(trials), "each is a model of its own"


def test_a_raised_budget_takes_a_search_up_again_and_its_tuner_knows_all_trials(
    lab: Lab, by_hand: dict[str, str]
) -> None:
    lab.patch("nas", "guided", {"budget": {"maxTrials": 4, "parallelTrials": 4}})
    lab.until("two more trials", lambda: succeeded(lab, "guided") == 6)
    lab.wait("nas", "guided", "Succeeded")

    entries = json.loads(lab.release.in_operator(LOG, lab.get("nas", "guided")["metadata"]["uid"]))
    told = {one["architecture"] for one in entries if one["event"] == "Finished" and one["index"] is None}
    assert told == set(by_hand.values())


def test_a_trial_of_no_experiment_says_so(lab: Lab) -> None:
    lab.apply(trial("orphan", of="nobody", architecture="r16-k3e1"))

    told = lab.until("a condition", lambda: (lab.get("nt", "orphan").get("status") or {}).get("conditions"))
    assert "nobody" in " ".join(condition["message"] for condition in told)


def test_a_supernet_in_use_stays_until_its_search_is_gone(lab: Lab) -> None:
    lab.apply(supernet("used", {**TINY, "suspend": True}), experiment("user", of="used", pool="bench", trials=1))
    lab.until("the finalizer", lambda: lab.get("sn", "used")["metadata"].get("finalizers"))

    lab.kubectl("delete", "sn", "used", "--wait=false")
    assert "deletionTimestamp" in lab.get("sn", "used")["metadata"]
    lab.kubectl("delete", "nas", "user")

    gone = ("get", "sn", "used", "--ignore-not-found", "-o", "name")
    lab.until("the Supernet is gone", lambda: not lab.kubectl(*gone).strip())


def test_a_search_whose_supernet_is_missing_waits_and_says_so(lab: Lab) -> None:
    lab.apply(experiment("early", of="not-yet", pool="bench", trials=1))

    waiting = lab.wait("nas", "early", "SupernetReady", status="False")
    assert (waiting["reason"], "not-yet" in waiting["message"]) == ("NotFound", True)
    lab.kubectl("delete", "nas", "early")
