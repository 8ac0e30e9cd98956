"""A whole search in memory as a cluster drives it: pods wait, are evicted and end slowly; it is suspended at times."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest

from pfpnas_api.kinds import is_true
from pfpnas_operator.reconcile import JobRequest, JobView
from support.reconcile_builders import make_experiment, make_supernet, reason_of
from support.world import World
from support.world_parts import Process

MOST_TICKS = 3000
PENDING, LEAVING = 2, 3
"""Ticks that a pod takes to start, and to end."""


class ClusterWorld(World):
    """Jobs that are not there at once and not gone at once, and a spec that changes while the operator runs."""

    evictions = 0

    def start_operator(self) -> None:
        super().start_operator()
        self.gated = False
        self.pending: dict[str, int] = {}
        self.leaving: dict[str, int] = {}
        self.evicted: set[str] = set()
        jobs: Any = _ClusterJobs(self)
        self.observer.jobs, self.executor.jobs = jobs, jobs

    def suspend(self, *, wanted: bool) -> None:
        experiment = self.records.experiment
        metadata = experiment.metadata.model_copy(update={"generation": experiment.metadata.generation + 1})
        spec = experiment.spec.model_copy(update={"suspend": wanted})
        self.experiment = self.records.experiment = experiment.model_copy(update={"metadata": metadata, "spec": spec})

    def evict(self) -> None:
        """One of the pods that run, if any does."""
        running = sorted(name for name, process in self.processes.items() if self.runs(name, process))
        if running:
            self.evictions += 1
            name = self.rng.choice(running)
            self.processes[name].code = 137
            self.evicted.add(name)

    def runs(self, name: str, process: Process) -> bool:
        return process.code is None and name not in self.pending

    def tick(self) -> None:
        self.pending = {name: left - 1 for name, left in self.pending.items() if left > 1}
        self.leaving = {name: left - 1 for name, left in self.leaving.items() if left > 1}
        super().tick()

    def _work(self, process: Process) -> None:
        if self.runs(process.request.name, process):
            super()._work(process)

    def check(self) -> None:
        observed, plan = self.last_observed, self.last_plan
        assert observed is not None
        made = {request.name for request in plan.create_jobs}
        assert not made & self.leaving.keys(), "a Job of this name has not ended yet"
        assert not set(plan.delete_jobs) & self.leaving.keys(), "it is deleted already"
        if observed.experiment.spec.suspend:
            assert (plan.create_jobs, plan.create_trials, plan.builds, plan.tasks) == ([], [], [], [])
            assert not [entry for entry in plan.log if entry.event == "Ask"]


class _ClusterJobs:
    """Jobs of an API server."""

    def __init__(self, world: ClusterWorld) -> None:
        self._world = world

    def create_all(self, requests: Sequence[JobRequest], *, now: datetime) -> None:
        for request in requests:
            if request.name not in self._world.processes:
                self._world.processes[request.name] = Process(request, now)
                self._world.pending[request.name] = PENDING

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            if self._world.processes.pop(name, None) is not None:
                self._world.evicted.discard(name)
                self._world.pending.pop(name, None)
                self._world.leaving[name] = LEAVING

    def uids(self) -> dict[str, str]:
        return {name: process.request.document.uid for name, process in self._world.processes.items()}

    def views(self, now: datetime) -> dict[str, JobView]:
        gone = {name: self._view(name, "Failed", now, leaving=True) for name in self._world.leaving}
        return gone | {name: self._of(name, process, now) for name, process in self._world.processes.items()}

    def _of(self, name: str, process: Process, now: datetime) -> JobView:
        if name in self._world.pending:
            return self._view(name, "Pending", process.since)
        if process.code is None:
            return self._view(name, "Running", process.since)
        # One that has ended did so just now: later than that its pauses are over sooner.
        ended = self._view(name, "Succeeded" if process.code == 0 else "Failed", now, exit_code=process.code)
        return self._view(name, "Failed", process.since, infrastructure=True) if name in self._world.evicted else ended

    @staticmethod
    def _view(name: str, state: Any, since: datetime, **fields: Any) -> JobView:
        return JobView(name=name, state=state, since=since, progressed_at=since, **fields)


def search(mode: str, *, seed: int, suspensions: float = 0.0, evictions: float = 0.0) -> ClusterWorld:
    """A search to its end; suspended and resumed, and pods of it evicted, so often."""
    experiment = make_experiment(
        mode=mode, budget={"maxTrials": 8, "parallelTrials": 3}, reference=None, started_at=None
    )
    world = ClusterWorld(make_supernet("New"), experiment, seed=seed)
    for _ in range(MOST_TICKS):
        world.cycle()
        status = world.records.experiment.status
        if reason_of(status, "Succeeded") or reason_of(status, "Failed"):
            return world
        if world.rng.random() < suspensions:
            world.suspend(wanted=not world.records.experiment.spec.suspend)
        if world.rng.random() < evictions:
            world.evict()
        world.tick()
    raise AssertionError(f"not ended: {world.records.experiment.status.conditions}")


def outcome(world: ClusterWorld) -> dict[str, Any]:
    """What came of a search, without when it did."""
    status = world.records.experiment.status
    assert status.best is not None
    return {
        "why": reason_of(status, "Succeeded") or reason_of(status, "Failed"),
        "architectures": sorted(trial.spec.architecture for trial in world.documents.values()),
        "best": (status.best.architecture, status.best.metrics.latency_milliseconds),
        "evaluations": [(one.name, one.architecture, one.accuracy) for one in status.evaluations],
    }


@pytest.mark.parametrize("mode", ["Pod", "Pooled"])
@pytest.mark.parametrize("seed", range(4))
def test_suspended_time_and_again_a_search_ends_as_if_it_never_was(mode: str, seed: int) -> None:
    world = search(mode, seed=seed, suspensions=0.15)
    assert outcome(world) == outcome(search(mode, seed=seed))
    for trial in world.documents.values():
        assert is_true(trial.status.conditions, "Succeeded")
        assert trial.status.build_attempts == 1
        assert trial.status.measure_attempts <= 1  # of one whose pod went before its chunks were pushed
    assert set(world.measured.values()) == {1}
    reasons = [event.reason for event in world.events]
    assert reasons.count("Suspended") > 2
    assert world.records.experiment.status.suspended_seconds > 0


@pytest.mark.parametrize("seed", range(4))
def test_evicted_time_and_again_a_search_ends_as_if_it_never_was(seed: int) -> None:
    world = search("Pod", seed=seed, evictions=0.3, suspensions=0.05)
    assert outcome(world) == outcome(search("Pod", seed=seed))
    assert world.evictions > 3
    status = world.records.experiment.status
    assert set(status.attempts.values()) <= {0, 1}
    assert {trial.status.build_attempts for trial in world.documents.values()} == {1}
