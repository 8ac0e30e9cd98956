"""The best model that an experiment in a cluster has found: where it is, and what it is."""

from collections.abc import Iterator
from typing import Any

from kubernetes import client
from pydantic import ValidationError

from pfpnas_api.artifacts import ArtifactMissing
from pfpnas_api.kinds import NASExperiment, RankedTrial, find_condition, is_true
from pfpnas_api.kinds.common import GROUP, VERSION
from pfpnas_api.messages import summary
from pfpnas_operator.client.artifacts import reach_store, read_access
from pfpnas_operator.client.cluster import TIMEOUT, Cluster, ClusterError, NotThere, asking
from pfpnas_operator.report.units import milliseconds, percent, significant, size

_PLURAL = "nasexperiments"


class NothingYet(ClusterError):  # noqa: N818 - reads as the state it names
    """The experiment has no best model; the message says how far it is."""


def read_experiment(cluster: Cluster, namespace: str, name: str) -> NASExperiment:
    """An experiment.

    Raises:
        ClusterError: it isn't there (those that are, are named), may not be read, or is of another version.
    """
    api = client.CustomObjectsApi(cluster.api)
    try:
        with asking(cluster, f"read NASExperiment {namespace}/{name}"):
            found = api.get_namespaced_custom_object(GROUP, VERSION, namespace, _PLURAL, name, _request_timeout=TIMEOUT)
    except NotThere as e:
        raise NotThere(f"{e}. {_others(cluster, namespace)}") from e
    try:
        return NASExperiment.model_validate(found)
    except ValidationError as e:
        raise ClusterError(
            f"NASExperiment {namespace}/{name} is of another version ({summary(e)}): use the operator's pfpnas"
        ) from e


def fetch_best(cluster: Cluster, experiment: NASExperiment, *, operator_namespace: str) -> bytes:
    """The best model, verified by its digest.

    Raises:
        NothingYet: no trial is measured.
        ClusterError: the store can't be reached, or has it no more.
        ArtifactError: the store refuses, or the model is damaged.
    """
    best, metadata = experiment.status.best, experiment.metadata
    place = f"NASExperiment {metadata.namespace}/{metadata.name}"
    if best is None:
        raise NothingYet(f"{place} has no best model yet: {how_far(experiment)}")
    if best.artifact is None:
        raise ClusterError(f"{place} has a best trial, {best.trial}, but no model: its trials' image leaves none")
    access = read_access(cluster, metadata.namespace, experiment=metadata.name)
    store = reach_store(cluster, access, operator_namespace=operator_namespace)
    try:
        return store.get(best.artifact.sha256)
    except ArtifactMissing as e:
        raise ClusterError(f"{e}: somebody has deleted it from the store") from e


def describe(experiment: NASExperiment) -> Iterator[str]:
    """What the best model is, a fact a line; nothing while there is none."""
    best, status = experiment.status.best, experiment.status
    if best is None or best.artifact is None:
        return
    yield f"trial         {best.trial}{'' if status.finished_at else ' (so far: the search has not ended)'}"
    yield f"architecture  {best.architecture}"
    yield from _figures(best)
    yield f"digest        sha256:{best.artifact.sha256}, {size(best.artifact.size)}"
    if experiment.spec.target.head == "Fitted":
        yield (
            f"Its classifier is the supernet's own. The model for {experiment.spec.target.dataset} gets its head where "
            f"the data are: pfpnas-agent export --model FILE --dataset {experiment.spec.target.dataset} --out FILE"
        )


def _figures(best: RankedTrial) -> Iterator[str]:
    if best.score is not None:
        limits = "" if best.feasible else "; outside the limits: no trial keeps them all"
        yield f"score         {significant(best.score, 4)}{limits}"
    if best.metrics.accuracy_skipped:
        yield "accuracy      skipped: far too slow"
    else:
        yield f"accuracy      {percent(best.accuracy)} on the private validation split"
    latency = best.metrics.latency_milliseconds
    if latency is not None:
        relative = f", {significant(latency.relative)} × the reference model" if latency.relative is not None else ""
        yield f"latency       {milliseconds(latency.p50)}{relative}"


def how_far(experiment: NASExperiment) -> str:
    """How far an experiment is, and what it waits for."""
    status, most = experiment.status, experiment.spec.budget.max_trials
    done = f"{status.trials.succeeded} of {most} trials measured"
    for kind in ("Failed", "Suspended"):
        if is_true(status.conditions, kind):
            return f"{done}; {_said(experiment, kind)}"
    for kind in ("Accepted", "SupernetReady", "AgentsAvailable"):
        condition = find_condition(status.conditions, kind)
        if condition is not None and condition.status != "True":
            return f"{done}; {_said(experiment, kind)}"
    return f"{done}; follow it with `kubectl get nas {experiment.metadata.name} -w`"


def _said(experiment: NASExperiment, kind: str) -> str:
    condition = find_condition(experiment.status.conditions, kind)
    if condition is None:
        return ""
    return f"{kind}={condition.status} ({condition.reason}){f': {condition.message}' if condition.message else ''}"


def _others(cluster: Cluster, namespace: str) -> str:
    """What could have been meant."""
    api = client.CustomObjectsApi(cluster.api)
    try:
        with asking(cluster, f"list the NASExperiments of {namespace}"):
            found: Any = api.list_namespaced_custom_object(GROUP, VERSION, namespace, _PLURAL, _request_timeout=TIMEOUT)
    except NotThere:
        return "The cluster doesn't know the kind: install the chart pfpnas-crds"
    except ClusterError:
        return "Is -n NAMESPACE right?"
    names = ", ".join(sorted(one["metadata"]["name"] for one in found.get("items", []))[:20])
    return f"Namespace {namespace} has: {names}" if names else f"Namespace {namespace} has none: is -n NAMESPACE right?"
