"""What the operator's parts touch in a world in memory: documents, Jobs and the bus, each of which may fail."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pfpnas_api.bus import Queued, Received
from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_api.messages import BuildRequest, Heartbeat, LogEntry, MeasureTask, Progress, Suggestion
from pfpnas_operator.reconcile import JobRequest, JobView
from support.world_parts import Message, Process

if TYPE_CHECKING:
    from support.world import World


class Folder:
    """Documents that outlive the operator."""

    def __init__(self, world: "World") -> None:
        self._world, self.store = world, world

    def create_trials(self, trials: Sequence[Trial], *, now: datetime) -> Iterator[Trial]:
        return self.write_trials(trials)

    def write_trials(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        for trial in trials:
            self._write_trial(trial)
            yield trial

    def _write_trial(self, trial: Trial) -> None:
        self._world.effect("record")
        old = self._world.documents.get(trial.metadata.name)
        assert old is None or not old.finished, f"{trial.metadata.name} was finished, and is written again"
        assert old is None or old.spec == trial.spec
        self._world.documents[trial.metadata.name] = trial

    def write_supernet(self, supernet: Supernet) -> None:
        self._world.effect("record")
        self._world.supernet = supernet

    def write_experiment(self, experiment: NASExperiment) -> None:
        self._world.effect("record")
        self._world.experiment = experiment


class Processes:
    """Jobs as processes."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        for request in requests:
            self._world.effect("job")
            self._world.processes.setdefault(request.name, Process(request, now))

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self._world.effect("job")
            self._world.processes.pop(name, None)

    def uids(self) -> dict[str, str]:
        return {name: process.request.document.uid for name, process in self._world.processes.items()}

    def views(self, now: datetime) -> dict[str, JobView]:
        return {name: self._view(name, process) for name, process in self._world.processes.items()}

    @staticmethod
    def _view(name: str, process: Process) -> JobView:
        states: dict[int | None, Any] = {None: "Running", 0: "Succeeded"}
        return JobView(
            name=name,
            state=states.get(process.code, "Failed"),
            since=process.since,
            progressed_at=process.since,
            exit_code=process.code,
        )


class Bus:
    """The operator's bus over the world's streams."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def ensure_pool(self, pool: str) -> None:
        pass

    def ensure_experiment(self, uid: str) -> None:
        pass

    def agents(self, pool: str) -> dict[str, Heartbeat]:
        return {
            name: Heartbeat(state="Busy" if agent.holding or agent.shared else "Idle")
            for name, agent in self._world.agents.items()
            if agent.alive
        }

    def publish_task(self, pool: str, task: MeasureTask) -> None:
        self._world.effect("road")
        self._world.tasks.add(task)

    def tasks(self, pool: str) -> list[tuple[Queued, Message]]:
        return self._world.tasks.queued()

    def delete_task(self, pool: str, entry: str) -> None:
        self._world.effect("road")
        self._world.tasks.drop(entry)

    def results(self, pool: str) -> list[Received]:
        return [Received(agent, entry, result) for (agent, entry), result in self._world.results.items()]

    def delete_result(self, pool: str, received: Received) -> None:
        self._world.effect("road")
        self._world.results.pop((received.agent, received.entry), None)

    def publish_build(self, uid: str, request: BuildRequest) -> None:
        self._world.effect("road")
        self._world.builds.add(request)

    def builds(self, uid: str) -> list[tuple[Queued, Message]]:
        return self._world.builds.queued()

    def delete_build(self, uid: str, entry: str) -> None:
        self._world.effect("road")
        self._world.builds.drop(entry)

    def append_log(self, uid: str, entries: Iterable[LogEntry]) -> None:
        self._world.effect("road")
        self._world.log.extend(entries)

    def log_length(self, uid: str) -> int:
        return len(self._world.log)

    def suggestions(self, uid: str, *, after: str = "0") -> list[tuple[str, Suggestion]]:
        return [(entry, one) for entry, one in self._world.suggestions if int(entry) > int(after)]

    def progresses(self, uids: Iterable[str]) -> dict[str, Progress]:
        return {}

    def delete_chunks(self, pool: str, model: Any) -> None:
        self._world.effect("road")
        self._world.blobs.discard(model.sha256)

    def push(self, pool: str, model: Any, store: Any) -> None:
        self._world.effect("road")
        self._world.blobs.add(model.sha256)
