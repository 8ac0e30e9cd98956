"""Keepers on a real Redis: searches to their end, over restarts, with trials by hand and trials that are deleted.

The API server's objects lie in memory here; tests/e2e has a real one.
"""

import asyncio
import contextlib
import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, GroupMissing, OperatorBus, TunerBus, WorkerBus, WorkloadBus, connect, keys
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import Supernet
from pfpnas_api.kinds.prediction import PredictedMetrics
from pfpnas_api.messages import Heartbeat, Suggestion
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.driving.clock import moment_after
from pfpnas_operator.kube.api import EXPERIMENTS, JOBS, SECRETS, SUPERNETS, TRIALS, ApiAway, ApiError, Object
from pfpnas_operator.kube.experiments import ExperimentKeeper
from pfpnas_operator.kube.jobviews import JobRecord, record_of
from pfpnas_operator.kube.owners import LABEL_OWNER
from pfpnas_operator.kube.packed import PackedTrials
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.rights import Rights
from pfpnas_operator.kube.supernets import FINALIZER, SupernetKeeper
from pfpnas_operator.reconcile import names
from pfpnas_operator.store.tokens import Key
from support.instant_work import figures
from support.kube_parts import CONFIG
from support.kube_server import ObjectServer
from support.reconcile_builders import SPEC, architecture, condition, predictor_manifest, pretrain_manifest
from support.redis_server import redis_server

NAMESPACE, POOL = "team-a", "dev"
KEY = Key(b"k" * 32)
PREDICTED = PredictedMetrics(accuracy=0.5, latency_milliseconds=2.0)
CONFIGURED = CONFIG.model_copy(
    update={"pools": {POOL: (NAMESPACE,)}, "redis": CONFIG.redis.model_copy(update={"users": "Off"})}
)


