"""Merge patches: what changes, with null for what vanished (RFC 7386)."""

from collections.abc import Mapping
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes `old` into `new`; empty when they are equal. Lists are replaced as a whole."""
    patch: dict[str, Any] = dict.fromkeys((key for key in old if key not in new), None)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = difference(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or value != before:
            patch[key] = value
    return patch


def status_patch(uid: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch of a status, bound to the object's uid: one that was replaced meanwhile answers with a conflict.

    None when nothing changed.
    """
    change = difference(old, new)
    return {"metadata": {"uid": uid}, "status": change} if change else None
