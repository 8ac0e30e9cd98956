"""Every document of the corpus is refused with exactly the message it is listed with."""

import json
from pathlib import Path

import pytest

from pfpnas_operator.documents import DocumentError, load

SUPERNET = """\
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {name: cifar}
spec:
  searchSpace: {backbone: MobileNetV2, widthMultiplier: "0.5", kernelSizes: [3, 5]}
  dataset: {format: CIFAR10, uri: data}
"""
EXPERIMENT = """\
apiVersion: pfpnas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits}
spec:
  supernetRef: {name: cifar}
  target: {pool: bench, dataset: digits}
  objective:
    constraints: [{metric: Latency, max: 85ms}]
  budget: {maxTrials: 60}
"""
CORPUS = [json.loads(line) for line in (Path(__file__).parent / "bad_documents.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["case"])
def test_bad_document_is_refused_with_its_message(tmp_path: Path, entry: dict) -> None:
    (tmp_path / "a.yaml").write_text(SUPERNET if "kind: Supernet" not in entry["document"] else "")
    if entry["case"] == "same-name":
        (tmp_path / "a.yaml").write_text(SUPERNET)
    if entry["case"].startswith("trial-"):
        (tmp_path / "b.yaml").write_text(EXPERIMENT)
    (tmp_path / "bad.yaml").write_text(entry["document"])
    with pytest.raises(DocumentError) as refused:
        load([tmp_path])
    assert str(refused.value).replace(f"{tmp_path}/", "").splitlines() == entry["says"]


def test_good_documents_of_the_corpus_are_taken(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{SUPERNET}---\n{EXPERIMENT}")
    documents = load([tmp_path])
    assert [net.metadata.name for net in documents.supernets] == ["cifar"]
    assert [experiment.metadata.name for experiment in documents.experiments] == ["digits"]


def test_every_problem_of_every_file_is_listed(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(SUPERNET.replace("[3, 5]", "[4]"))
    (tmp_path / "two.yaml").write_text(EXPERIMENT.replace("maxTrials: 60", "maxTrials: 0"))
    with pytest.raises(DocumentError) as refused:
        load([tmp_path])
    assert [line.split(": ")[2] for line in str(refused.value).splitlines()] == [
        "spec.searchSpace.kernelSizes",
        "spec.budget.maxTrials",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"a: " + b"x" * 1_100_000, "is larger than 1048576 bytes, too large for a document"),
    ],
    ids=["not-utf8", "too-large"],
)
def test_unreadable_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        load([tmp_path])
    assert str(refused.value) == f"{tmp_path}/bad.yaml: {says}"


def test_nested_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(["a0: &a0 [1]", *levels]))
    with pytest.raises(DocumentError, match="more than 50000 values"):
        load([tmp_path])


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, "{a: " * 60 + "1" + "}" * 60, "a: &a [*a]"])
def test_endless_nesting_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "deep.yaml").write_text(text)
    with pytest.raises(DocumentError, match="is nested deeper than 40 levels"):
        load([tmp_path])


def test_missing_path_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        load([tmp_path / "nowhere", tmp_path])
    assert str(refused.value).splitlines() == [
        f"{tmp_path}/nowhere: there is no such file or folder",
        f"{tmp_path}: the folder has no .yaml or .yml file",
    ]


def test_an_experiment_without_any_supernet_is_told_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "only.yaml").write_text(EXPERIMENT)
    with pytest.raises(DocumentError, match=r"there is no Supernet at all: give its file too .*--dry-run=server"):
        load([tmp_path])