class Silent:
    """Takes Events, and keeps them."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def tell(self, event: Any, subject: Any) -> None:
        self.said.append((subject.kind, event.reason))


class Site:
    """A server, a Redis, a store, and everybody who works there; `step` lets each do what there is to do."""

    def __init__(self, url: str, folder: Path) -> None:
        self.server, self.client, self.store = ObjectServer(), connect(url), FolderStore(folder)
        self.events, self.loop = Silent(), asyncio.new_event_loop()
        self.calls = ThreadPoolExecutor(4)
        self.now = datetime.now(UTC)
        self.suggested = 0
        self.tasks_without_chunks = 0
        self.odd: dict[str, dict[str, Any]] = {}
        """What the manifests of some architectures say in place of what is right."""
        self.parts = self._parts()
        self._apply(SUPERNETS, "Supernet", "tiny", SPEC)
        self.apply_experiment()
        self.start_operator()

    def _parts(self) -> Parts:
        api: Any = self.server
        announcer: Any = self.events
        users = RedisUsers(self.client, KEY)
        return Parts(
            config=CONFIGURED,
            api=api,
            redis=self.client,
            bus=OperatorBus(self.client),
            blobs=WorkloadBus(self.client),
            store=self.store,
            users=users,
            rights=Rights(api=api, config=CONFIGURED, key=KEY, users=users, store=self.store),
            announcer=announcer,
            calls=self.calls,
        )

    def _apply(self, place: Any, kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Object:
        body = {"apiVersion": "pfpnas.io/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        return self.server.create(place, NAMESPACE, body)

    def apply_experiment(self, *, trials: int = 6) -> Object:
        spec = {
            "supernetRef": {"name": "tiny"},
            "target": {"pool": POOL, "dataset": "private", "head": "Supernet"},
            "tuner": {"algorithm": "RandomSearch"},
            "budget": {"maxTrials": trials, "parallelTrials": 3, "finalists": 1},
            "trialTemplate": {"mode": "Pooled"},
        }
        return self._apply(EXPERIMENTS, "NASExperiment", "search", spec)

    def apply_trial(self, name: str, number: int, *, labels: dict[str, str] | None = None) -> Object:
        spec = {"experimentRef": {"name": "search"}, "architecture": architecture(number)}
        return self._apply(TRIALS, "Trial", name, spec, labels=labels or {})

    # -- the operator ------------------------------------------------------------------------------------------

    def start_operator(self) -> None:
        """A new one, which knows only what the server, Redis and the store hold."""
        kept: dict[str, Any] = {"threads": self.calls, "loop": self.loop, "changed": lambda: None}
        self.supernet = SupernetKeeper(
            self.body(SUPERNETS, "tiny"),
            self.parts,
            jobs=lambda: self.jobs_of(self.supernet.uid),
            users=lambda: [] if self.experiment.ended else ["search"],
            **kept,
        )
        self.experiment = ExperimentKeeper(
            self.body(EXPERIMENTS, "search"),
            self.parts,
            jobs=lambda: self.jobs_of(self.experiment.uid),
            supernet=lambda name: self.supernet.supernet,
            awaited=lambda name: not self.supernet.looked,
            source=lambda name: None,
            **kept,
        )

    def body(self, place: Any, name: str) -> Object:
        found = self.server.get(place, NAMESPACE, name)
        assert found is not None
        return found

    def tell(self, trial: Object, *, deleted: bool = False) -> None:
        """What the watch tells of a trial."""
        self.experiment.trial_told(trial["metadata"]["name"], trial["metadata"]["uid"], deleted=deleted)

    def jobs_of(self, uid: str) -> dict[str, JobRecord]:
        bodies = self.server.list(JOBS, NAMESPACE, labels=f"{LABEL_OWNER}={uid}")
        return {record.name: record for record in map(record_of, bodies)}

    def cycle(self) -> None:
        for keeper in (self.supernet, self.experiment):
            self.now = moment_after(self.now, clock=datetime.now(UTC))
            keeper.before()
            keeper.cycle(self.now)

    # -- the others --------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One cycle, and everybody else's work."""
        self.cycle()
        self.run_jobs()
        self.train()
        uid = self.experiment.uid
        self.suggest(TunerBus(self.client, experiment=uid))
        self.build(WorkerBus(self.client, experiment=uid, worker="w"))
        self.measure(AgentBus(self.client, pool=POOL, agent="agent"))

    def run_jobs(self) -> None:
        for (plural, _, _), body in self.server.objects.items():
            if plural == JOBS.plural:
                body["status"] = {"startTime": body["metadata"]["creationTimestamp"], "active": 1, "ready": 1}

    def train(self) -> None:
        uids = names.supernet_manifests(Supernet.model_validate(self.body(SUPERNETS, "tiny")))
        for uid, made in zip(uids, (pretrain_manifest(), predictor_manifest()), strict=True):
            self.store.write_manifest(made.model_copy(update={"uid": uid}))

    def suggest(self, bus: TunerBus) -> None:
        asked = max((entry.count or 0 for _, entry in bus.read() if entry.event == "Ask"), default=0)
        for index in range(self.suggested, asked):
            bus.suggest(Suggestion(index=index, architecture=architecture(index), predicted=PREDICTED))
        self.suggested = max(self.suggested, asked)

    def build(self, bus: WorkerBus) -> None:
        while (claim := bus.next(block_milliseconds=1)) is not None:
            assert claim.request is not None
            model = self.store.put(claim.request.architecture.encode())
            manifest = Manifest(uid=claim.request.uid, outcome="Done", artifacts={"model": model}).document()
            self.store.write_ref(claim.request.uid, manifest | self.odd.get(claim.request.architecture, {}))
            self.experiment.manifests.rang(claim.request.uid)
            bus.acknowledge(claim)

    def measure(self, bus: AgentBus) -> None:
        bus.beat(Heartbeat(state="Idle"))
        with contextlib.suppress(GroupMissing):
            while (claim := bus.next(block_milliseconds=1)) is not None:
                assert claim.task is not None
                for model in filter(None, (claim.task.model, claim.task.reference)):
                    self.tasks_without_chunks += not self.client.exists(keys.blob(POOL, model.sha256, 0))
                bus.answer(figures(claim.task))
                bus.acknowledge(claim)

    def until(self, condition: str, *, most: int = 60) -> None:
        for _ in range(most):
            self.step()
            if condition in self.true_conditions():
                return
        raise AssertionError(f"not {condition}: {self.body(EXPERIMENTS, 'search')['status']}")

    def true_conditions(self) -> set[str]:
        conditions = self.body(EXPERIMENTS, "search").get("status", {}).get("conditions", ())
        return {one["type"] for one in conditions if one["status"] == "True"}

    def trials(self) -> list[Object]:
        return list(self.server.list(TRIALS, NAMESPACE))

    def count(self, state: str) -> int:
        counts = self.body(EXPERIMENTS, "search")["status"]["trials"]
        return int(counts[state])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redis_server() as server:
        made = Site(server.url, tmp_path)
        yield made
        made.calls.shutdown()
        made.loop.close()
        made.client.close()


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


def test_a_quota_of_jobs_is_said_and_waited_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(place: Any, *what: Any) -> Object:
        if place is JOBS:
            raise ApiError(403, "Forbidden", "exceeded quota: jobs")
        return type(site.server).create(site.server, place, *what)

    with monkeypatch.context() as patched:
        patched.setattr(site.server, "create", refused)
        for _ in range(10):
            site.step()
    conditions = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}
    assert conditions["Searching"]["reason"] == conditions["Succeeded"]["reason"] == "JobRefused"
    assert "exceeded quota: jobs" in conditions["Searching"]["message"]
    assert ("NASExperiment", "ReconcileFailed") not in site.events.said
    site.now += timedelta(minutes=1)
    site.until("Succeeded")


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


@pytest.mark.parametrize("name", ["search-00003", "search-00005"])
def test_a_finished_trial_that_is_deleted_is_made_up_for(site: Site, name: str) -> None:
    site.until("Succeeded")
    gone = site.body(TRIALS, name)
    site.server.delete(TRIALS, NAMESPACE, name)
    site.tell(gone, deleted=True)
    site.step()
    site.until("Succeeded")
    assert len(site.trials()) == site.count("succeeded") == 6


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


def test_a_document_that_makes_no_experiment_is_refused_in_words(site: Site) -> None:
    body = site.server.objects[EXPERIMENTS.plural, NAMESPACE, "search"]
    body["spec"]["objective"] = {"constraints": [{"metric": "Cost", "max": "2.5"}]}
    site.start_operator()
    site.cycle()
    accepted = {one["type"]: one for one in site.body(EXPERIMENTS, "search")["status"]["conditions"]}["Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert "pricePerHour" in accepted["message"]
