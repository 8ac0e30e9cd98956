"""Real agent processes measure real ONNX models on real data; the operator's side of the bus reads what they say."""

import json
from collections.abc import Iterator

import pytest

from pfpnas_api.bus import keys
from pfpnas_api.messages import MeasureResult
from support.agent_models import tiny_model
from support.agent_process import POOL, AgentProcess, World
from support.redis_server import redis_server


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with redis_server() as server:
        made = World(tmp_path_factory.mktemp("agent") / "device", server.url)
        made.config["datasets"]["gone"] = {"format": "NPZ", "path": "gone.npz"}
        made.config["backends"] = {"gpu": {"type": "onnxruntime", "providers": ["CUDAExecutionProvider"]}}
        made.config["limits"] = {"maxModelSize": "2M"}
        yield made


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    with world.agent() as process:
        yield process


pytestmark = pytest.mark.usefixtures("agent")


def test_latency_and_accuracy_of_a_fitted_head(world: World) -> None:
    result = world.measured(world.task())
    assert result.failure is None
    assert result.latency is not None
    assert result.latency.runs >= 64
    assert result.latency.reference is not None
    assert 0 < result.latency.p50 <= result.latency.p90
    assert result.accuracy is not None
    assert result.accuracy.value > 0.9  # a bright quadrant shows in the features of any net
    assert 30 < result.accuracy.samples < 90  # a fifth of 300
    assert result.peak_memory_bytes is not None
    assert result.throughput is None


def test_data_are_prepared_before_a_task_is_claimed(world: World, agent: AgentProcess) -> None:
    world.measured(world.task(repetition=22))
    named = [(line["event"], line.get("dataset")) for line in map(json.loads, agent.output.splitlines())]
    claimed = named.index(("task claimed", None))
    assert ("data set is ready", "quadrants") in named[:claimed]
    assert ("data set can't be used", "gone") in named[:claimed]


def test_the_test_split_is_scored_only_when_asked(world: World) -> None:
    model = world.push(tiny_model(seed=1))
    validation = world.measured(world.task(model=model))
    test = world.measured(world.task(model=model, split="Test"))
    assert validation.accuracy is not None
    assert test.accuracy is not None
    assert validation.accuracy.samples != test.accuracy.samples


def test_the_supernets_own_head_is_scored_by_its_logits(world: World) -> None:
    result = world.measured(world.task(head="Supernet", model=world.push(tiny_model(classes=4))))
    assert result.accuracy is not None
    assert result.accuracy.value < 0.9  # its weights are random


def test_other_classes_than_the_supernets_are_a_mismatch(world: World) -> None:
    result = world.measured(world.task(head="Supernet", model=world.push(tiny_model(classes=7))))
    assert result.failure == "ClassMismatch"


def test_raw_pixels_are_scored_without_a_model(world: World) -> None:
    result = world.measured(world.task(model=None, reference=None))
    assert result.latency is None
    assert result.accuracy is not None
    assert result.accuracy.value > 0.9


def test_throughput_is_measured_when_asked(world: World) -> None:
    measurement = {"throughput": True, "warmup_seconds": 0.05, "max_seconds": 1.0}
    result = world.measured(world.task(measurement=measurement))
    assert result.latency is not None
    assert result.throughput is not None
    # A batch of 32 takes between once and 320 times what one image takes: images a second, not batches or milliseconds.
    assert 0.1 < result.throughput * result.latency.p50 / 1e3 < 40


@pytest.mark.parametrize("limit", [{"skip_accuracy_over_ms": 1e-6}, {"skip_accuracy_over_relative": 1e-3}])
def test_accuracy_is_skipped_when_latency_is_over_the_limit_by_far(world: World, limit: dict[str, float]) -> None:
    result = world.measured(world.task(measurement={"warmup_seconds": 0.05, **limit}))
    assert result.latency is not None
    assert result.accuracy is None
    assert result.accuracy_skipped


