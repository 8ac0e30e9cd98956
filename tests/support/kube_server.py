"""An API server's objects in memory, as far as keepers use them; the end-to-end tests have a real one."""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pfpnas_operator.kube.api import Exists, Object, Place, Stale

MADE = "2026-01-01T00:00:00Z"


class ObjectServer:
    """Objects by kind, namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[tuple[str, str]] = []
        """Verb and name of whatever was written."""
        self._numbers = itertools.count(1)

    def get(self, place: Place, namespace: str | None, name: str) -> Object | None:
        """A copy of an object."""
        return copy.deepcopy(self.objects.get((place.plural, namespace or "", name)))

    def list(
        self,
        place: Place,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        only_metadata: bool = False,
    ) -> Iterator[Object]:
        """Copies of those with a label; fields select nothing here."""
        key, _, value = (labels or "").partition("=")
        for (plural, where, _), body in sorted(self.objects.items()):
            wanted = plural == place.plural and namespace in (None, where)
            if wanted and (not key or body["metadata"].get("labels", {}).get(key) == value):
                yield copy.deepcopy({"metadata": body["metadata"]} if only_metadata else body)

    def create(self, place: Place, namespace: str, body: Object) -> Object:
        """A new object; its status is not taken."""
        key = (place.plural, namespace, body["metadata"]["name"])
        if key in self.objects:
            raise Exists(409, "AlreadyExists", "there already")
        made = {field: copy.deepcopy(value) for field, value in body.items() if field != "status"}
        number = next(self._numbers)
        made["metadata"] |= {"uid": f"uid-{number}", "creationTimestamp": MADE, "generation": 1, "namespace": namespace}
        self.objects[key] = made
        return self._written("create", key)

    def merge(self, place: Place, namespace: str, name: str, body: Mapping[str, Any]) -> Object | None:
        """A merge patch."""
        key = (place.plural, namespace, name)
        if key not in self.objects:
            return None
        _merge(self.objects[key], body)
        return self._written("merge", key)

    def amend(
        self, place: Place, namespace: str, name: str, operations: Sequence[Object], *, part: str
    ) -> Object | None:
        """A JSON patch of the status."""
        key = (place.plural, namespace, name)
        if key not in self.objects:
            return None
        test, *rest = operations
        if self.objects[key]["metadata"]["uid"] != test["value"]:
            raise Stale(422, "Invalid", "another object")
        for operation in rest:
            self._amend(self.objects[key], operation)
        return self._written("amend", key)

    def delete(self, place: Place, namespace: str, name: str, **how: Any) -> bool:
        """Gone at once."""
        self.writes.append(("delete", name))
        return self.objects.pop((place.plural, namespace, name), None) is not None

    def _written(self, verb: str, key: tuple[str, str, str]) -> Object:
        self.writes.append((verb, key[2]))
        self.objects[key]["metadata"]["resourceVersion"] = str(next(self._numbers))
        return copy.deepcopy(self.objects[key])

    @staticmethod
    def _amend(body: Object, operation: Object) -> None:
        _, *steps = operation["path"].split("/")
        for step in steps[:-1]:
            body = body[step]
        if operation["op"] == "remove":
            del body[steps[-1]]
        else:
            body[steps[-1]] = copy.deepcopy(operation["value"])


def _merge(target: Object, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
