"""The three custom resource definitions: names, printer columns, and the schemas of spec and status."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from pfpnas_api.crdgen.schema import Schema, structural_schema
from pfpnas_api.kinds import (
    GROUP,
    VERSION,
    NASExperimentSpec,
    NASExperimentStatus,
    SupernetSpec,
    SupernetStatus,
    TrialSpec,
    TrialStatus,
)
from pfpnas_api.kinds.common import MAX_PARENT_NAME

MAX_LABEL: Final = 63
"""Characters of a DNS label: a Trial's name is also a label's value and part of its Job's name."""


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``; those of priority 1 only with ``-o wide``."""

    name: str
    type: str
    path: str
    description: str
    priority: int = 0

    def document(self) -> dict[str, Any]:
        """As it stands in the definition."""
        shown = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return {**shown, "priority": self.priority} if self.priority else shown


@dataclass(frozen=True)
class Kind:
    """What a definition says of a kind beside its schema."""

    name: str
    plural: str
    short: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    max_name: int
    why_max_name: str
    rules: tuple[dict[str, str], ...] = ()
    """In CEL, over the whole document."""


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


def _fixed(field: str, *, once: str, why: str) -> dict[str, str]:
    """A rule: a field of the spec stays as it is once one of the status is there; changed, it would do nothing."""
    return {
        "rule": f"!has(self.status) || !has(self.status.{once}) || self.spec.{field} == oldSelf.spec.{field}",
        "message": f"spec.{field}: is immutable once {why}: make a new Supernet",
    }


_AGE = Column("Age", "date", ".metadata.creationTimestamp", "Since it was made.")

SUPERNET: Final = Kind(
    name="Supernet",
    plural="supernets",
    short="sn",
    description="One once-for-all network: its search space, its training and its accuracy predictor.",
    spec=SupernetSpec,
    status=SupernetStatus,
    columns=(
        Column("Backbone", "string", ".spec.searchSpace.backbone", "Table of stages.", priority=1),
        Column("State", "string", _condition("Ready", "reason"), "Where it stands: the reason of condition Ready."),
        Column("Percent", "integer", ".status.progress.percent", "Of the stage under way."),
        Column("Ready", "string", _condition("Ready", "status"), "Whether experiments can use it."),
        Column("Accuracy", "number", ".status.checkpoint.largestAccuracy", "Of the largest subnet."),
        Column("Smallest", "number", ".status.checkpoint.smallestAccuracy", "Of the smallest subnet.", priority=1),
        Column("Tau", "number", ".status.predictor.kendallTau", "Kendall's tau of the predictor.", priority=1),
        _AGE,
        Column("Message", "string", _condition("Ready", "message"), "What is said of its state.", priority=1),
    ),
    max_name=MAX_PARENT_NAME,
    why_max_name="the names of its children are made from it",
    rules=(
        _fixed("dataset", once="checkpoint", why="the weights are trained"),
        _fixed("training", once="checkpoint", why="the weights are trained"),
        _fixed("predictor", once="predictor", why="the predictor is fitted"),
    ),
)

EXPERIMENT: Final = Kind(
    name="NASExperiment",
    plural="nasexperiments",
    short="nas",
    description="One search of a Supernet's subnets for one target device and one private data set.",
    spec=NASExperimentSpec,
    status=NASExperimentStatus,
    columns=(
        Column("Supernet", "string", ".spec.supernetRef.name", "What is searched.", priority=1),
        Column("Pool", "string", ".spec.target.pool", "Who measures.", priority=1),
        Column("State", "string", _condition("Succeeded", "reason"), "Where it stands: the reason of Succeeded."),
        Column("Done", "integer", ".status.trials.succeeded", "Trials that were measured."),
        Column("Total", "integer", ".spec.budget.maxTrials", "Trials of the budget."),
        Column("Failed", "integer", ".status.trials.failed", "Trials that failed.", priority=1),
        Column("Score", "number", ".status.best.score", "Of the best trial."),
        Column("P50", "number", ".status.best.metrics.latencyMilliseconds.p50", "Its median latency in milliseconds."),
        Column("Front", "number", ".status.hypervolume", "Hypervolume of the measured front, 0 to 1."),
        Column("Succeeded", "string", _condition("Succeeded", "status"), "Whether it ended with a model."),
        _AGE,
        Column("Message", "string", _condition("Succeeded", "message"), "What is said of its state.", priority=1),
    ),
    max_name=MAX_PARENT_NAME,
    why_max_name="the names of its children are made from it",
    rules=(
        {
            "rule": "!has(self.spec.warmStartFrom) || !self.spec.warmStartFrom.exists(s, s.name == self.metadata.name)",
            "message": "spec.warmStartFrom: names the experiment itself; name other experiments",
        },
    ),
)

TRIAL: Final = Kind(
    name="Trial",
    plural="trials",
    short="nt",
    description="One candidate architecture, built, measured and scored.",
    spec=TrialSpec,
    status=TrialStatus,
    columns=(
        Column("Experiment", "string", ".spec.experimentRef.name", "Whose candidate it is.", priority=1),
        Column("State", "string", _condition("Succeeded", "reason"), "Where it stands: the reason of Succeeded."),
        Column("Score", "number", ".status.score", "Higher is better."),
        Column("P50", "number", ".status.metrics.latencyMilliseconds.p50", "Median latency in milliseconds."),
        Column("Accuracy", "number", ".status.metrics.accuracy", "On the private validation split."),
        Column("Feasible", "boolean", ".status.feasible", "Whether every limit is met."),
        _AGE,
        Column("Message", "string", _condition("Succeeded", "message"), "What is said of its state.", priority=1),
    ),
    max_name=MAX_LABEL,
    why_max_name="it is the value of a label too",
)

KINDS: Final = (SUPERNET, EXPERIMENT, TRIAL)


def definitions() -> dict[str, dict[str, Any]]:
    """Every CustomResourceDefinition, by its name."""
    return {f"{kind.plural}.{GROUP}": definition_of(kind) for kind in KINDS}


def definition_of(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["pfpnas"],
            },
            "scope": "Namespaced",
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.document() for column in kind.columns],
        "schema": {"openAPIV3Schema": _root(kind)},
    }


def _root(kind: Kind) -> Schema:
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {kind.max_name}",
                "message": f"metadata.name: at most {kind.max_name} characters are allowed, since {kind.why_max_name}",
            },
            *kind.rules,
        ],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(kind.spec, defaults=True),
            "status": structural_schema(kind.status, defaults=False),
        },
    }
