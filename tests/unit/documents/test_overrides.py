"""Values set on the command line: typed by the schema, and refused by name."""

from pathlib import Path

import pytest

from pfpnas_operator.documents import DocumentError, load

DOCUMENTS = """\
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {name: cifar}
spec:
  searchSpace: {backbone: MobileNetV2}
  dataset: {format: CIFAR10, uri: data}
---
apiVersion: pfpnas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits}
spec:
  supernetRef: {name: cifar}
  target: {pool: bench, dataset: digits}
  objective: {constraints: [{metric: Latency, max: 85ms}]}
  budget: {maxTrials: 60}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "all.yaml").write_text(DOCUMENTS)
    return tmp_path


def test_values_take_the_type_of_their_field(folder: Path) -> None:
    texts = [
        "experiment.budget.maxTrials=12",
        "experiment.spec.tuner.algorithm=Anneal",
        "experiment.objective.constraints[0].max=20ms",
        "experiment.target.measurement.throughput=true",
        "supernet.training.epochs=3",
        "supernet.searchSpace.widthMultiplier=0.25",
        "supernet.searchSpace.kernelSizes=[3, 5]",
    ]
    documents = load([folder], overrides=texts)
    experiment, supernet = documents.experiments[0].spec, documents.supernets[0].spec
    assert (experiment.budget.max_trials, experiment.tuner.algorithm) == (12, "Anneal")
    assert experiment.objective.constraints[0].max == "20ms"
    assert experiment.target.measurement.throughput is True
    assert supernet.training.epochs == 3
    assert (supernet.search_space.width_multiplier, supernet.search_space.kernel_sizes) == ("0.25", (3, 5))


def test_the_last_of_two_overrides_wins(folder: Path) -> None:
    documents = load([folder], overrides=["experiment.budget.maxTrials=12", "experiment.budget.maxTrials=13"])
    assert documents.experiments[0].spec.budget.max_trials == 13


def test_null_takes_an_optional_value_away(folder: Path) -> None:
    texts = ["experiment.objective.constraints[0].max=null", "experiment.objective.constraints[0].maxRelative=2.5"]
    constraint = load([folder], overrides=texts).experiments[0].spec.objective.constraints[0]
    assert (constraint.max, constraint.max_relative) == (None, "2.5")


def test_an_overriding_uri_is_relative_to_the_working_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    documents = load([folder], overrides=["supernet.dataset.uri=elsewhere"])
    assert documents.supernets[0].spec.dataset.uri == str(here / "elsewhere")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("experiment.budget.maxTrial=12", "unknown field spec.budget.maxTrial; did you mean maxTrials?"),
        ("experiment.budgets.maxTrials=12", "unknown field spec.budgets; did you mean budget?"),
        ("experiment.budget.maxTrials.x=12", "spec.budget.maxTrials has no fields of its own"),
        ("experiment.budget[0]=12", "spec.budget is no list"),
        ("trial.index=1", "'trial' is no kind to set; begin with experiment. or supernet."),
        ("maxTrials=12", "write it as kind.field=value, such as experiment.budget.maxTrials=12"),
        ("experiment.budget.maxTrials", "write it as kind.field=value, such as experiment.budget.maxTrials=12"),
        (
            "experiment.target.measurement.throughput=yes",
            'yes is a boolean to some YAML readers and text to others: write true or false, or quote it, "yes"',
        ),
        ("experiment.objective.constraints[3].max=9ms", "there is no item 3: the list has 1"),
        (
            "experiment.budget.maxTrials=" + "9" * 5000,
            "999999999999... is a number of 5000 characters, too long for any field",
        ),
        ("experiment.budget.maxTrials=[[[", "not valid YAML: did not find expected node content"),
        ("experiment.budget.maxTrials=0", "is 0, must be at least 1"),
        ("experiment.budget.maxTrials=many", "is 'many', must be a whole number"),
        (
            "experiment.tuner.algorithm=TPEE",
            "is 'TPEE', must be one of TPE, RandomSearch, Anneal, NSGA2; did you mean TPE?",
        ),
    ],
)
def test_wrong_override_is_named(folder: Path, text: str, says: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load([folder], overrides=[text])
    assert str(refused.value).startswith(f"--set {text}: ")
    assert str(refused.value).endswith(f": {says}")
    assert "\n" not in str(refused.value)


def test_override_without_a_document_of_its_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "supernet.yaml").write_text(DOCUMENTS.split("---\n", maxsplit=1)[0])
    with pytest.raises(DocumentError, match="there is no NASExperiment among the documents to set it in"):
        load([tmp_path], overrides=["experiment.budget.maxTrials=12"])
