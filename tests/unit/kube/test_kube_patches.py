"""Merge patches: only what changed, null for what vanished."""

import pytest

from pfpnas_operator.kube.patches import difference, status_patch

CASES = [
    ({}, {"a": 1}, {"a": 1}),
    ({"a": 1}, {}, {"a": None}),
    ({"a": 1}, {"a": 1}, {}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
    ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
    ({"a": [1, 2]}, {"a": [2]}, {"a": [2]}),
    ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
    ({"a": 0}, {"a": False}, {}),
]


@pytest.mark.parametrize(("old", "new", "patch"), CASES)
def test_patch_is_the_difference(old: dict, new: dict, patch: dict) -> None:
    assert difference(old, new) == patch


def test_a_status_that_did_not_change_is_not_written() -> None:
    assert status_patch("u-1", {"a": 1}, {"a": 1}) is None


def test_a_patch_is_bound_to_the_object_that_was_looked_at() -> None:
    assert status_patch("u-1", {"a": 1}, {"a": 2}) == {"metadata": {"uid": "u-1"}, "status": {"a": 2}}
