"""Documents that the API server let pass, though they make no resource: a condition says what is wrong."""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pfpnas_api.kinds import Metadata, NASExperiment, Supernet, Trial, TrialStatus
from pfpnas_api.messages import summary
from pfpnas_operator.kube.api import Object
from pfpnas_operator.reconcile.conditions import Stamp
from pfpnas_operator.reconcile.refusing import held_back, rejected

AnyResource = TypeVar("AnyResource", Supernet, NASExperiment)

ACCEPTED = "Accepted"
"""The condition of a document that nothing can be done for yet."""


def _metadata(body: Object) -> Metadata:
    """Enough of an object's metadata to write its status."""
    metadata = body["metadata"]
    return Metadata.model_construct(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
    )


def refused(
    kind: type[AnyResource], body: Object, status: Any, error: ValidationError, *, now: datetime
) -> AnyResource:
    """A resource with nothing in it but metadata, and a status that says what is wrong with the rest."""
    metadata = _metadata(body)
    stamp = Stamp(now=now, generation=metadata.generation)
    shell: Any = kind.model_construct
    made: AnyResource = shell(kind=body["kind"], metadata=metadata, status=rejected(status, stamp, summary(error)))
    return made


def orphaned(body: Object, *, now: datetime) -> Trial:
    """A Trial whose experiment isn't there, with a condition that says so."""
    reference = body["spec"]["experimentRef"]["name"]
    text = f"no NASExperiment {reference} in this namespace: it is measured once there is one"
    return held(body, "ExperimentNotFound", text, now=now)


def held(body: Object, reason: str, message: str, *, now: datetime) -> Trial:
    """A Trial that isn't taken up, with a condition that says why."""
    metadata, status = _metadata(body), TrialStatus.model_validate(body.get("status") or {})
    stamp = Stamp(now=now, generation=metadata.generation)
    shell: Any = Trial.model_construct
    made: Trial = shell(kind="Trial", metadata=metadata, status=held_back(status, stamp, reason, message))
    return made
