"""What counts as a refusal that names the field: the server's own words, as version 1.34 says them."""

import pytest

from support.named_fields import is_named, path_in

HEAD = 'The NASExperiment "digits" is invalid: '
MORE = "\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid"
STRICT = (
    'NASExperiment in version "v1alpha1" cannot be handled as a NASExperiment: strict decoding error: unknown field '
)
JSON = "json: cannot unmarshal number into Go struct field "


@pytest.mark.parametrize(
    ("says", "path"),
    [
        ("bad.yaml:9: NASExperiment/digits: spec.budget.maxTrials: is 0, must be at least 1", "spec.budget.maxTrials"),
        ("bad.yaml:6: spec.target.pool: no is a boolean to some: write true or false", "spec.target.pool"),
        ("bad.yaml:1: kind: is required, but missing", "kind"),
        ("bad.yaml:3: NASExperiment: metadata.name: is 12, must be text (quote it)", "metadata.name"),
        ("bad.yaml:8: NASExperiment/digits: spec.objective.constraints[0].max: is", "spec.objective.constraints.max"),
        ("bad.yaml:7: Supernet/cifar: spec.podTemplate.labels.a..b/team.[key]: is", "spec.podTemplate.labels"),
        ("bad.yaml:7: Supernet/cifar: spec.podTemplate.labels: pfpnas.io/owner: keys of", "spec.podTemplate.labels"),
        (
            "bad.yaml:7: Supernet/cifar: spec.resources.limits.nvidia.com/gpu: is",
            "spec.resources.limits.nvidia.com/gpu",
        ),
    ],
)
def test_a_message_of_ours_is_about_the_path_before_its_first_colon(says: str, path: str) -> None:
    assert path_in(says) == path


@pytest.mark.parametrize(
    "says", ["bad.yaml:1: is a list, must be a document", "bad.yaml:9: not valid YAML: found tabs"]
)
def test_a_message_about_a_whole_document_has_no_path(says: str) -> None:
    with pytest.raises(ValueError, match="no field is named"):
        path_in(says)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        (
            "spec.budget.maxTrials",
            HEAD + "spec.budget.maxTrials: Invalid value: 0: should be greater than or equal to 1",
        ),
        ("spec.budget.maxTrials", HEAD + "\n* spec.budget.maxTrials: Required value" + MORE),
        ("spec.tuner.algoritm", STRICT + '"spec.tuner.algoritm"'),
        ("spce", STRICT + '"spec.tuner.zzz", unknown field "spce"'),
        ("spec.objective.constraints", HEAD + 'spec.objective.constraints[1]: Duplicate value: {"metric":"Latency"}'),
        ("spec.objective.constraints", HEAD + "spec.objective.constraints[0].max: Invalid value: a limit of 0"),
        (
            "spec.target.pricePerHour",
            HEAD + 'spec: Invalid value: "object": a constraint on Cost needs target.pricePerHour',
        ),
        ("spec.dataset.uri", 'spec.dataset: Invalid value: "object": uri is required: where the data are'),
        (
            "spec.warmStartFrom",
            HEAD + '<nil>: Invalid value: "object": spec.warmStartFrom: names the experiment itself',
        ),
        ("spec.podTemplate.labels", HEAD + 'spec.podTemplate.labels: Invalid value: "object": keys have to match'),
        ("metadata.labels.a", JSON + "ObjectMeta.labels of type string"),
        ("metadata.name", JSON + "ObjectMeta.name of type string"),
        ("kind", 'error validating "STDIN": error validating data: kind not set; if you choose to ignore'),
    ],
)
def test_a_field_is_named_by_its_path_or_by_what_stands_for_it(path: str, refusal: str) -> None:
    assert is_named(path, refusal)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("spec.target.pool", HEAD + "spec.budget.maxTrials: Invalid value: 0"),
        ("spec.target.pool", STRICT + '"spec.target.pooling"'),
        ("spec.podTemplate.labels.team", HEAD + "spec.podTemplate.labels.team/x: Invalid value"),
        ("spec.podTemplate", HEAD + "spec.trialTemplate.podTemplate.volumes: Forbidden"),
        ("spec.budget.max", HEAD + "spec.budget.maxTrials: Required value"),
        ("spec.dataset.uri", HEAD + "spec.target: Required value\n* spec.dataset: Required value\nuri is required"),
        ("metadata.name", JSON + "ObjectMeta.labels of type string"),
        ("metadata", 'namespaces "test" not found'),
        ("kind", HEAD + "spec.kindOf: Required value"),
    ],
)
def test_a_part_of_another_path_or_of_another_complaint_names_nothing(path: str, refusal: str) -> None:
    assert not is_named(path, refusal)
