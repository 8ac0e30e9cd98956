"""Patches of a status: what changed, bound to the object that was looked at."""

from collections.abc import Mapping
from typing import Any

Operation = dict[str, Any]


def status_patch(uid: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Operation]:
    """The JSON patch (RFC 6902) that makes a status `old` into `new`; empty when they are equal.

    It tests the uid first, so that an object that was replaced by another of its name refuses it. (A merge patch can't
    do that: on the status subresource the API server passes over a uid that isn't the object's.)
    """
    if old == new:
        return []
    test = {"op": "test", "path": "/metadata/uid", "value": uid}
    if not old:
        return [test, {"op": "add", "path": "/status", "value": dict(new)}]
    gone = [{"op": "remove", "path": _path(field)} for field in old if field not in new]
    changed = [
        {"op": "add", "path": _path(field), "value": value} for field, value in new.items() if old.get(field) != value
    ]
    return [test, *gone, *changed]


def _path(field: str) -> str:
    return f"/status/{field}"