def test_accuracy_is_not_skipped_below_the_limit(world: World) -> None:
    result = world.measured(world.task(measurement={"warmup_seconds": 0.05, "skip_accuracy_over_ms": 1e6}))
    assert result.accuracy is not None
    assert not result.accuracy_skipped


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "unheard-of"}, "UnknownDataset"),
        ({"dataset": "gone"}, "DatasetUnreadable"),
        ({"backend": "unheard-of"}, "UnknownBackend"),
        ({"backend": "gpu"}, "ProviderFallback"),
        ({"namespace": "strangers"}, "NamespaceRefused"),
    ],
)
def test_what_the_owner_does_not_lend_has_a_reason(world: World, changes: dict[str, str], reason: str) -> None:
    assert world.measured(world.task(**changes, repetition=20)).failure == reason


def test_a_figure_made_for_one_namespace_is_not_told_to_another(world: World) -> None:
    assert world.measured(world.task(repetition=21)).failure is None
    forget_results(world)
    assert world.measured(world.task(repetition=21, namespace="strangers")).failure == "NamespaceRefused"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no model at all", "BadModel"),
        (tiny_model(input_name="pixels"), "BadModel"),
        (tiny_model(outputs=("logits",)), "BadModel"),
        (tiny_model(batch=1), "BadModel"),
        (tiny_model(operator="Frobnicate"), "UnsupportedOperator"),
        (bytes(2_000_001), "BadModel"),
        (tiny_model(external="job.json"), "BadModel"),
        (tiny_model(external="job.json", overlong=True), "BadModel"),
    ],
    ids=["noise", "input", "outputs", "fixed batch", "operator", "too large", "external", "external, overlong"],
)
def test_a_bad_candidate_has_a_reason(world: World, content: bytes, reason: str) -> None:
    assert world.measured(world.task(model=world.push(content))).failure == reason


def test_bytes_of_another_digest_are_a_bad_model(world: World) -> None:
    model = world.push(tiny_model(seed=77))
    forged = tiny_model(seed=78)[: model.size].ljust(model.size, b"\0")
    world.client.set(keys.blob(POOL, model.sha256, 0), forged)
    assert world.measured(world.task(model=model)).failure == "BadModel"


def test_a_missing_chunk_is_told_and_measured_when_it_is_pushed_again(world: World) -> None:
    content = tiny_model(seed=99)
    model = world.push(content)
    task = world.task(model=model)
    world.client.delete(keys.blob(POOL, model.sha256, 0))
    assert world.measured(task).failure == "BlobMissing"
    forget_results(world)
    world.push(content)
    assert world.measured(task).failure is None


def test_the_same_task_again_is_answered_with_the_same_figures(world: World, agent: AgentProcess) -> None:
    task = world.task(repetition=5)
    first = world.measured(task)
    forget_results(world)
    known = len(agent.events("already measured"))
    assert world.measured(task) == first
    assert len(agent.events("already measured")) == known + 1


def test_an_unreadable_task_is_acknowledged_and_logged(world: World, agent: AgentProcess) -> None:
    world.operator.ensure_pool(POOL)
    world.client.xadd(keys.tasks(POOL), {"m": b"\x80 no task"})
    agent.wait_for("unreadable task acknowledged")
    world.measured(world.task(repetition=6))
    world.await_nothing_pending()  # nor the task that was measured: its result comes before its acknowledgement


def test_state_and_cache_are_closed_to_other_users(world: World) -> None:
    world.measured(world.task(repetition=7))
    folders = [world.state, *(path for path in world.state.rglob("*") if path.is_dir())]
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in folders)
    assert list((world.state / "work").iterdir()) == []


def forget_results(world: World) -> list[MeasureResult]:
    taken = world.operator.results(POOL)
    for received in taken:
        world.operator.delete_result(POOL, received)
    return [received.result for received in taken if received.result is not None]


def test_one_state_directory_serves_one_agent(world: World) -> None:
    with world.agent() as second:
        assert second.wait() == 2
        assert second.output.count("\n") == 1
        assert "another agent uses" in second.output


def test_an_agents_id_is_random_and_stays(world: World) -> None:
    (agent,) = world.operator.agents(POOL)
    assert len(agent) == 16
    assert (world.state / "agent-id").read_text() == agent
