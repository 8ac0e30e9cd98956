"""What the three kinds share: metadata, conditions, references, and how a field is written in YAML."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

API_VERSION = "pfpnas.io/v1alpha1"
GROUP, VERSION = API_VERSION.split("/")

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SHA256 = r"^[0-9a-f]{64}$"


class Model(BaseModel):
    """A part of a document: camelCase in YAML, unknown fields refused, values immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def document(self) -> dict[str, Any]:
        """The JSON form with the names a user writes; fields never set are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[AwareDatetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""An aware moment; in documents UTC to the millisecond."""

MAX_PARENT_NAME = 51
"""Characters of the names of Supernets and NASExperiments: the names of their children are made of theirs, and have to
fit into the 63 of a DNS label. The longest is that of a training's pod, such as `<name>-pretrain-63`."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_PARENT_NAME, pattern=DNS_LABEL)]
"""A DNS label, short enough that the names of children fit into 63 characters."""

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""A number of things; every JSON reader knows it exactly up to this bound."""

Digest = Annotated[str, Field(pattern=SHA256, min_length=64, max_length=64)]
"""A SHA-256 in hexadecimal."""


class OwnerReference(Model):
    """The part of an owner reference that says whose an object is."""

    model_config = ConfigDict(extra="ignore")

    uid: Annotated[str, Field(max_length=64)] = ""
    controller: bool = False


class Metadata(Model):
    """The part of `ObjectMeta` that PFP-NAS reads. What else Kubernetes writes there is passed over."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
    namespace: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)] = "default"
    uid: Annotated[str, Field(max_length=64)] = ""
    generation: int = 1
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: Timestamp | None = None
    owner_references: tuple[OwnerReference, ...] = ()

    def controlled_by(self, uid: str) -> bool:
        """Whether the object of this uid made it, and not merely somebody who chose its name."""
        return bool(uid) and any(owner.controller and owner.uid == uid for owner in self.owner_references)


def _short_enough(metadata: Metadata) -> Metadata:
    if len(metadata.name) > MAX_PARENT_NAME:
        raise ValueError(
            f"name is {len(metadata.name)} characters long: at most {MAX_PARENT_NAME} are allowed, "
            "since the names of its children are made from it"
        )
    return metadata


ParentMetadata = Annotated[Metadata, AfterValidator(_short_enough)]
"""Metadata of a kind that has children."""


class LocalReference(Model):
    """A reference to an object of the same namespace."""

    name: Name
    """Of an object in the same namespace."""


class ArtifactRef(Model):
    """A content-addressed artifact: the digest is its name."""

    sha256: Digest
    size: Count
    """Bytes."""


class Condition(Model):
    """`metav1.Condition`: what is known of one aspect of an object, and since when."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, Field(max_length=1024)] = ""
    last_transition_time: Timestamp
    observed_generation: Count = 0


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


def find_condition(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of a type, or None."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether a condition of this type is there and True."""
    found = find_condition(conditions, kind)
    return found is not None and found.status == "True"


def set_condition(conditions: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """The conditions with `new` in the place of its type; the transition time moves only when the status changes."""
    old = find_condition(conditions, new.type)
    if old is None:
        return (*conditions, new)
    if old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    return tuple(new if condition.type == new.type else condition for condition in conditions)


Spec = TypeVar("Spec", bound=Model)
Status = TypeVar("Status", bound=Model)


class Resource(Model, Generic[Spec, Status]):
    """A custom resource: metadata, what is wished (spec), what is (status)."""

    api_version: Literal["pfpnas.io/v1alpha1"] = "pfpnas.io/v1alpha1"
    metadata: Metadata
    spec: Spec
    status: Status
