"""Documents of the three kinds: round trips, and errors that name the field as it is written in YAML."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pfpnas_api.kinds import (
    Condition,
    Metadata,
    NASExperiment,
    Supernet,
    Trial,
    find_condition,
    is_true,
    set_condition,
)
from pfpnas_api.messages import summary

SUPERNET = """
apiVersion: pfpnas.io/v1alpha1
kind: Supernet
metadata: {name: cifar-mobilenet}
spec:
  searchSpace:
    {backbone: MobileNetV2, widthMultiplier: "0.5", kernelSizes: [3, 5, 7], expandRatios: [3, 4, 6], depths: [1, 2, 3],
     resolutions: [32]}
  dataset: {format: CIFAR10, uri: "file:///data/cifar10"}
  training: {recipe: Sandwich, epochs: 90, batchSize: 512, precision: Auto, seed: 1}
"""

EXPERIMENT = """
apiVersion: pfpnas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits-on-cpu, namespace: team-a, generation: 2, labels: {a: b}}
spec:
  supernetRef: {name: cifar-mobilenet}
  target: {pool: bench-cpu, dataset: digits, head: Fitted, backend: onnxruntime}
  objective:
    scoring: PenalizedAccuracy
    penaltyCoefficient: "0.2"
    constraints: [{metric: Latency, max: 85ms}, {metric: FLOPs, max: 300M}]
  tuner: {algorithm: TPE, pseudoTrials: 300, seed: 1}
  budget: {maxTrials: 60, parallelTrials: 12, maxFailedTrials: 6, maxDurationSeconds: 3600}
"""

TRIAL = """
apiVersion: pfpnas.io/v1alpha1
kind: Trial
metadata: {name: digits-on-cpu-00003}
spec: {experimentRef: {name: digits-on-cpu}, architecture: r32-k3e3, index: 3, origin: Tuner}
status:
  observedGeneration: 1
  conditions:
    - {type: Built, status: "True", reason: Built, lastTransitionTime: "2026-01-02T03:04:05.678Z"}
  metrics:
    accuracy: 0.91
    latencyMilliseconds: {p50: 1.25, p90: 1.5, mad: 0.01, runs: 64, reference: 0.5}
    flops: 12345678
  score: 0.91
  feasible: true
  artifact: {sha256: AAAA, size: 1234}
