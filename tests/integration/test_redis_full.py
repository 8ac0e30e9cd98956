"""A Redis that is full: what has finished makes room for what comes next."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, WorkloadBus, connect, keys
from pfpnas_api.bus.connection import Client
from pfpnas_api.kinds import ArtifactRef, Trial
from pfpnas_api.messages import MeasureResult, MeasureTask, ModelRef
from pfpnas_operator.driving import Executor, Records
from pfpnas_operator.reconcile import Plan
from support.reconcile_builders import NOW, make_experiment, make_trial
from support.redis_server import redis_server

MEBIBYTE = 2**20
CANDIDATE = 16 * MEBIBYTE

TASK = MeasureTask.identified(
    experiment="e1",
    namespace="default",
    model=ModelRef(sha256="0" * 64, size=10, chunks=1),
    dataset="digits",
    head="Fitted",
    backend="onnxruntime",
)


class Site:
    """A Redis with room for one candidate, a store with two, and an operator."""

    def __init__(self, url: str, folder: Path) -> None:
        self.client, self.store = connect(url), FolderStore(folder)
        self.pool = make_experiment().spec.target.pool
        self.blobs = WorkloadBus(self.client)
        self.first, self.second = (self.store.put(bytes([number]) * CANDIDATE) for number in range(2))
        self.blobs.push(self.pool, self.first, self.store)
        room = self.client.info("memory")["used_memory"] + CANDIDATE // 2
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", room)

    def carry_out(self, plan: Plan, *finished: Trial) -> None:
        """A plan by which trials finish."""
        record: Any = SimpleNamespace(
            create_trials=lambda trials, *, now: [], write_trials=lambda trials: list(finished)
        )
        jobs: Any = SimpleNamespace(delete=lambda names: None, create_all=lambda requests, now: None)
        unused: Any = None
        Executor(
            record=record,
            records=Records(supernet=None, experiment=make_experiment()),
            jobs=jobs,
            store=self.store,
            bus=OperatorBus(self.client),
            blobs=self.blobs,
            observer=unused,
            announce=unused,
        ).carry_out(plan, now=NOW)

    def holds(self, model: ArtifactRef) -> bool:
        return bool(self.client.exists(keys.blob(self.pool, model.sha256, 0)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redis_server() as server:
        made = Site(server.url, tmp_path)
        yield made
        made.client.close()


def test_a_candidate_that_has_finished_makes_room_for_the_next(site: Site) -> None:
    with pytest.raises(OutOfMemoryError):
        site.carry_out(Plan(push=[site.second]))
    assert site.holds(site.first)
    site.carry_out(Plan(push=[site.second]), make_trial(0, "Succeeded", artifact=site.first))
    assert (site.holds(site.first), site.holds(site.second)) == (False, True)


@pytest.fixture
def full() -> Iterator[Client]:
    """A Redis that takes nothing more, with a pool in which an agent has answered, and holds what it answered to."""
    with redis_server() as server:
        client = connect(server.url)
        operator, agent = OperatorBus(client), AgentBus(client, pool="bench", agent="agent-1")
        operator.ensure_pool("bench")
        operator.publish_task("bench", TASK)
        claim = agent.next(block_milliseconds=1000)
        assert claim is not None
        assert claim.task == TASK
        agent.answer(MeasureResult(task_id=TASK.task_id, failure="BadModel", seconds=1.0))
        client.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            client.set("x", "y")
        yield client
        client.close()


def test_on_one_that_is_full_answers_are_still_found_and_taken_off(full: Client) -> None:
    operator = OperatorBus(full)
    operator.ensure_pool("bench")
    (answer,) = operator.results("bench")
    ((queued, task),) = operator.tasks("bench")
    assert (queued.state, task, answer.result and answer.result.task_id) == ("Claimed", TASK, TASK.task_id)

    operator.delete_task("bench", queued.entry)
    operator.delete_result("bench", answer)

    assert (operator.tasks("bench"), operator.results("bench")) == ([], [])
    assert full.xpending(keys.tasks("bench"), keys.AGENTS_GROUP)["pending"] == 0


def test_on_one_that_is_full_a_group_that_is_not_there_is_no_success(full: Client) -> None:
    with pytest.raises(OutOfMemoryError):
        OperatorBus(full).ensure_pool("another")
