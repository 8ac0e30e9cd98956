"""Keepers and trials that somebody else made."""

import copy
from typing import Any

import pytest

from pfpnas_operator.kube.api import TRIALS, ApiAway, Object
from pfpnas_operator.kube.owners import LABEL_OWNER
from support.kube_site import NAMESPACE, Site
from support.reconcile_builders import condition


def test_a_trial_by_hand_is_adopted_and_measured_beside_the_others(site: Site) -> None:
    while not site.trials():
        site.step()
    site.tell(site.apply_trial("by-hand", 40))
    site.until("Succeeded")
    assert site.count("succeeded") == 7
    body = site.body(TRIALS, "by-hand")
    assert body["metadata"]["labels"][LABEL_OWNER] == site.experiment.uid
    assert body["status"]["score"] > 0


def test_a_trial_by_hand_after_the_end_is_measured_too(site: Site) -> None:
    site.until("Succeeded")
    site.tell(site.apply_trial("by-hand", 40))
    site.step()
    site.until("Succeeded")
    assert site.count("succeeded") == 7


def test_a_trial_by_hand_is_not_lost_when_the_api_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    while not site.trials():
        site.step()
    site.tell(site.apply_trial("by-hand", 40))

    def away(*_: Any, **__: Any) -> Object:
        raise ApiAway(503, "NoAnswer", "away")

    with monkeypatch.context() as patched:
        patched.setattr(site.server, "merge", away)
        with pytest.raises(ApiAway):
            site.experiment.cycle(site.now)
    site.until("Succeeded")
    assert site.body(TRIALS, "by-hand")["status"]["score"] > 0


def test_a_trial_by_hand_that_was_copied_with_its_labels_is_adopted_too(site: Site) -> None:
    while not site.trials():
        site.step()
    site.tell(site.apply_trial("by-hand", 40))
    site.until("Succeeded")
    copied = site.apply_trial("copied", 41, labels=site.body(TRIALS, "by-hand")["metadata"]["labels"])
    site.tell(copied)
    site.step()
    site.until("Succeeded")
    assert site.body(TRIALS, "copied")["status"]["score"] > 0
    assert site.count("succeeded") == 8


def test_a_trial_that_somebody_elses_controller_made_is_adopted_beside_it(site: Site) -> None:
    made = site.apply_trial("by-hand", 40)
    theirs = {"apiVersion": "example/v1", "kind": "Plan", "name": "plan", "uid": "theirs", "controller": True}
    site.server.objects[TRIALS.plural, NAMESPACE, "by-hand"]["metadata"]["ownerReferences"] = [theirs]
    site.tell(made)
    site.until("Succeeded")
    owners = site.body(TRIALS, "by-hand")["metadata"]["ownerReferences"]
    assert [(owner["uid"], owner["controller"]) for owner in owners] == [
        ("theirs", True),
        (site.experiment.uid, False),
    ]
    assert site.body(TRIALS, "by-hand")["status"]["score"] > 0


@pytest.mark.parametrize("name", ["by-hand", "search-00002"])
def test_the_figures_of_an_experiment_that_is_gone_stay_as_they_are(site: Site, name: str) -> None:
    kept = site.server.objects[TRIALS.plural, NAMESPACE, site.apply_trial(name, 40)["metadata"]["name"]]
    kept["status"] = {"conditions": [condition("Succeeded", "Scored").document()], "score": 0.5}
    before = copy.deepcopy(kept)
    site.tell(kept)
    site.until("Succeeded")
    assert site.body(TRIALS, name) == before
    assert site.count("succeeded") == 6


def test_a_trial_under_a_name_of_the_searchs_own_is_left_alone(site: Site) -> None:
    claimed = site.apply_trial("search-00002", 40)
    site.tell(claimed)
    site.until("Succeeded")
    assert "score" not in site.body(TRIALS, "search-00002").get("status", {})
    assert site.count("succeeded") == 6
