"""A whole world in memory: documents, Redis' streams, Jobs, a tuner, workers and agents, all of which may fail.

The decisions, the observer, the executor and the gate are the real ones; only what they touch is made up here.
"""

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from redis.exceptions import ConnectionError

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_api.messages import BuildRequest, LogEntry, MeasureResult, MeasureTask, Suggestion
from pfpnas_operator.driving import Executor, Observer, StoredManifests
from pfpnas_operator.local.gate import hold_back
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import (
    Event,
    ExperimentObserved,
    Plan,
    reconcile_experiment,
    reconcile_supernet,
)
from support.reconcile_builders import NOW, SPACE, artifact, predictor_manifest, pretrain_manifest
from support.world_edges import Bus, Folder, Processes
from support.world_parts import Agent, Process, Stream


class Killed(Exception):  # noqa: N818 - reads as the state it names
    """The operator was killed before this effect."""


class World:
    """Everything around the decisions; `tick` lets each part do one step."""

    def __init__(
        self,
        supernet: Supernet,
        experiment: NASExperiment,
        *,
        trials: Iterable[Trial] = (),
        sources: Iterable[NASExperiment] = (),
        seed: int = 0,
    ) -> None:
        self.rng, self.now, self.gated = random.Random(seed), NOW, True
        self.sources = {source.metadata.name: source for source in sources}
        self.documents: dict[str, Trial] = {trial.metadata.name: trial for trial in trials}
        self.supernet, self.experiment = supernet, experiment
        self.manifests: dict[str, Manifest] = {}
        self.processes: dict[str, Process] = {}
        self.agents = {name: Agent(name) for name in ("agent-1", "agent-2")}
        self.measured: dict[str, int] = {}
        self.tested: dict[str, int] = {}
        """How often each model was run on the test split."""
        self.events: list[Event] = []
        self.effects_left: int | None = None
        self.sends_left: int | None = None
        self.trace: list[str] = []
        self.last_plan = Plan()
        self.last_observed: ExperimentObserved | None = None
        self.flush()
        self.start_operator()

    def wish(self, **budget: Any) -> None:
        """The same command with another budget: another generation, under a new operator."""
        spec, metadata = self.experiment.spec, self.experiment.metadata
        changed = spec.model_copy(update={"budget": spec.budget.model_copy(update=budget)})
        newer = metadata.model_copy(update={"generation": metadata.generation + 1})
        self.experiment = self.experiment.model_copy(update={"spec": changed, "metadata": newer})
        self.start_operator()

    # -- faults ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Redis loses everything; entries' numbers go on, as times do."""
        first = max(getattr(self, name).next_entry for name in ("tasks", "builds")) if hasattr(self, "tasks") else 1
        self.tasks, self.builds = Stream(first), Stream(first)
        self.results: dict[tuple[str, str], MeasureResult] = {}
        self.log: list[LogEntry] = []
        self.suggestions: list[tuple[str, Suggestion]] = []
        self.blobs: set[str] = set()
        self.answers = getattr(self, "answers", 0)

    def start_operator(self) -> None:
        """A new operator: it knows the documents only, and its children are gone with the old one."""
        self.processes.clear()
        self.effects_left = None
        self.records = Records.of(self.supernet, self.experiment, self.documents.values())
        self.records.sources = self.sources
        parts: Any = self
        self.observer = Observer(
            records=self.records,
            manifests=StoredManifests(parts),
            jobs=Processes(self),
            bus=Bus(self),  # type: ignore[arg-type]
        )
        self.executor = Executor(
            record=Folder(self),
            write_supernet=Folder(self).write_supernet,
            records=self.records,
            jobs=Processes(self),
            store=parts,
            bus=Bus(self),  # type: ignore[arg-type]
            blobs=Bus(self),  # type: ignore[arg-type]
            observer=self.observer,
            announce=self.events.append,
        )
        self.log.clear()
        self.suggestions.clear()
        self.builds = Stream(self.builds.next_entry)

    def effect(self, kind: str) -> None:
        """Called before everything that the operator changes: a record, a job, or what lies on the road."""
        if self.effects_left == 0:
            raise Killed
        if self.effects_left is not None:
            self.effects_left -= 1
        if kind == "road" and self.sends_left == 0:
            raise ConnectionError("Redis is away")
        if kind == "road" and self.sends_left is not None:
            self.sends_left -= 1
        self.trace.append(kind)

    # -- the operator ------------------------------------------------------------------------------------------

    def read_manifest(self, uid: str) -> Manifest | None:
        return self.manifests.get(uid)

    def has(self, digest: str) -> bool:
        """Whether an artifact is in the store: every model that was made is."""
        return True

    def cycle(self, *, kill_after: int | None = None, away_after: int | None = None) -> bool:
        """One cycle of the operator; whether nothing came in between.

        Args:
            kill_after: It is killed once it changed so many things.
            away_after: Redis goes away once so much was sent.
        """
        self.effects_left, self.sends_left, self.trace = kill_after, away_after, []
        try:
            self.executor.carry_out(reconcile_supernet(self.observer.supernet(self.now), self.now), now=self.now)
            self.last_observed = None
            if self.records.supernet.status.predictor is not None:
                self.last_observed = self.observer.experiment(self.now)
                self.last_plan = reconcile_experiment(self.last_observed, self.now)
                self.check()
                plan = hold_back(self.last_plan, self.last_observed) if self.gated else self.last_plan
                self.executor.carry_out(plan, now=self.now)
        except Killed:
            self.start_operator()
            return False
        except ConnectionError:
            self.observer.reanchor(self.now)
            return False
        finally:
            self.effects_left = self.sends_left = None
        return True

    def check(self) -> None:
        """Overridden by tests that look at every plan."""

    # -- time passes -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Everybody but the operator does a step."""
        self.now += timedelta(seconds=self.rng.choice((0.5, 1, 3)))
        for process in list(self.processes.values()):
            if process.code is None:
                self._work(process)
        for agent in self.agents.values():
            if agent.alive and not agent.stuck:
                self._measure(agent)

    def _work(self, process: Process) -> None:
        process.steps += 1
        workload, document = process.request.workload, process.request.document
        if workload == "tune":
            self._tune()
        elif workload == "trial-worker":
            self._serve(process)
        elif workload == "trial":
            assert isinstance(document, BuildRequest)
            self._build_alone(process, document)
        elif process.steps == 3:
            made = pretrain_manifest() if workload == "pretrain" else predictor_manifest()
            self.manifests[document.uid] = made
        elif process.steps > 3:
            process.code = 0

    def _tune(self) -> None:
        """Suggestions: a draw a index, never the same twice; stateless over the log."""
        known = {entry.architecture for entry in self.log} | {s.architecture for _, s in self.suggestions}
        told = {entry.index: entry.architecture for entry in self.log if entry.index is not None}
        made = {suggestion.index for _, suggestion in self.suggestions} | told.keys()
        asked = max((entry.count or 0 for entry in self.log), default=0)
        for index in range(asked):
            if index in made:
                continue
            rng = random.Random(f"{index}")
            choices = (
                SPACE.from_genes([rng.randrange(len(gene.values)) for gene in SPACE.genes()]).id for _ in range(1000)
            )
            chosen = next(choice for choice in choices if choice not in known)
            known.add(chosen)
            self.suggestions.append((str(len(self.suggestions) + 1), Suggestion(index=index, architecture=chosen)))

    def _serve(self, process: Process) -> None:
        """A pooled worker: claim; manifest; chunks; acknowledgement."""
        if process.building is None:
            process.building = self.builds.claim("worker")  # type: ignore[assignment]
            return
        entry, request = process.building
        if request.uid not in self.manifests:
            self._make(request)
        elif self.manifests[request.uid].artifacts["model"].sha256 not in self.blobs:
            self.blobs.add(self.manifests[request.uid].artifacts["model"].sha256)
        else:
            self.builds.acknowledge(entry)
            process.building = None

    def _build_alone(self, process: Process, request: BuildRequest) -> None:
        if request.uid not in self.manifests:
            self._make(request)
        else:
            self.blobs.add(self.manifests[request.uid].artifacts["model"].sha256)
            process.code = 0

    def _make(self, request: BuildRequest) -> None:
        model = artifact(f"{request.architecture} {request.weights}")
        figures = {"buildMilliseconds": 12.0}
        self.manifests[request.uid] = Manifest(
            uid=request.uid, outcome="Done", artifacts={"model": model}, figures=figures
        )

    def _measure(self, agent: Agent) -> None:
        """An agent: claim; measure and journal; answer; acknowledge."""
        if agent.holding is None and agent.shared and self.rng.random() < 0.5:
            return
        if agent.holding is None:
            agent.holding = self.tasks.claim(agent.name)  # type: ignore[assignment]
            return
        entry, task = agent.holding
        if agent.result is None:
            agent.result = agent.journal.get(task.task_id) or self._figures(agent, task)
        elif not agent.sent:
            self.answer(agent.name, agent.result)
            agent.sent = True
        else:
            self.tasks.acknowledge(entry)
            agent.holding, agent.result, agent.sent = None, None, False

    def _figures(self, agent: Agent, task: MeasureTask) -> MeasureResult:
        if agent.refuses is not None:
            return MeasureResult(task_id=task.task_id, failure=agent.refuses)
        wanted = {model.sha256 for model in (task.model, task.reference) if model}
        if not wanted <= self.blobs:
            return MeasureResult(task_id=task.task_id, failure="BlobMissing")
        self.measured[task.task_id] = self.measured.get(task.task_id, 0) + 1
        if task.split == "Test":
            model = task.model.sha256 if task.model else "pixels"
            self.tested[model] = self.tested.get(model, 0) + 1
        agent.journal[task.task_id] = figures_of(task)
        return agent.journal[task.task_id]

    def answer(self, agent: str, result: MeasureResult) -> None:
        """Put a result on an agent's stream."""
        self.answers += 1
        self.results[agent, str(self.answers)] = result


def figures_of(task: MeasureTask) -> MeasureResult:
    """What every agent measures of a task: a function of the model, but for 1 % of noise in further repetitions."""
    rng = random.Random(task.model.sha256 if task.model else "pixels")
    noise = random.Random(task.task_id).uniform(0.99, 1.01) if task.repetition else 1.0
    accuracy = {"value": round(rng.uniform(0.5, 0.95) * noise, 4), "samples": 300}
    if task.model is None:
        return MeasureResult.model_validate({"task_id": task.task_id, "accuracy": accuracy})
    p50 = round(rng.uniform(2, 14) * noise, 3)
    latency = {"p50": p50, "p90": p50, "mad": 0.1, "runs": 64, "reference": 2.0}
    return MeasureResult.model_validate({"task_id": task.task_id, "accuracy": accuracy, "latency": latency})
