"""What is only seen when documents are read together."""

from pathlib import Path

import pytest

from pfpnas_operator.documents import DocumentError, Documents, check_for_one_machine, cross_check, load

TEMPLATE = """\
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {{name: cifar}}
spec:
  searchSpace:
    {{backbone: MobileNetV2, widthMultiplier: "0.5", kernelSizes: [3, 5], depths: [1, 2], resolutions: [32]}}
  dataset: {{format: CIFAR10, uri: data}}
---
apiVersion: pfpnas.io/v1alpha1
kind: NASExperiment
metadata: {{name: digits}}
spec:
  supernetRef: {{name: cifar}}
  target: {{pool: bench, dataset: digits{target}}}
  objective: {{constraints: [{constraints}]{objective}}}
  tuner: {{pseudoTrials: {pseudo}{tuner}}}
  budget: {{maxTrials: {trials}{budget}}}
"""
BLANK = ("target", "constraints", "objective", "tuner", "budget")
TRIAL = """\
---
apiVersion: pfpnas.io/v1alpha1
kind: Trial
metadata: {name: by-hand}
spec: {experimentRef: {name: digits}, architecture: r32-k3e3-k3e3-k3e3-k3e3-k9e3-k3e3}
"""


def documents(folder: Path, *, extra: str = "", trials: int = 60, **parts: str) -> Documents:
    fields = {**dict.fromkeys(BLANK, ""), "pseudo": "0", **parts}
    (folder / "all.yaml").write_text(TEMPLATE.format(trials=trials, **fields) + extra)
    return load([folder])


def test_sound_documents_give_no_warning(tmp_path: Path) -> None:
    assert (
        cross_check(documents(tmp_path, constraints="{metric: Latency, max: 85ms}, {metric: FLOPs, max: 300M}")) == ()
    )


