"""Keepers on a real Redis: searches to their end, over restarts, with trials that are deleted.

The API server's objects lie in memory here; tests/e2e has a real one.
"""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pfpnas_api.bus import TunerBus, keys
from pfpnas_operator.kube.api import EXPERIMENTS, JOBS, SECRETS, SUPERNETS, TRIALS, ApiAway, ApiError, Object, Place
from pfpnas_operator.kube.housekeeping import Housekeeper
from pfpnas_operator.kube.keeper import ACTIVE_SECONDS
from pfpnas_operator.kube.manifests import LATEST_SECONDS
from pfpnas_operator.kube.metrics import WATCH_MISSES
from pfpnas_operator.kube.packed import PackedTrials
from pfpnas_operator.kube.supernets import FINALIZER
from pfpnas_operator.reconcile import waits
from support.kube_site import NAMESPACE, POOL, PREDICTED, Site
from support.reconcile_builders import architecture


def test_a_search_goes_to_its_end(site: Site) -> None:
    site.until("Succeeded")
    assert [body["metadata"]["name"] for body in site.trials()] == [f"search-{index:05d}" for index in range(6)]
    assert all(body["metadata"]["ownerReferences"][0]["uid"] == site.experiment.uid for body in site.trials())
    assert site.count("succeeded") == 6
    secrets = [body["metadata"]["name"] for body in site.server.list(SECRETS, NAMESPACE)]
    assert secrets == ["search-nas-pfpnas", "tiny-sn-pfpnas"]


def test_no_candidate_stays_in_redis_after_its_trial(site: Site) -> None:
    site.until("Succeeded")
    assert site.tasks_without_chunks == 0
    assert not site.client.keys(keys.blobs(POOL))


def test_what_agents_are_to_measure_lies_in_redis_and_what_was_measured_does_not(site: Site) -> None:
    while not site.trials() or not site.count("succeeded"):
        site.step()
    site.cycle()
    assert site.true_conditions() >= {"Searching"}
    statuses = [body.get("status", {}) for body in site.trials()]
    measured = {status["artifact"]["sha256"] for status in statuses if status.get("score")}
    there = {key.decode().split(":")[-2] for key in site.client.keys(keys.blobs(POOL))}
    reference = site.body(EXPERIMENTS, "search")["status"]["reference"]["sha256"]
    assert reference in there
    assert measured
    assert not (measured - {reference}) & there


def test_a_manifest_that_can_not_be_used_fails_its_trial_and_nothing_else(site: Site) -> None:
    site.odd = {
        architecture(1): {"outcome": "Success"},
        architecture(2): {"artifacts": {"model": {"sha256": 64 * "0", "size": 5}}},
        architecture(3): {"artifacts": {"model": {"sha256": site.store.put(b"").sha256, "size": 0}}},
    }
    site.until("Succeeded")
    failed = {
        body["metadata"]["name"]: one["reason"]
        for body in site.trials()
        for one in body["status"]["conditions"]
        if (one["type"], one["status"]) == ("Failed", "True")
    }
    assert failed == dict.fromkeys(("search-00001", "search-00002", "search-00003"), "BadManifest")
    assert site.count("succeeded") == 3


def test_jobs_of_a_search_that_has_ended_go(site: Site) -> None:
    site.until("Succeeded")
    site.step()
    assert site.jobs_of(site.experiment.uid) == {}


def test_an_operator_that_was_killed_goes_on_where_it_was(site: Site) -> None:
    for _ in range(60):
        site.step()
        site.start_operator()
        if "Succeeded" in site.true_conditions():
            break
    assert len(site.trials()) == site.count("succeeded") == 6
    log = site.parts.bus.log(site.experiment.uid)
    finished = [entry.index for _, entry in log if entry.event == "Finished"]
    assert sorted(finished) == sorted(set(finished))  # type: ignore[type-var]


def test_what_was_predicted_outlives_an_operator_that_was_killed_before_it_wrote_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(place: Any, *what: Any, **how: Any) -> Any:
        if place is TRIALS:
            raise ApiAway(0, "NoAnswer", "killed")
        return type(site.server).amend(site.server, place, *what, **how)

    with monkeypatch.context() as patched:
        patched.setattr(site.server, "amend", killed)
        with pytest.raises(ApiAway, match="killed"):
            site.until("Succeeded")
    assert [body.get("status") for body in site.trials()] == [None] * 3
    site.start_operator()
    site.until("Succeeded")
    assert [body["status"]["predicted"] for body in site.trials()] == [PREDICTED.document()] * 6


def refuse(
    site: Site, patched: pytest.MonkeyPatch, place: Place, why: str, *, when: Callable[[], bool] = lambda: True
) -> None:
    """The server takes no new object of a kind while that holds."""

    def create(where: Place, *what: Any) -> Object:
        if where is place and when():
            raise ApiError(403, "Forbidden", why)
        return type(site.server).create(site.server, where, *what)

    patched.setattr(site.server, "create", create)


