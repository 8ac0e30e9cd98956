"""Reading files and folders, and writing documents that read back as they were."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pfpnas_api.kinds import Accuracy, ArtifactRef, Condition, Evaluation, Latency, NASExperiment, Trial, TrialMetrics
from pfpnas_operator.documents import DocumentError, dump, load

SUPERNET = """\
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {name: cifar}
spec:
  searchSpace: {backbone: MobileNetV2}
  dataset: {format: CIFAR10, uri: data/cifar}
"""
EXPERIMENT = """\
apiVersion: pfpnas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits, labels: {team: "on", build: "0123"}}
spec:
  supernetRef: {name: cifar}
  target: {pool: bench, dataset: "1e3", pricePerHour: "0.10"}
  objective: {constraints: [{metric: FLOPs, max: "300000000"}, {metric: Latency, maxRelative: "3.0"}]}
  budget: {maxTrials: 60}
"""
TRIAL = """\
apiVersion: pfpnas.io/v1alpha1
kind: Trial
metadata: {name: digits-0}
spec:
  experimentRef: {name: digits}
  architecture: r32-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3.k3e3-k3e3
  index: 0
  origin: Tuner
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"supernet": SUPERNET, "experiment": EXPERIMENT, "trial": TRIAL}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_folder_is_read_with_all_its_yaml_files(folder: Path) -> None:
    (folder / "notes.txt").write_text("not a document")
    (folder / "inside").mkdir()
    (folder / "inside" / "other.yaml").write_text("kind: Unknown")
    documents = load([folder])
    assert (len(documents.supernets), len(documents.experiments), len(documents.trials)) == (1, 1, 1)
    assert documents.supernet_of(documents.experiments[0]).metadata.name == "cifar"


def test_several_documents_of_one_file_are_read_and_empty_ones_passed_over(tmp_path: Path) -> None:
    (tmp_path / "all.yml").write_text(f"---\n{SUPERNET}---\n---\n# nothing\n---\n{EXPERIMENT}")
    documents = load([tmp_path / "all.yml"])
    assert [experiment.metadata.name for experiment in documents.experiments] == ["digits"]


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    assert len(load([folder, folder / "supernet.yaml"]).supernets) == 1


def test_the_agents_file_is_named_and_never_read(folder: Path) -> None:
    (folder / "agent.yaml").write_text("{not: [valid, yaml")
    assert load([folder]).agent_config_path == folder / "agent.yaml"


def test_two_agent_files_are_refused(folder: Path) -> None:
    (folder / "agent.yaml").write_text("")
    (folder / "agent.yml").write_text("")
    with pytest.raises(DocumentError, match=r"agent.yml: a second agent file beside .*agent.yaml: name one"):
        load([folder])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("data/cifar", "{folder}/data/cifar"),
        ("../cifar", "{folder.parent}/cifar"),
        ("/data/cifar", "/data/cifar"),
        ("file:///data/cifar", "file:///data/cifar"),
        ("sha256:" + "ab" * 32, "sha256:" + "ab" * 32),
    ],
)
def test_relative_data_lie_beside_their_document(folder: Path, written: str, read: str) -> None:
    (folder / "supernet.yaml").write_text(SUPERNET.replace("data/cifar", f'"{written}"'))
    assert load([folder]).supernets[0].spec.dataset.uri == read.format(folder=folder)


def test_every_kind_reads_back_as_it_was(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = load([folder])
    other = tmp_path_factory.mktemp("other")
    for resource in (*before.supernets, *before.experiments, *before.trials):
        (other / f"{resource.kind}.yaml").write_text(dump(resource))
    after = load([other])
    assert (after.supernets, after.experiments, after.trials) == (before.supernets, before.experiments, before.trials)


def test_a_status_reads_back_as_it_was(folder: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    documents = load([folder])
    latency = Latency(p50=1e-5, p90=12.5, mad=0.0, runs=64, reference=0.1)
    condition = Condition(
        type="Failed", status="True", reason="OutOfMemory", message='a: "b" # c', last_transition_time=moment
    )
    trial = _with_status(
        documents.trials[0],
        conditions=(condition,),
        metrics=TrialMetrics(accuracy=1.0, accuracy_samples=10, latency_milliseconds=latency),
        artifact=ArtifactRef(sha256="1" * 64, size=7),
        finished_at=moment,
    )
    best = Evaluation(name="best", artifact=ArtifactRef(sha256="12e45" + "0" * 59, size=7))
    experiment = _with_status(
        documents.experiments[0],
        evaluations=(best, Evaluation(name="smallest", accuracy=Accuracy(value=0.5, samples=9))),
        hypervolume=3.0,
    )
    (folder / "trial.yaml").write_text(dump(trial))
    (folder / "experiment.yaml").write_text(dump(experiment))
    again = load([folder])
    assert (again.trials, again.experiments) == ((trial,), (experiment,))


def _with_status(resource: Trial | NASExperiment, **fields: object) -> Trial | NASExperiment:
    return resource.model_copy(update={"status": resource.status.model_copy(update=fields)})


def test_fields_are_written_in_the_usual_order_and_texts_stay_texts(folder: Path) -> None:
    text = dump(load([folder]).experiments[0])
    assert [line.split(":")[0] for line in text.splitlines() if not line.startswith((" ", "-"))] == [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ]
    assert 'team: "on"' in text
    assert 'max: "300000000"' in text
    assert 'dataset: "1e3"' in text
    assert yaml.safe_load(text)["metadata"]["labels"] == {"team": "on", "build": "0123"}
