"""A device whose answers are known beforehand: what the agent reports, and what a search finds, are held to them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pfpnas_agent.datasets import splits
from pfpnas_api.kinds import SearchSpaceSpec, find_condition
from pfpnas_api.messages import BuildRequest, ModelRef
from pfpnas_api.spaces import Architecture, SearchSpace, cost, to_matrix
from pfpnas_operator.reconcile.rounding import DIGITS
from pfpnas_workloads import nets
from pfpnas_workloads.trial.build import Builder
from support.agent_process import AgentProcess, World
from support.known_answer import ENUMERABLE, LARGER, KnownAnswer
from support.known_answer_device import read
from support.known_answer_run import BACKEND, command, expected_accuracy, known_place, write_secrets
from support.ready_supernet import ready_supernet
from support.redis_server import redis_server

pytestmark = pytest.mark.timeout(600)

KNOWN = KnownAnswer(noise=0)
SPACE = KNOWN.space
SMALLEST = SPACE.minimum()
LIMIT = 1.12


def latency(architecture: Architecture) -> float:
    return float(KNOWN.latencies(to_matrix(SPACE, [architecture]))[0])


def accuracy(architecture: Architecture, *, split: int = splits.VALIDATION) -> float:
    share = float(KNOWN.accuracies(to_matrix(SPACE, [architecture]))[0])
    return expected_accuracy(share, split=split)


def within_flops(space: SearchSpace, flops: int) -> list[Architecture]:
    """Every architecture that needs no more: reached from the smallest by raising one gene at a time."""
    frontier, found = [space.minimum()], {space.minimum()}
    while frontier:
        genes = space.to_genes(frontier.pop())
        for at, gene in enumerate(space.genes()):
            if genes[at] + 1 < len(gene.values):
                larger = space.from_genes([*genes[:at], genes[at] + 1, *genes[at + 1 :]])
                if larger not in found and cost(space, larger).flops <= flops:
                    found.add(larger)
                    frontier.append(larger)
    return sorted(found, key=lambda architecture: architecture.id)


@pytest.mark.parametrize("spec", [ENUMERABLE, LARGER], ids=["enumerable", "larger"])
def test_device_reads_the_architecture_from_the_graph_alone(spec: SearchSpaceSpec) -> None:
    space, rng = spec.space(classes=10), np.random.default_rng(1)
    supernet = nets.Supernet(space).eval()
    for architecture in [space.minimum(), space.maximum(), *(space.sample(rng) for _ in range(8))]:
        assert read(space, nets.to_onnx(nets.extract(supernet, architecture))) == architecture


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("known")
    datasets = {"secrets": {"format": "IDX", **write_secrets(folder), "classes": 10}}
    config = {"backends": {BACKEND: command(folder / "memory")}, "datasets": datasets}
    with redis_server() as server:
        yield World(folder / "device", server.url, config)


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    with world.agent() as process:
        yield process


def test_agent_reports_the_closed_form_of_built_candidates(world: World, agent: AgentProcess) -> None:
    supernet = ready_supernet(world.store, ENUMERABLE)
    checkpoint, builder = supernet.status.checkpoint, Builder(world.store)
    assert checkpoint is not None

    def built(architecture: Architecture) -> ModelRef:
        request = BuildRequest(
            uid=f"b-{architecture.id.replace('.', '-')}"[:80],
            pool="bench",
            architecture=architecture.id,
            checkpoint=checkpoint.artifact,
            calibration=checkpoint.calibration,
        )
        return world.push(world.store.get(builder.build(request).artifacts["model"].sha256))

    reference = built(SMALLEST)
    some = [SPACE.from_genes([choice % len(gene.values) for gene in SPACE.genes()]) for choice in (0, 1)]
    some.append(SPACE.from_genes([at % len(gene.values) for at, gene in enumerate(SPACE.genes())]))
    for architecture in some:
        for split in ("Validation", "Test"):
            task = world.task(
                model=built(architecture), reference=reference, dataset="secrets", head="Supernet", backend=BACKEND,
                split=split,
            )  # fmt: skip
            result = world.measured(task)
            assert result.latency is not None, agent.output
            assert result.latency.p50 == pytest.approx(latency(architecture))
            assert result.latency.reference == pytest.approx(latency(SMALLEST))
            assert result.accuracy is not None
            assert result.accuracy.value == accuracy(architecture, split=splits.NAMES.index(split))


def test_search_of_everything_within_a_limit_finds_the_best_there_is(tmp_path: Path) -> None:
    smallest = cost(SPACE, SMALLEST).flops
    flops = sorted(cost(SPACE, architecture).flops for architecture in within_flops(SPACE, smallest * 11 // 10))[8]
    allowed = within_flops(SPACE, flops)
    limits = [{"metric": "Latency", "maxRelative": str(LIMIT)}, {"metric": "FLOPs", "max": str(flops)}]
    place = known_place(tmp_path, {"spec": {"objective": {"constraints": limits}, "budget": {"maxTrials": 60}}})
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    status, trials = place.documents()[1].status, place.trials().values()
    searching = find_condition(status.conditions, "Searching")
    assert searching is not None
    assert searching.reason == "SpaceExhausted"
    assert sorted(trial.spec.architecture for trial in trials) == [architecture.id for architecture in allowed]
    for trial in trials:
        architecture, metrics = SPACE.parse(trial.spec.architecture), trial.status.metrics
        assert metrics is not None
        assert metrics.latency_milliseconds is not None
        assert metrics.latency_milliseconds.p50 == pytest.approx(latency(architecture))
        assert metrics.accuracy == round(accuracy(architecture), DIGITS)
    keep = [architecture for architecture in allowed if latency(architecture) <= LIMIT * latency(SMALLEST)]
    best = max(keep, key=accuracy)
    assert status.best is not None
    assert status.best.architecture == best.id
    assert accuracy(best) < max(map(accuracy, allowed)), "the limit on latency binds"