def test_a_quota_of_jobs_is_said_and_waited_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        refuse(site, patched, JOBS, "exceeded quota: jobs")
        for _ in range(10):
            site.step()
    conditions = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}
    assert conditions["Searching"]["reason"] == conditions["Succeeded"]["reason"] == "JobRefused"
    assert "exceeded quota: jobs" in conditions["Searching"]["message"]
    assert ("NASExperiment", "ReconcileFailed") not in site.events.said
    site.now += timedelta(minutes=1)
    site.until("Succeeded")


def test_a_quota_of_trials_is_said_and_waited_out_while_answers_are_taken_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        refuse(site, patched, TRIALS, "exceeded quota: trials", when=lambda: len(site.trials()) >= 2)
        for _ in range(20):
            site.step()
        conditions = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}
        assert conditions["Searching"]["reason"] == conditions["Succeeded"]["reason"] == "TrialRefused"
        assert "exceeded quota: trials" in conditions["Searching"]["message"]
        assert (site.count("created"), site.count("succeeded")) == (2, 2)
        before = len(site.server.writes)
        site.now += timedelta(seconds=10)
        site.step()
        site.step()
        assert len(site.server.writes) == before, "a try that fails like the one before changes nothing"
    assert site.events.said.count(("NASExperiment", "TrialRefused")) == 1
    assert ("NASExperiment", "ReconcileFailed") not in site.events.said
    site.now += timedelta(seconds=10)
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6


def test_a_policy_of_one_trial_at_a_time_is_told_once_and_skips_no_suggestion(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_goes_on() -> bool:
        return any(not body.get("status", {}).get("finishedAt") for body in site.trials())

    refuse(site, monkeypatch, TRIALS, "one at a time", when=one_goes_on)
    while not {"Succeeded", "Failed"} & site.true_conditions():
        site.step()
        site.now += timedelta(seconds=3)
    assert site.count("succeeded") == 6
    assert [body["spec"]["index"] for body in site.trials()] == list(range(6))
    assert site.events.said.count(("NASExperiment", "TrialRefused")) == 1


def test_a_search_that_failed_for_a_quota_is_tried_again_at_once_when_its_spec_is_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        refuse(site, patched, TRIALS, "exceeded quota: trials")
        patched.setattr(waits, "UNSCHEDULABLE_DEADLINE", timedelta(seconds=60))
        while "Failed" not in site.true_conditions():
            site.step()
            site.now += timedelta(seconds=10)
        assert site.said(EXPERIMENTS, "search", "Failed") == ("True", "TrialRefused")
        assert site.trials() == []
        budget = site.body(EXPERIMENTS, "search")["spec"]["budget"]
        site.wish(EXPERIMENTS, "search", budget={**budget, "maxTrials": 5})
        site.step()
        site.step()
        assert site.said(EXPERIMENTS, "search", "Searching") == ("False", "TrialRefused")
        assert "Failed" not in site.true_conditions()
    site.now += timedelta(seconds=10)
    site.until("Succeeded")
    assert site.count("succeeded") == 5


def test_a_name_that_another_experiments_trial_has_is_left_to_it(site: Site) -> None:
    spec = {"experimentRef": {"name": "other"}, "architecture": architecture(9)}
    site._apply(TRIALS, "Trial", "search-00001", spec)
    site.until("Succeeded")
    assert site.body(TRIALS, "search-00001")["spec"]["experimentRef"]["name"] == "other"
    assert site.count("succeeded") == 6
    assert ("NASExperiment", "TrialRefused") not in site.events.said


def test_a_search_at_rest_writes_nothing(site: Site) -> None:
    site.until("Succeeded")
    for _ in range(3):
        site.step()
    before = len(site.server.writes)
    for _ in range(3):
        site.step()
    assert len(site.server.writes) == before


def test_of_a_search_that_has_ended_no_trial_is_looked_at_again_though_redis_lost_its_log(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.until("Succeeded")
    site.step()
    site.client.flushall()
    site.cycle()

    def unpacked(*_: Any) -> None:
        raise AssertionError("a finished trial was unpacked")

    monkeypatch.setattr(PackedTrials, "__getitem__", unpacked)
    site.cycle()


@pytest.mark.parametrize("name", ["search-00003", "search-00005"])
def test_a_finished_trial_that_is_deleted_is_made_up_for(site: Site, name: str) -> None:
    site.until("Succeeded")
    gone = site.body(TRIALS, name)
    site.server.delete(TRIALS, NAMESPACE, name)
    site.tell(gone, deleted=True)
    site.step()
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6


def test_a_trial_that_is_deleted_while_all_are_read_is_made_up_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.until("Succeeded")
    site.start_operator()

    def deleted_meanwhile(place: Any, *what: Any, **how: Any) -> Any:
        found = list(type(site.server).list(site.server, place, *what, **how))
        for trial in found if place is TRIALS else ():
            if trial["metadata"]["name"] == "search-00003":
                site.server.delete(TRIALS, NAMESPACE, "search-00003")
                site.tell(trial, deleted=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(site.server, "list", deleted_meanwhile)
        site.cycle()
    site.step()
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6


def test_a_trial_whose_end_nothing_told_of_is_made_up_for(site: Site) -> None:
    while len(site.trials()) < 3 or not site.count("succeeded"):
        site.step()
    hub: Any = SimpleNamespace(parts=site.parts, experiments={"search": site.experiment})
    loop: Any = SimpleNamespace(
        call_soon_threadsafe=lambda call, *what: call(*what), call_later=lambda after, call, *what: call(*what)
    )
    chores = Housekeeper(hub, threads=site.calls, loop=loop)
    before = WATCH_MISSES._value.get()
    chores._compare_trials()
    assert not site.experiment.book.stale
    site.server.delete(TRIALS, NAMESPACE, "search-00000")
    chores._compare_trials()
    chores._compare_trials()
    assert WATCH_MISSES._value.get() == before + 1, "one that is made up for already is not missed again"
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6
    site.server.delete(TRIALS, NAMESPACE, "search-00001")
    chores._compare_trials()
    site.step()
    assert "Succeeded" not in site.true_conditions(), "also those of a search that has ended"
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6


def test_trials_are_compared_though_those_of_another_namespace_may_not_be_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.until("Succeeded")
    unseen: Any = SimpleNamespace(book=site.experiment.book, uid="uid", namespace="unseen", name="search", ended=False)
    hub: Any = SimpleNamespace(parts=site.parts, experiments={"unseen": unseen, "search": site.experiment})
    loop: Any = SimpleNamespace(
        call_soon_threadsafe=lambda call, *what: call(*what), call_later=lambda after, call, *what: call(*what)
    )

    def forbidden(place: Any, namespace: str, *what: Any, **how: Any) -> Any:
        if namespace == "unseen":
            raise ApiError(403, "Forbidden", "may not list trials")
        return type(site.server).list(site.server, place, namespace, *what, **how)

    monkeypatch.setattr(site.server, "list", forbidden)
    site.server.delete(TRIALS, NAMESPACE, "search-00000")
    Housekeeper(hub, threads=site.calls, loop=loop)._compare_trials()
    assert site.experiment.book.stale


def test_an_object_that_was_replaced_is_not_written(site: Site) -> None:
    site.step()
    body = site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]
    body["metadata"]["uid"] = "another"
    status = body.get("status")
    site.experiment.forget()
    assert site.experiment.cycle(site.now) > 0
    assert body.get("status") == status


def test_a_restart_does_not_doubt_that_the_supernet_is_there(site: Site) -> None:
    while not site.trials():
        site.step()
    site.start_operator()
    site.experiment.before()
    site.experiment.cycle(site.now)
    ready = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}["SupernetReady"]
    assert ready["status"] == "True"


def test_a_supernet_that_is_not_there_is_said(site: Site) -> None:
    del site.server.objects[SUPERNETS.plural, NAMESPACE, "tiny"]
    site.experiment.before()
    site.experiment.cycle(site.now)
    ready = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}["SupernetReady"]
    assert (ready["status"], ready["reason"]) == ("False", "NotFound")


