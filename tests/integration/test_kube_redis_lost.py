"""Keepers whose Redis goes away, or forgets."""

from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from pfpnas_api.bus import WorkloadBus
from pfpnas_api.messages import Progress
from pfpnas_operator.kube.api import EXPERIMENTS, SUPERNETS, TRIALS
from pfpnas_operator.reconcile.deadlines import STALL_DEADLINE
from support.kube_site import NAMESPACE, Site


def test_redis_that_lost_everything_costs_no_trial(site: Site) -> None:
    while not site.trials():
        site.step()
    site.client.flushall()
    site.suggested = 0
    site.until("Succeeded")
    assert site.count("succeeded") == 6


def test_what_was_written_is_remembered_though_redis_went_away_after_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError("Redis is away")

    with monkeypatch.context() as patched:
        patched.setattr(site.parts.bus, "publish_build", away)
        with pytest.raises(ConnectionError):
            site.until("Succeeded")
    experiment = site.experiment
    written = site.body(EXPERIMENTS, "search")["status"]
    assert written["attempts"]
    assert experiment._status is not None
    assert experiment._status.document() == written


def without_redis(site: Site, monkeypatch: pytest.MonkeyPatch, *, looks: int = 1) -> None:
    """So many looks while it is away."""

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("Error 111 connecting to redis:6379. Connection refused.")

    with monkeypatch.context() as patched:
        for call in ("log", "ensure_pool"):
            patched.setattr(site.parts.bus, call, away)
        for _ in range(looks):
            site.experiment.before()
            site.experiment._guarded()
            assert site.experiment._failing


def reason(site: Site, kind: str) -> tuple[str, str]:
    found = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}[kind]
    return found["status"], found["reason"]


@pytest.mark.parametrize("anew", [False, True])
def test_that_redis_is_away_is_said_and_a_wish_to_suspend_obeyed(
    site: Site, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    while not site.trials():
        site.step()
    if anew:
        site.start_operator()
        site.supernet.looked = True
    read: list[Any] = []
    listed = site.server.list
    monkeypatch.setattr(site.server, "list", lambda place, *a, **k: read.append(place) or listed(place, *a, **k))
    without_redis(site, monkeypatch, looks=2)
    assert reason(site, "Searching") == ("Unknown", "RedisAway")
    assert site.jobs_of(site.experiment.uid)
    site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]["spec"]["suspend"] = True
    site.experiment.forget()
    without_redis(site, monkeypatch)
    assert reason(site, "Suspended") == ("True", "Suspended")
    assert not site.jobs_of(site.experiment.uid)
    assert TRIALS not in read, "the trials are not read at every try"
    site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]["spec"]["suspend"] = False
    site.experiment.forget()
    site.until("Succeeded")
    assert site.count("succeeded") == 6


def test_a_connection_that_is_back_at_the_next_look_is_not_worth_a_word(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    while not site.trials():
        site.step()
    before = reason(site, "Searching"), reason(site, "Succeeded")
    without_redis(site, monkeypatch)
    assert (reason(site, "Searching"), reason(site, "Succeeded")) == before
    site.experiment._guarded()
    without_redis(site, monkeypatch)
    assert (reason(site, "Searching"), reason(site, "Succeeded")) == before


def test_a_wish_to_suspend_is_obeyed_at_the_first_look_without_redis(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    while not site.trials():
        site.step()
    site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]["spec"]["suspend"] = True
    site.experiment.forget()
    without_redis(site, monkeypatch)
    assert reason(site, "Suspended") == ("True", "Suspended")


# -- a Supernet --------------------------------------------------------------------------------------------------------


def trained_by_now(site: Site) -> None:
    """Its Job runs, and has said how far it is."""
    site.try_cycle(site.supernet)
    site.run_jobs()
    (job,) = site.jobs_of(site.supernet.uid).values()
    WorkloadBus(site.client).report(job.document, Progress(stage="Pretrain", done=1, total=4))
    assert site.try_cycle(site.supernet)
    assert site.body(SUPERNETS, "tiny")["status"]["progress"]["percent"] == 25


def test_of_a_supernet_in_training_it_is_said_and_a_wish_to_suspend_obeyed(site: Site) -> None:
    trained_by_now(site)
    site.redis.kill()
    assert not site.try_cycle(site.supernet)
    assert site.said(SUPERNETS, "tiny", "Trained") == ("False", "Training"), "at the next look it may be back"
    assert not site.try_cycle(site.supernet)
    assert site.said(SUPERNETS, "tiny", "Trained") == ("Unknown", "RedisAway")
    assert site.said(SUPERNETS, "tiny", "Ready") == ("False", "RedisAway")
    assert site.jobs_of(site.supernet.uid)
    writes = len(site.server.writes)
    site.try_cycle(site.supernet)
    assert len(site.server.writes) == writes, "it is said once"

    site.wish(SUPERNETS, "tiny", suspend=True)
    site.try_cycle(site.supernet)
    assert site.said(SUPERNETS, "tiny", "Suspended") == ("True", "Suspended")
    assert not site.jobs_of(site.supernet.uid)

    site.wish(SUPERNETS, "tiny", suspend=False)
    site.redis.start()
    site.until("Succeeded")


def test_what_a_supernets_jobs_left_behind_is_taken_up_meanwhile(site: Site) -> None:
    trained_by_now(site)
    site.redis.kill()
    site.train()
    for _ in range(4):
        site.try_cycle(site.supernet)
    assert site.said(SUPERNETS, "tiny", "Trained") == ("True", "Trained")
    assert site.said(SUPERNETS, "tiny", "Ready") == ("True", "Ready")


def test_an_operator_that_was_started_meanwhile_tells_searches_that_their_supernet_is_there(site: Site) -> None:
    trained_by_now(site)
    site.redis.kill()
    site.start_operator()
    for _ in range(2):
        assert not site.supernet.looked
        site.try_cycle(site.supernet)
    assert site.supernet.looked


def test_a_supernet_is_under_way_until_it_is_ready(site: Site) -> None:
    assert not site.supernet.ended
    while not site.trials():
        site.step()
    site.supernet.put(site.body(SUPERNETS, "tiny"))
    assert site.supernet.ended


def test_an_outage_is_no_silence_of_a_supernets_job(site: Site) -> None:
    trained_by_now(site)
    site.redis.kill()
    site.supernet.now = late = site.now + 2 * STALL_DEADLINE
    with pytest.raises(ConnectionError) as met:
        site.supernet.cycle(late)
    site.supernet._learn(met.value)
    site.redis.start()
    site.supernet.cycle(late + timedelta(seconds=1))
    assert site.said(SUPERNETS, "tiny", "Trained") == ("False", "Training")
    assert site.body(SUPERNETS, "tiny")["status"].get("attempts", {}) == {}
