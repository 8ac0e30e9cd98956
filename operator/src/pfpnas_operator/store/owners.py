"""Whose references are whose: a record of each owner in the store itself, which outlives the owner."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, ValidationError

from pfpnas_api.artifacts import ArtifactStore, RefUnreadable
from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_api.kinds.common import Model, Timestamp
from pfpnas_api.kinds.pods import DeletionPolicy

PREFIX: Final = "owner-"
"""Of the references that hold these records."""


class OwnerRecord(Model):
    """Who owns the references that begin with a uid, and what becomes of them."""

    kind: Annotated[str, Field(max_length=63)]
    namespace: Annotated[str, Field(max_length=63)]
    name: Annotated[str, Field(max_length=63)]
    deletion_policy: DeletionPolicy
    gone_since: Timestamp | None = None
    """When a sweep first missed it."""

    @classmethod
    def of(cls, owner: Supernet | NASExperiment) -> "OwnerRecord":
        """The record of a resource."""
        return cls(
            kind=owner.kind,
            namespace=owner.metadata.namespace,
            name=owner.metadata.name,
            deletion_policy=owner.spec.deletion_policy,
        )

    def gone(self, now: datetime) -> "OwnerRecord":
        """The record of an owner that isn't there any more."""
        return self if self.gone_since else self.model_copy(update={"gone_since": now})


def record_owner(store: ArtifactStore, owner: Supernet | NASExperiment) -> None:
    """Write an owner's record, unless it is there: before its first Job starts, and when its policy has changed.

    Raises:
        ArtifactError: the store can't be read or written.
    """
    record = OwnerRecord.of(owner)
    if read_owner(store, owner.metadata.uid) != record:
        store.write_ref(f"{PREFIX}{owner.metadata.uid}", record.document())


def read_owner(store: ArtifactStore, uid: str) -> OwnerRecord | None:
    """An owner's record; None if there is none that can be read.

    Raises:
        ArtifactError: the store can't be read.
    """
    try:
        return owner_record(store.read_ref(f"{PREFIX}{uid}"))
    except RefUnreadable:
        return None


def owner_record(value: object) -> OwnerRecord | None:
    """The record that a reference holds; None if it holds none."""
    try:
        return OwnerRecord.model_validate(value)
    except ValidationError:
        return None
