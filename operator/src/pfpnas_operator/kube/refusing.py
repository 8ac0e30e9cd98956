"""Documents that the API server let pass, though they make no resource: a condition says what is wrong."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pfpnas_api.kinds import Metadata, NASExperiment, Supernet, Trial, TrialStatus
from pfpnas_api.messages import summary
from pfpnas_operator.kube.api import TRIALS, Api, Object, Stale
from pfpnas_operator.kube.writer import Written
from pfpnas_operator.reconcile.conditions import Stamp
from pfpnas_operator.reconcile.refusing import held_back, rejected

AnyResource = TypeVar("AnyResource", Supernet, NASExperiment)

ACCEPTED = "Accepted"
"""The condition of a document that nothing can be done for yet."""

ORPHANED = "ExperimentNotFound"


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


def awaits_word(body: Object) -> bool:
    """Whether a Trial, should its experiment not be there, has yet to say so."""
    said = any(one["type"] == ACCEPTED and one["reason"] == ORPHANED for one in _conditions(body))
    return not said and not _is_finished(body)


def tell_orphan(api: Api, namespace: str, name: str, *, now: datetime) -> None:
    """Say on a Trial that its experiment isn't there."""
    body = api.get(TRIALS, namespace, name)
    if body is not None:
        reference = body["spec"]["experimentRef"]["name"]
        text = f"no NASExperiment {reference} in this namespace: it is measured once there is one"
        hold(api, body, ORPHANED, text, now=now)


def hold(api: Api, body: Object, reason: str, message: str, *, now: datetime) -> None:
    """Say on a Trial why it isn't taken up. One that is finished keeps its figures: there is nothing to take up."""
    if _is_finished(body):
        return
    metadata, before = _metadata(body), body.get("status") or {}
    stamp = Stamp(now=now, generation=metadata.generation)
    status = held_back(TrialStatus.model_validate(before), stamp, reason, message)
    shell: Any = Trial.model_construct
    trial: Trial = shell(kind="Trial", metadata=metadata, status=status)
    with suppress(Stale):  # it was changed or replaced meanwhile: the watch tells of it again
        Written(statuses={metadata.name: before}).write(api, TRIALS, trial)


def _is_finished(body: Object) -> bool:
    return any(one["type"] in ("Succeeded", "Failed") and one["status"] == "True" for one in _conditions(body))


def _conditions(body: Object) -> Iterable[Object]:
    found: Iterable[Object] = (body.get("status") or {}).get("conditions", ())
    return found