def test_limit_below_the_smallest_subnet_names_its_value(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        cross_check(documents(tmp_path, constraints="{metric: Latency, max: 85ms}, {metric: FLOPs, max: 3M}"))
    assert str(refused.value) == (
        "NASExperiment/digits: spec.objective.constraints[1].max: FLOPs is limited to 3M, but the smallest subnet of "
        "Supernet/cifar, r32-k3e3-k3e3-k3e3-k3e3-k3e3-k3e3, has 13.49M already; "
        "raise the limit or make the search space smaller"
    )


def test_every_impossible_limit_is_listed(tmp_path: Path) -> None:
    limits = '{metric: ModelSize, max: 1Ki}, {metric: Parameters, maxRelative: "0.9"}, {metric: MACs, max: 1G}'
    with pytest.raises(DocumentError) as refused:
        cross_check(documents(tmp_path, constraints=limits))
    fields = [line.split(": ")[1] for line in str(refused.value).splitlines()]
    assert fields == ["spec.objective.constraints[0].max", "spec.objective.constraints[1].maxRelative"]


@pytest.mark.parametrize(
    ("parts", "begins"),
    [
        (
            {"constraints": "{metric: Latency, max: 85ms}", "objective": ', penaltyCoefficient: "0"'},
            "spec.objective.penaltyCoefficient: is 0, so the Latency limit doesn't count",
        ),
        (
            {"constraints": "{metric: Latency, max: 85ms}", "objective": ', penaltyCoefficient: "20"'},
            "spec.objective.penaltyCoefficient: is 20, but accuracy is a fraction of 1",
        ),
        (
            {"constraints": '{metric: Latency, maxRelative: "0.8"}'},
            "spec.objective.constraints: Latency is limited to 0.8 times the reference model",
        ),
        (
            {"target": ", measurement: {deadlineSeconds: 10}"},
            "spec.target.measurement.deadlineSeconds: is 10, but warm-up and timed runs alone may take 30.5",
        ),
        (
            {"constraints": "{metric: Energy, max: 12mJ}"},
            "spec.objective.constraints: Energy is limited, but the backend onnxruntime doesn't measure it",
        ),
        ({"pseudo": "3"}, "spec.tuner.pseudoTrials: is 3, but budget.parallelTrials is 4; the predictors have nothing"),
        (
            {"tuner": ", algorithm: NSGA2"},
            "spec.tuner.pseudoTrials: is 0, so NSGA2 breeds from the few measured trials",
        ),
        (
            {"budget": ", convergence: {patience: 60}"},
            "spec.budget.convergence.patience: is 60, but maxTrials is 60; the budget is spent before",
        ),
    ],
    ids=[
        "penalty-off",
        "penalty-huge",
        "faster-than-the-smallest",
        "deadline-too-short",
        "energy",
        "few-pseudo-trials",
        "nsga2-without",
        "patience",
    ],
)
def test_doubtful_settings_are_warned_of(tmp_path: Path, parts: dict[str, str], begins: str) -> None:
    (warning,) = cross_check(documents(tmp_path, **parts))
    assert warning.removeprefix("NASExperiment/digits: ").startswith(begins)


def test_more_finalists_than_trials_are_warned_of_where_they_were_asked_for(tmp_path: Path) -> None:
    few = {"budget": ", parallelTrials: 1"}
    assert cross_check(documents(tmp_path, trials=1, **few)) == ()
    (warning,) = cross_check(documents(tmp_path, trials=1, budget=few["budget"] + ", finalists: 2"))
    assert "spec.budget.finalists: is 2, but maxTrials is 1" in warning


@pytest.mark.parametrize(
    "parts",
    [
        {"pseudo": "300"},
        {"pseudo": "300", "tuner": ", algorithm: NSGA2"},
        {"budget": ", convergence: {patience: 12}, finalists: 5"},
    ],
)
def test_predictors_and_convergence_as_meant_give_no_warning(tmp_path: Path, parts: dict[str, str]) -> None:
    assert cross_check(documents(tmp_path, **parts)) == ()


def test_budget_larger_than_the_space_is_warned_of(tmp_path: Path) -> None:
    warnings = cross_check(documents(tmp_path, trials=100_000, constraints="{metric: Latency, max: 85ms}"))
    assert warnings == ()  # the space is larger still
    small = TEMPLATE.replace("[3, 5]", "[3], expandRatios: [4]").replace("depths: [1, 2]", "depths: [2]")
    (tmp_path / "all.yaml").write_text(small.format(trials=9, pseudo=0, **dict.fromkeys(BLANK, "")))
    assert any("has only 1 architectures" in warning for warning in cross_check(load([tmp_path])))


def test_trial_outside_the_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"Trial/by-hand: spec.architecture: .*kernel 9 of stage5.block1"):
        cross_check(documents(tmp_path, extra=TRIAL))


CLUSTER = """\
---
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {name: other}
spec:
  searchSpace: {backbone: MobileNetV2}
  dataset: {format: CIFAR10, uri: data}
  training: {workers: 4}
  podTemplate: {resources: {limits: {nvidia.com/gpu: 1}}, labels: {team: vision}}
  queueName: gpu-team-a
  deletionPolicy: Retain
"""


def test_what_only_a_cluster_uses_is_passed_over_on_one_machine(tmp_path: Path) -> None:
    there = documents(tmp_path, extra=CLUSTER)
    assert check_for_one_machine(there) == ()


def test_an_image_is_warned_of_on_one_machine(tmp_path: Path) -> None:
    there = documents(tmp_path)
    spec = there.experiments[0].spec
    template = spec.trial_template.model_copy(update={"image": "builder:1"})
    experiment = there.experiments[0].model_copy(update={"spec": spec.model_copy(update={"trial_template": template})})
    (warning,) = check_for_one_machine(Documents(supernets=there.supernets, experiments=(experiment,), trials=()))
    assert warning.startswith("NASExperiment/digits: spec.trialTemplate.image: is passed over on one machine")


def test_suspended_documents_are_refused_on_one_machine_and_sound_otherwise(tmp_path: Path) -> None:
    there = documents(tmp_path, extra=CLUSTER + "  suspend: true\n")
    assert cross_check(there) == ()
    with pytest.raises(DocumentError) as refused:
        check_for_one_machine(there)
    assert str(refused.value).startswith("Supernet/other: spec.suspend: is true, so that nothing would be started")
