"""Keepers on a real Redis and everybody they work with; the API server's objects lie in memory."""

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pfpnas_api.artifacts import ArtifactStore, FolderStore
from pfpnas_api.bus import AgentBus, GroupMissing, OperatorBus, TunerBus, WorkerBus, WorkloadBus, connect, keys
from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import Supernet
from pfpnas_api.kinds.prediction import PredictedMetrics
from pfpnas_api.messages import Heartbeat, Suggestion
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.driving.clock import moment_after
from pfpnas_operator.kube.api import EXPERIMENTS, JOBS, SUPERNETS, TRIALS, Object
from pfpnas_operator.kube.experiments import ExperimentKeeper
from pfpnas_operator.kube.jobviews import JobRecord, record_of
from pfpnas_operator.kube.keeper import Keeper
from pfpnas_operator.kube.owners import LABEL_OWNER
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.rights import Rights
from pfpnas_operator.kube.supernets import SupernetKeeper
from pfpnas_operator.reconcile import names
from pfpnas_operator.store.tokens import Key
from support.instant_work import figures
from support.kube_parts import CONFIG
from support.kube_server import ObjectServer
from support.reconcile_builders import SPEC, architecture, predictor_manifest, pretrain_manifest
from support.redis_server import RedisServer, redis_server

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

    def __init__(self, redis: RedisServer, store: ArtifactStore) -> None:
        self.redis, self.store = redis, store
        self.server, self.client = ObjectServer(), connect(redis.url)
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

    def try_cycle(self, keeper: Keeper) -> bool:
        """One cycle of a keeper, which may meet an error; whether it met none."""
        keeper.before()
        keeper._guarded()
        return not keeper._failing

    def wish(self, place: Any, name: str, **spec: Any) -> None:
        """A change of a spec, which the watch tells of."""
        body = self.server.objects[place.plural, NAMESPACE, name]
        body["spec"] |= spec
        body["metadata"]["generation"] += 1
        self.server._written("wish", (place.plural, NAMESPACE, name))
        {SUPERNETS: self.supernet, EXPERIMENTS: self.experiment}[place].put(self.body(place, name))

    def said(self, place: Any, name: str, kind: str) -> tuple[str, str]:
        """A condition's status and reason."""
        found = {one["type"]: one for one in self.body(place, name)["status"]["conditions"]}[kind]
        return found["status"], found["reason"]

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


@contextlib.contextmanager
def kube_site(folder: Path, store: ArtifactStore | None = None) -> Iterator[Site]:
    """A site with a Redis of its own, for the length of the block; its store lies in a folder, or is the one given."""
    with redis_server() as server:
        made = Site(server, store or FolderStore(folder))
        yield made
        made.calls.shutdown()
        made.loop.close()
        made.client.close()
