"""Documents that the API server let pass, though they make no resource: a condition says what is wrong."""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pfpnas_api.kinds import Metadata, NASExperiment, Supernet, Trial, TrialStatus
from pfpnas_api.messages import summary
from pfpnas_operator.kube.api import Object
from pfpnas_operator.reconcile.conditions import FALSE, Stamp

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
    conditions = stamp.put(status.conditions, "Accepted", FALSE, "Invalid", summary(error))
    update = {"conditions": conditions, "observed_generation": metadata.generation}
    shell: Any = kind.model_construct
    made: AnyResource = shell(kind=body["kind"], metadata=metadata, status=status.model_copy(update=update))
    return made


def orphaned(body: Object, *, now: datetime) -> Trial:
    """A Trial whose experiment isn't there, with a condition that says so."""
    metadata, reference = _metadata(body), body["spec"]["experimentRef"]["name"]
    status = TrialStatus.model_validate(body.get("status") or {})
    stamp = Stamp(now=now, generation=metadata.generation)
    text = f"no NASExperiment {reference} in this namespace: it is measured once there is one"
    conditions = stamp.put(status.conditions, ACCEPTED, FALSE, "ExperimentNotFound", text)
    shell: Any = Trial.model_construct
    made: Trial = shell(kind="Trial", metadata=metadata, status=status.model_copy(update={"conditions": conditions}))
    return made
