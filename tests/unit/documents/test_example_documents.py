"""The documents of the examples are sound."""

from pathlib import Path

import pytest

from pfpnas_agent.config import load as load_agent
from pfpnas_operator.documents import cross_check, load

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def folder() -> Path:
    return EXAMPLES / "cifar10-to-mnist"


def test_cifar10_to_mnist_is_sound_without_its_data(folder: Path) -> None:
    documents = load([folder])
    assert cross_check(documents) == (), "nothing is doubtful"
    assert {net.spec.search_space.backbone for net in documents.supernets} == {"MobileNetV2", "ProxylessNAS"}
    for net in documents.supernets:
        assert net.spec.dataset.uri == str(folder / "data" / "cifar10")


def test_cifar10_to_mnist_is_the_papers_set_up(folder: Path) -> None:
    for experiment in load([folder]).experiments:
        spec = experiment.spec
        assert (spec.budget.parallel_trials, spec.tuner.pseudo_trials) == (24, 300)
        assert spec.objective.penalty_coefficient == "0.2"
        (limit,) = spec.objective.constraints
        assert (limit.metric, limit.limit) == ("Latency", 85.0)


def test_the_agent_serves_what_the_experiments_ask_for(folder: Path) -> None:
    documents = load([folder])
    assert documents.agent_config_path is not None
    agent = load_agent(documents.agent_config_path)
    for experiment in documents.experiments:
        target = experiment.spec.target
        assert (agent.pool, target.dataset in agent.datasets) == (target.pool, True)
        assert agent.backend(target.backend) is not None


def test_the_readme_names_every_private_file(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    agent = (folder / "agent.yaml").read_text()
    names = [line.split("/")[-1] for line in agent.splitlines() if "idx" in line]
    assert len(names) == 4
    assert [name for name in names if name not in text] == []


def test_the_readmes_quick_look_is_accepted(folder: Path) -> None:
    texts = [
        "supernet.training.epochs=1",
        "supernet.predictor.samples=40",
        "experiment.budget.maxTrials=24",
        "experiment.objective.constraints[0].max=4ms",
        "supernet.dataset.uri=/data/cifar10",
    ]
    text = (folder / "README.md").read_text()
    assert [one for one in texts if f"--set {one}" not in text and f'--set "{one}"' not in text] == []
    documents = load([folder], overrides=texts)
    assert documents.experiments[0].spec.budget.max_trials == 24