def test_a_supernet_is_held_while_it_is_searched(site: Site) -> None:
    while not site.trials():
        site.step()
    assert site.body(SUPERNETS, "tiny")["metadata"]["finalizers"] == [FINALIZER]
    site.until("Succeeded")
    site.step()
    assert site.body(SUPERNETS, "tiny")["metadata"]["finalizers"] == []


def test_a_supernet_is_held_though_the_watch_has_not_told_of_its_search_yet(site: Site) -> None:
    while not site.trials():
        site.step()
    site.start_operator()
    site.supernet._list_users = lambda: []  # as at a start: Supernets may be told of before experiments
    site.supernet.before()
    site.supernet.cycle(site.now)
    assert site.body(SUPERNETS, "tiny")["metadata"]["finalizers"] == [FINALIZER]


def test_a_pool_that_the_namespace_may_not_use_is_said_and_left_alone(site: Site) -> None:
    body = site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]
    body["spec"]["target"]["pool"] = "secret"
    site.start_operator()
    for _ in range(4):
        site.step()
    accepted = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}["Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "PoolNotAllowed")
    assert not site.client.exists("pfp:v1:{secret}:tasks")


def test_a_search_that_loses_its_supernet_looks_for_no_manifests_meanwhile(site: Site) -> None:
    while site.experiment.manifests.pause() == LATEST_SECONDS:
        site.cycle()  # nobody builds what is asked for
        site.run_jobs()
        site.train()
        site.suggest(TunerBus(site.client, experiment=site.experiment.uid))
    site.experiment._supernet_of = lambda name: None
    site.cycle()
    assert site.said(EXPERIMENTS, "search", "SupernetReady") == ("False", "NotFound")
    site.experiment.before()
    assert site.experiment.cycle(site.now) == ACTIVE_SECONDS


def test_a_document_that_makes_no_experiment_is_refused_in_words(site: Site) -> None:
    body = site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]
    body["spec"]["objective"] = {"constraints": [{"metric": "Cost", "max": "2.5"}]}
    site.start_operator()
    site.cycle()
    accepted = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}["Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert "pricePerHour" in accepted["message"]
