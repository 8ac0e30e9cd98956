"""What a user may say of the pods that run for a resource: a closed, bounded subset of a pod template.

No volumes, no service account, no command, no host access: whoever may write a Supernet may not thereby become root on
a node.
"""

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from pfpnas_api.kinds.common import Model

_SEGMENT = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
LABEL_KEY = rf"^({_SUBDOMAIN}/)?{_SEGMENT}$"
LABEL_VALUE = rf"^({_SEGMENT})?$"
_OURS = r"^([-a-z0-9.]+\.)?(pfpnas\.io|kubernetes\.io|k8s\.io)/"
"""Labels and annotations of these domains decide what belongs to whom, or what a pod may do."""

LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]
AnnotationValue = Annotated[str, Field(max_length=1024)]
ResourceName = Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY)]
AMOUNT = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Amount = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=AMOUNT),
    BeforeValidator(_text),
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "minimum": 0, "maxLength": 32, "pattern": AMOUNT}, mode="validation"
    ),
]
"""A Kubernetes quantity: 500m, 2, 8Gi; as everywhere in Kubernetes a plain number needs no quotes."""

_SUFFIXES = {"m": Fraction(1, 1000), "": Fraction(1)}
_SUFFIXES |= {suffix: Fraction(1000**power) for power, suffix in enumerate("kMGT", start=1)}
_SUFFIXES |= {suffix: Fraction(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)}


def _number(amount: str) -> Fraction:
    """An amount in its base unit."""
    figures = amount.rstrip("mkMGTi")
    return Fraction(figures) * _SUFFIXES[amount.removeprefix(figures)]


ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^{_SUBDOMAIN}$")]
"""A DNS subdomain."""


_NOT_FOR_USERS = "keys of pfpnas.io, kubernetes.io and k8s.io are not for users"


def _not_ours(given: dict[str, str]) -> dict[str, str]:
    for key in given:
        if re.match(_OURS, key):
            raise ValueError(f"{key}: {_NOT_FOR_USERS}")
    return given


_KEYS: JsonDict = {
    "x-kubernetes-validations": [{"rule": f"self.all(key, !key.matches(r'{_OURS}'))", "message": _NOT_FOR_USERS}]
}


_VALUE_OF_EQUAL = "value goes with operator Equal only"
_EVERY_TAINT = "key may be left out with operator Exists only"
_SECONDS = "tolerationSeconds goes with effect NoExecute only"

_TOLERATION_RULES: JsonDict = {
    "x-kubernetes-validations": [
        {"rule": "!has(self.value) || self.operator == 'Equal'", "message": _VALUE_OF_EQUAL},
        {"rule": "has(self.key) || self.operator == 'Exists'", "message": _EVERY_TAINT},
        {
            "rule": "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "message": _SECONDS,
        },
    ]
}
"""What the API server asks of a pod's tolerations: refused here, it does not come to a Job that can't be made."""


class Toleration(Model):
    """A taint that the pods bear."""

    model_config = {"json_schema_extra": _TOLERATION_RULES}

    key: LabelKey | None = None
    """Of the taint; left out with operator Exists, every taint is tolerated."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Equal: the taint's value has to be the one given. Exists: any value will do."""
    value: LabelValue | None = None
    """Of the taint; only with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Of the taint; left out, every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """How long the taint is borne; only with NoExecute."""

    @model_validator(mode="after")
    def _is_one_of_kubernetes(self) -> "Toleration":
        if self.value is not None and self.operator != "Equal":
            raise ValueError(_VALUE_OF_EQUAL)
        if self.key is None and self.operator != "Exists":
            raise ValueError(_EVERY_TAINT)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(_SECONDS)
        return self


class ResourceRequirements(Model):
    """Compute resources of a pod's one container."""

    limits: Annotated[dict[ResourceName, Amount], Field(max_length=16)] = {}
    """Most it may use: cpu, memory, nvidia.com/gpu, …"""
    requests: Annotated[dict[ResourceName, Amount], Field(max_length=16)] = {}
    """What it is given for certain; the limits where left out."""

    @model_validator(mode="after")
    def _asks_for_what_there_can_be(self) -> "ResourceRequirements":
        """What the API server asks of a pod; it knows no rule for it here, since amounts are texts."""
        for name, wanted in self.requests.items():
            most = self.limits.get(name)
            if most is not None and _number(wanted) > _number(most):
                raise ValueError(f"requests.{name} is {wanted}, more than limits.{name}, which is {most}")
            if "/" in name and (most is None or _number(wanted) != _number(most)):
                raise ValueError(f"requests.{name}: devices are asked for by limits.{name}; leave it out here")
        for name, amount in self.limits.items():
            if "/" in name and _number(amount) % 1:
                raise ValueError(f"limits.{name} is {amount}, but devices are whole")
        return self

    def devices(self, name: str) -> int:
        """How many devices of a kind a pod gets."""
        return int(_number(self.limits.get(name, "0")))


class PodTemplate(Model):
    """Where pods run and what they may use."""

    resources: ResourceRequirements | None = None
    """In place of the defaults of the operator's configuration."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] = {}
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pods bear."""
    priority_class_name: ObjectName | None = None
    """A PriorityClass of the cluster."""
    runtime_class_name: ObjectName | None = None
    """A RuntimeClass of the cluster."""
    labels: Annotated[
        dict[LabelKey, LabelValue],
        Field(max_length=16, json_schema_extra=_KEYS),
        AfterValidator(_not_ours),
    ] = {}
    """Further labels of the pods."""
    annotations: Annotated[
        dict[LabelKey, AnnotationValue],
        Field(max_length=16, json_schema_extra=_KEYS),
        AfterValidator(_not_ours),
    ] = {}
    """Further annotations of the pods."""


QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A LocalQueue of Kueue in the same namespace."""

DeletionPolicy = Literal["Delete", "Retain"]

_TAG = r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@sha256:[0-9a-f]{64})?"

Image = Annotated[
    str,
    Field(min_length=1, max_length=512, pattern=rf"^[a-z0-9]([-a-z0-9._/]|:[0-9]{{1,5}}/)*{_TAG}$"),
]
"""A container image: registry/name:tag, or …@sha256:…"""