""".replace("AAAA", "a" * 64)

CASES: list[tuple[type[Supernet] | type[NASExperiment] | type[Trial], str]] = [
    (Supernet, SUPERNET),
    (NASExperiment, EXPERIMENT),
    (Trial, TRIAL),
]


def is_within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and is_within(v, whole[k]) for k, v in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_within, part, whole))
    return bool(part == whole and type(part) is type(whole))


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_what_is_written_stays_as_it_is_written(
    kind: type[Supernet] | type[NASExperiment] | type[Trial], text: str
) -> None:
    written = yaml.safe_load(text)
    document = kind.model_validate(written).document()
    assert is_within(written, document)
    through_yaml = yaml.safe_load(yaml.safe_dump(document))
    assert kind.model_validate(through_yaml) == kind.model_validate(written)
    assert kind.model_validate(through_yaml).document() == document


def test_fields_without_a_value_are_left_out() -> None:
    document = NASExperiment.model_validate(yaml.safe_load(EXPERIMENT)).document()
    assert "pricePerHour" not in document["spec"]["target"]
    assert "best" not in document["status"]


def test_what_kubernetes_adds_to_the_metadata_is_passed_over() -> None:
    assert Metadata.model_validate({"name": "a", "resourceVersion": "7", "managedFields": [{}]}) == Metadata(name="a")


@pytest.mark.parametrize(
    ("text", "path", "value", "words"),
    [
        (SUPERNET, "spec.searchSpace.kernelSizes", [4], "spec.searchSpace: .*kernelSizes: 4 is not allowed"),
        (SUPERNET, "spec.searchSpace.kernelSizes", [], "spec.searchSpace.kernelSizes"),
        (SUPERNET, "spec.searchSpace.kernelSizes", [3, 3], "spec.searchSpace: .*kernelSizes.*repeats"),
        (SUPERNET, "spec.searchSpace.widthMultiplier", "5", 'spec.searchSpace.widthMultiplier: .*"0.1" to "2"'),
        (SUPERNET, "spec.searchSpace.resolutions", [32, 128], "spec.searchSpace: .*resolutions"),
        (SUPERNET, "spec.searchSpace.expandRatio", 3, "spec.searchSpace.expandRatio: "),
        (SUPERNET, "spec.training.learningRate", "99", "spec.training.learningRate: .*is 99: allowed is"),
        (SUPERNET, "spec.training.batchSize", "512", "spec.training.batchSize: "),
        (SUPERNET, "spec.training.batch_size", 512, "spec.training.batch_size: "),
        (SUPERNET, "spec.dataset", {"format": "CIFAR10"}, "spec.dataset: .*uri is required"),
        (SUPERNET, "spec.dataset.shapes", {}, "spec.dataset: .*shapes belongs to format Shapes"),
        (SUPERNET, "metadata.name", "Big", "metadata.name: "),
        (SUPERNET, "metadata.name", "a" * 52, "metadata: .*name is 52 characters long.*children"),
        (SUPERNET, "apiVersion", "v1", "apiVersion: "),
        (EXPERIMENT, "metadata.name", "a" * 52, "metadata: .*name is 52 characters long.*children"),
        (EXPERIMENT, "spec.budget", {}, "spec.budget.maxTrials: "),
        (EXPERIMENT, "spec.target.measurement", {"warmupSeconds": "61"}, "spec.target.measurement.warmupSeconds: "),
        (EXPERIMENT, "spec.target.pricePerHour", 2.5, 'spec.target.pricePerHour: .*"2.5"'),
        (
            EXPERIMENT,
            "spec.objective.constraints",
            [{"metric": "Cost", "max": "2"}],
            "spec: .*target.pricePerHour is required",
        ),
        (
            EXPERIMENT,
            "spec.objective.constraints",
            [{"metric": "FLOPs", "max": "2M"}, {"metric": "FLOPs", "max": "3M"}],
            "spec.objective: .*FLOPs is limited twice",
        ),
        (TRIAL, "spec.origin", "User", "spec: .*index belongs to the tuner's own trials"),
        (TRIAL, "spec.architecture", "a b", "spec.architecture: "),
    ],
)
def test_errors_name_the_field_as_it_is_written(text: str, path: str, value: Any, words: str) -> None:
    document = yaml.safe_load(text)
    *parents, last = path.split(".")
    place = document
    for part in parents:
        place = place[part]
    place[last] = value
    kinds = {kind.__name__: kind for kind, _ in CASES}
    with pytest.raises(ValidationError) as caught:
        kinds[document["kind"]].model_validate_json(json.dumps(document), strict=True, by_alias=True, by_name=False)
    assert re.search(words, summary(caught.value))


def test_a_summary_never_repeats_the_input() -> None:
    document = yaml.safe_load(SUPERNET)
    document["spec"]["dataset"]["format"] = "secret-value"
    with pytest.raises(ValidationError) as caught:
        Supernet.model_validate(document)
    assert "secret-value" not in summary(caught.value)


def test_longest_parent_name_and_longer_trial_names_are_allowed() -> None:
    document = yaml.safe_load(EXPERIMENT)
    document["metadata"]["name"] = "a" * 51
    NASExperiment.model_validate(document)
    trial = yaml.safe_load(TRIAL)
    trial["metadata"]["name"] = "a" * 63
    Trial.model_validate(trial)
    trial["metadata"]["name"] = "a" * 64
    with pytest.raises(ValidationError):
        Trial.model_validate(trial)


def test_moments_are_written_in_utc_to_the_millisecond() -> None:
    moment = datetime(2026, 1, 2, 4, 4, 5, 678_900, tzinfo=timezone(timedelta(hours=1)))
    condition = Condition(type="Built", status="True", reason="Built", last_transition_time=moment)
    assert condition.document()["lastTransitionTime"] == "2026-01-02T03:04:05.678Z"


def test_moments_without_a_zone_are_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Condition.model_validate(
            {"type": "Built", "status": "True", "reason": "B", "lastTransitionTime": "2026-01-02T03:04:05"}
        )


def test_documents_are_values_that_nobody_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Supernet.model_validate(yaml.safe_load(SUPERNET)).kind = "Supernet"


def make_condition(status: str, *, second: int, kind: str = "Built") -> Condition:
    moment = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": f"At{second}", "lastTransitionTime": moment}
    )


def test_a_conditions_time_moves_only_with_its_status() -> None:
    first, same, other = (
        make_condition("False", second=1),
        make_condition("False", second=2),
        make_condition("True", second=3),
    )
    conditions = set_condition((make_condition("True", second=0, kind="Measured"), first), same)
    assert [c.type for c in conditions] == ["Measured", "Built"]
    found = find_condition(conditions, "Built")
    assert found is not None
    assert (found.reason, found.last_transition_time) == ("At2", first.last_transition_time)
    moved = find_condition(set_condition(conditions, other), "Built")
    assert moved == other


def test_only_true_is_true() -> None:
    assert is_true([make_condition("True", second=1)], "Built")
    assert not is_true([make_condition("Unknown", second=1)], "Built")
    assert not is_true([], "Built")
