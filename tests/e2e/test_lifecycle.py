"""What a user changes while a search runs, or after it has ended."""

import pytest

from support.release import Document, Lab, experiment

pytestmark = pytest.mark.usefixtures("agent")

LIMIT = {"constraints": [{"metric": "Latency", "maxRelative": "50"}]}


def succeeded(lab: Lab, name: str) -> int:
    return int(lab.get("nas", name).get("status", {}).get("trials", {}).get("succeeded", 0))


def jobs_of(lab: Lab, name: str) -> list[Document]:
    return lab.all("jobs", f"-lpfpnas.io/name={name}")


def test_a_suspended_search_stops_and_goes_on_where_it_was(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("paused", of=tiny, pool="bench", trials=8, objective=LIMIT))
    lab.until("a first result", lambda: succeeded(lab, "paused") > 0)

    lab.patch("nas", "paused", {"suspend": True})
    lab.wait("nas", "paused", "Suspended")
    lab.until("its Jobs are gone", lambda: jobs_of(lab, "paused") == [])
    before = {trial["metadata"]["name"]: trial["spec"]["architecture"] for trial in lab.trials("paused")}

    lab.patch("nas", "paused", {"suspend": False})
    lab.wait("nas", "paused", "Succeeded")
    after = {trial["metadata"]["name"]: trial["spec"]["architecture"] for trial in lab.trials("paused")}
    assert len(after) == 8
    assert before.items() <= after.items()
    lab.wait("nas", "paused", "Suspended", status="False", seconds=5)


def test_a_raised_budget_takes_a_search_up_again_after_its_end(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("more", of=tiny, pool="bench", trials=2, objective=LIMIT))
    lab.wait("nas", "more", "Succeeded")

    lab.patch("nas", "more", {"budget": {"maxTrials": 4, "parallelTrials": 4}})
    lab.until("two more trials", lambda: succeeded(lab, "more") == 4)
    lab.wait("nas", "more", "Succeeded")


def test_a_trial_by_hand_is_adopted_measured_and_told(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("guided", of=tiny, pool="bench", trials=2, objective=LIMIT))
    lab.wait("nas", "guided", "Succeeded")
    architecture = lab.trials("guided")[0]["spec"]["architecture"]
    by_hand = {
        "apiVersion": "pfpnas.io/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": "my-own-idea"},
        "spec": {"experimentRef": {"name": "guided"}, "architecture": architecture},
    }

    lab.apply(by_hand)

    lab.wait("nt", "my-own-idea", "Succeeded")
    trial = lab.get("nt", "my-own-idea")
    assert trial["status"]["score"] is not None
    assert trial["metadata"]["ownerReferences"][0]["name"] == "guided"
    lab.until("it is counted", lambda: succeeded(lab, "guided") == 3)


def test_a_trial_of_no_experiment_says_so(lab: Lab) -> None:
    orphan = {
        "apiVersion": "pfpnas.io/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": "orphan"},
        "spec": {"experimentRef": {"name": "nobody"}, "architecture": "r16-k3e1"},
    }
    lab.apply(orphan)

    told = lab.until("a condition", lambda: (lab.get("nt", "orphan").get("status") or {}).get("conditions"), seconds=60)
    assert "nobody" in " ".join(condition["message"] for condition in told)


def test_a_supernet_in_use_stays_until_its_search_is_over(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("user", of=tiny, pool="digits-pool", trials=1, objective=LIMIT))
    lab.until("the finalizer", lambda: lab.get("sn", tiny)["metadata"].get("finalizers"))

    lab.kubectl("delete", "nas", "user")

    lab.until("no finalizer", lambda: not lab.get("sn", tiny)["metadata"].get("finalizers"), seconds=90)


def test_a_search_whose_supernet_is_missing_waits_and_says_so(lab: Lab) -> None:
    lab.apply(experiment("early", of="not-yet", pool="bench", trials=1))

    waiting = lab.wait("nas", "early", "SupernetReady", status="False")
    assert (waiting["reason"], "not-yet" in waiting["message"]) == ("NotFound", True)
    lab.kubectl("delete", "nas", "early")
