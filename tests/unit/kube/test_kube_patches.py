"""Patches of a status: only what changed, and only on the object that was looked at."""

from typing import Any

import pytest

from pfpnas_operator.kube.patches import status_patch

CASES: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({}, {"a": 1}, [("add", "/status")]),
    ({"a": 1}, {"a": 2}, [("add", "/status/a")]),
    ({"a": 1, "b": 2}, {"b": 2}, [("remove", "/status/a")]),
    ({"a": [1, 2], "b": {"c": 1}}, {"a": [2], "b": {"c": 1}}, [("add", "/status/a")]),
]


@pytest.mark.parametrize(("old", "new", "operations"), CASES)
def test_patch_is_the_difference(old: dict[str, Any], new: dict[str, Any], operations: list[tuple[str, str]]) -> None:
    test, *rest = status_patch("u-1", old, new)
    assert test == {"op": "test", "path": "/metadata/uid", "value": "u-1"}
    assert [(one["op"], one["path"]) for one in rest] == operations


def test_a_status_that_did_not_change_is_not_written() -> None:
    assert status_patch("u-1", {"a": 1}, {"a": 1}) == []
