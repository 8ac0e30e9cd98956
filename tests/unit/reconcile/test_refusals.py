"""Documents that no decision is made about: invalid ones, and Trials that claim to be the search's own."""

from typing import Any

import pytest

from pfpnas_api.kinds import NASExperimentStatus, SupernetStatus, Trial, TrialStatus, find_condition, is_true
from pfpnas_operator.reconcile import names, reconcile_experiment
from pfpnas_operator.reconcile.conditions import MESSAGE_LIMIT, Stamp
from pfpnas_operator.reconcile.refusing import claims_to_be_own, held_back, rejected
from support.reconcile_builders import NOW, architecture, condition, make_experiment, make_trial, observe, suggest

STAMP = Stamp(now=NOW, generation=4)
OWNER = {"uid": "ex-uid", "controller": True, "kind": "NASExperiment", "name": "digits", "apiVersion": "x"}


@pytest.mark.parametrize(("status", "sum_up"), [(SupernetStatus(), "Ready"), (NASExperimentStatus(), "Succeeded")])
def test_a_document_that_makes_no_resource_is_not_accepted(status: Any, sum_up: str) -> None:
    kept = status.model_copy(update={"conditions": (condition("Searching", "Searching"),)})
    refused = rejected(kept, STAMP, "spec: " + "x" * 2000)
    for kind in ("Accepted", sum_up):
        found = find_condition(refused.conditions, kind)
        assert found is not None
        assert (found.status, found.reason, len(found.message)) == ("False", "Invalid", MESSAGE_LIMIT)
    assert is_true(refused.conditions, "Searching")
    assert refused.observed_generation == 4


def test_a_trial_without_its_experiment_says_so() -> None:
    status = held_back(TrialStatus(), STAMP, "ExperimentNotFound", "no NASExperiment digits in this namespace")
    reasons = {found.type: (found.status, found.reason) for found in status.conditions}
    assert reasons == {"Accepted": ("False", "ExperimentNotFound"), "Succeeded": ("False", "ExperimentNotFound")}


def trial(name: str, *, owners: Any = (), **spec: Any) -> Trial:
    content = {"experimentRef": {"name": "digits"}, "architecture": architecture(3), **spec}
    return Trial.model_validate({"metadata": {"name": name, "ownerReferences": list(owners)}, "spec": content})


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (trial("mine"), None),
        (trial("mine", owners=[OWNER]), None),
        (trial("digits-00012", owners=[OWNER], index=12, origin="Tuner"), None),
        (trial("digits-w0123abcd", owners=[OWNER], origin="WarmStart"), None),
        (trial("digits-00012"), "metadata.name: "),
        (trial("digits-00012-2"), "metadata.name: "),
        (trial("digits-w0123abcd"), "metadata.name: "),
        (trial("digits-00012", owners=[{**OWNER, "uid": "other"}], index=12, origin="Tuner"), "metadata.name: "),
        (trial("digits-00012", owners=[{**OWNER, "controller": False}], index=12, origin="Tuner"), "metadata.name: "),
        (trial("mine", index=12, origin="Tuner"), "spec.index: "),
        (trial("mine", owners=[OWNER], index=12, origin="Tuner"), "spec.index: "),
        (trial("mine", origin="WarmStart"), "spec.origin: "),
        (trial("mine", origin="Tuner"), "spec.origin: "),
    ],
)
def test_only_the_operator_makes_trials_of_the_searchs_own(made: Trial, says: str | None) -> None:
    found = claims_to_be_own(made, experiment="digits", uid="ex-uid")
    assert found == says if says is None else str(found).startswith(says)


def test_a_name_that_somebody_took_is_passed_over() -> None:
    taken = frozenset({"digits-00000", "digits-00000-2", "digits-00001x"})
    plan = reconcile_experiment(observe(make_experiment(), suggestions=suggest(0, 1), reserved=taken), NOW)
    assert [(made.metadata.name, made.spec.index) for made in plan.create_trials] == [
        ("digits-00000-3", 0),
        ("digits-00001", 1),
    ]
    assert names.trial(make_experiment(), 0) == make_trial(0).metadata.name
