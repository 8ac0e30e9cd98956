"""NASExperiment: one search of a Supernet's subnets for one target device and one private data set."""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, model_validator

from pfpnas_api.kinds.common import LocalReference, Model, ParentMetadata, Resource
from pfpnas_api.kinds.pods import DeletionPolicy, Image, PodTemplate, QueueName
from pfpnas_api.kinds.prediction import PredictionSpec
from pfpnas_api.kinds.search import NASExperimentStatus
from pfpnas_api.quantities import COUNT, DECIMAL, DURATION, ENERGY, RATE, SIZE, AnyQuantity, Between, Decimal, Quantity

Alias = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""A name that only the agent can resolve."""

MetricName = Literal[
    "Latency", "Throughput", "FLOPs", "MACs", "Parameters", "ModelSize", "PeakMemory", "Energy", "Cost"
]

METRIC_UNITS: dict[str, Quantity] = {
    "Latency": DURATION,
    "Throughput": RATE,
    "FLOPs": COUNT,
    "MACs": COUNT,
    "Parameters": COUNT,
    "ModelSize": SIZE,
    "PeakMemory": SIZE,
    "Energy": ENERGY,
    "Cost": DECIMAL,
}
"""Family of quantities of every metric; Cost is the price of a million inferences in the currency of pricePerHour."""

RELATIVE_METRICS = frozenset({"Latency", "FLOPs", "MACs", "Parameters", "ModelSize", "Cost"})
"""Metrics that are known of the reference model too, and so may be limited relative to it."""

_LIMIT_RULES: Final[list[JsonValue]] = [
    {
        "rule": "[has(self.max), has(self.min), has(self.maxRelative)].filter(given, given).size() == 1",
        "message": "exactly one of max, min and maxRelative is required",
    },
    {
        "rule": "(self.metric == 'Throughput') == has(self.min)",
        "message": "min is for Throughput, and Throughput takes only min",
    },
    {
        "rule": f"!has(self.maxRelative) || self.metric in {sorted(RELATIVE_METRICS)}",
        "message": f"maxRelative is for {', '.join(sorted(RELATIVE_METRICS))}",
    },
]


_NO_ZERO: Final[list[JsonValue]] = [
    {
        "rule": f"!has(self.{field}) || !self.{field}.matches(r'^[0.]+[^0-9.]*$')",
        "message": "a limit of 0 can't be met by any model",
        "fieldPath": f".{field}",
    }
    for field in ("max", "min", "maxRelative")
]


def _unit_rules() -> list[JsonValue]:
    """One rule a family of quantities: the API server, too, says which units a metric takes."""
    families: dict[str, list[str]] = {}
    for metric, quantity in METRIC_UNITS.items():
        families.setdefault(quantity.name, []).append(metric)
    quantities = {quantity.name: quantity for quantity in METRIC_UNITS.values()}
    return [
        {
            "rule": f"!(self.metric in {metrics}) || !has(self.{field}) || "
            f"self.{field}.matches(r'{quantities[name].pattern}')",
            "message": f"{', '.join(metrics)}: {quantities[name].allowed}",
            "fieldPath": f".{field}",
        }
        for name, metrics in families.items()
        for field in ["min" if "Throughput" in metrics else "max"]
    ]


class MeasurementSpec(Model):
    """How the agent measures."""

    batch_size: Annotated[int, Field(ge=1, le=1024)] = 1
    """Images an inference."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Of the backend, within one inference."""
    runs: Annotated[int, Field(ge=64, le=10_000)] = 64
    """Timed runs at least; the first two of every block are dropped besides."""
    warmup_seconds: Annotated[Decimal, Between(0, 60)] = "0.5"
    """Longest warm-up, 0 to 60; it ends earlier when two windows agree."""
    max_seconds: Annotated[Decimal, Between(0.1, 600)] = "30"
    """Longest time of the timed runs, 0.1 to 600."""
    deadline_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """For the whole measurement, from the moment an agent claims it."""
    throughput: bool = False
    """Also measure images per second at batch size 32."""
    skip_accuracy_above: Annotated[Decimal, Between(1, 1000)] = "2.0"
    """A candidate slower than this multiple of the latency limit is not worth inference on all data: its accuracy is
    skipped."""


class TargetSpec(Model):
    """Where candidates are measured: a pool of agents, and the aliases that only they can resolve."""

    pool: Alias
    """One kind of device and one domain of trust."""
    dataset: Alias
    """The agent's own name of the private data."""
    head: Literal["Fitted", "Supernet"] = "Fitted"
    """Fitted: the agent fits a ridge classifier on the candidate's features. Supernet: the public classifier."""
    backend: Alias = "onnxruntime"
    """onnxruntime, or the agent's own name of a command."""
    price_per_hour: Decimal | None = None
    """Of the device, in any currency; needed for constraints on Cost."""
    measurement: MeasurementSpec = MeasurementSpec()


class Constraint(Model):
    """A limit on one metric: exactly one of max, min and maxRelative."""

    model_config = {"json_schema_extra": {"x-kubernetes-validations": [*_LIMIT_RULES, *_NO_ZERO, *_unit_rules()]}}

    metric: MetricName
    """What is limited."""
    max: AnyQuantity | None = None
    """Largest value allowed, with a unit of the metric: 85ms, 300M, 64Mi, 12mJ, "2.5" for Cost."""
    min: AnyQuantity | None = None
    """Smallest value allowed, only for Throughput: 200/s."""
    max_relative: Decimal | None = None
    """A multiple of the reference model, which is the smallest subnet of the same checkpoint."""

    @model_validator(mode="after")
    def _one_limit_with_its_unit(self) -> "Constraint":
        given = [name for name in ("max", "min", "max_relative") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"constraint on {self.metric}: exactly one of max, min and maxRelative is required")
        if (self.metric == "Throughput") != (given[0] == "min"):
            raise ValueError(f"constraint on {self.metric}: min is for Throughput, and Throughput takes only min")
        if given[0] == "max_relative" and self.metric not in RELATIVE_METRICS:
            raise ValueError(f"constraint on {self.metric}: maxRelative is for {', '.join(sorted(RELATIVE_METRICS))}")
        if self.limit <= 0:
            raise ValueError(f"constraint on {self.metric}: a limit of 0 can't be met by any model")
        return self

    @property
    def relative(self) -> bool:
        """Whether the limit is a multiple of the reference model."""
        return self.max_relative is not None

    @property
    def limit(self) -> float:
        """The limit in the metric's base unit (ms, images/s, operations, bytes, mJ), or as a multiple.

        Raises:
            QuantityError: wrong unit; the message names what is allowed.
        """
        if self.max_relative is not None:
            return DECIMAL.parse(self.max_relative)
        return METRIC_UNITS[self.metric].parse(self.max or self.min or "")


class ObjectiveSpec(Model):
    """What is searched for."""

    scoring: Literal["PenalizedAccuracy", "ConstraintFirst"] = "PenalizedAccuracy"
    """PenalizedAccuracy: accuracy, less latency/threshold times the penalty where latency exceeds its threshold.
    ConstraintFirst: feasible beats infeasible, then the smaller violation, then accuracy."""
    penalty_coefficient: Decimal = "0.2"
    """Factor of latency/threshold in PenalizedAccuracy."""
    goal: Annotated[Decimal, Between(0, 1)] | None = None
    """A trial that keeps every limit and scores at least this ends the search, 0 to 1."""
    constraints: Annotated[
        tuple[Constraint, ...],
        Field(
            max_length=9,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric"]},
        ),
    ] = ()
    """At most one a metric; all of them hold at once."""

    @model_validator(mode="after")
    def _one_constraint_a_metric(self) -> "ObjectiveSpec":
        metrics = [constraint.metric for constraint in self.constraints]
        twice = sorted({metric for metric in metrics if metrics.count(metric) > 1})
        if twice:
            raise ValueError(f"constraints: {', '.join(twice)} is limited twice: write one constraint a metric")
        return self

    def constraint(self, metric: MetricName) -> Constraint | None:
        """The constraint on a metric, if any."""
        return next((constraint for constraint in self.constraints if constraint.metric == metric), None)


class TunerSpec(Model):
    """Who proposes architectures."""

    algorithm: Literal["TPE", "RandomSearch", "Anneal", "NSGA2"] = "TPE"
    """How the next architecture is chosen."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Same seed and same results, same suggestions."""
    pseudo_trials: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Draws of the algorithm that the private predictors judge at every refit; the best of them are measured.
    0: every draw of the algorithm is measured, nothing is predicted."""


class ConvergenceSpec(Model):
    """When a search is taken to have converged. Nothing is judged so before a trial keeps the latency limit."""

    patience: Annotated[int, Field(ge=2, le=100_000)]
    """Finished trials of the tuner since the last gain that end the search; those by hand are no gain of its."""
    min_gain: Annotated[Decimal, Between(0, 1)] = "0.001"
    """Relative growth of the front's hypervolume that counts as a gain, 0 to 1."""


class BudgetSpec(Model):
    """How much may be spent. May change at any time."""

    max_trials: Annotated[int, Field(ge=1, le=100_000)]
    """Trials of the tuner and of warmStartFrom; those made by hand are not counted."""
    parallel_trials: Annotated[int, Field(ge=1, le=1000)] = 4
    """Trials under way at once."""
    max_failed_trials: Annotated[int, Field(ge=0, le=100_000)] = 10
    """More failed trials than this end the experiment as failed."""
    max_duration_seconds: Annotated[int, Field(ge=1, le=31_536_000)] | None = None
    """Of the search, from its first trial; no new trial is started after it."""
    convergence: ConvergenceSpec | None = None
    """Ends the search early when its front no longer grows; left out, the budget is spent whole."""
    finalists: Annotated[int, Field(ge=1, le=5)] = 3
    """Best trials that are measured again at the end, before the best of them is named."""


class TrialTemplate(Model):
    """How candidates are built. A change counts for Jobs that do not run yet."""

    mode: Literal["Pod", "Pooled"] = "Pod"
    """Pod: a Job a trial. Pooled: long-lived workers that serve many trials."""
    workers: Annotated[int, Field(ge=1, le=100)] = 1
    """Workers of mode Pooled. In a cluster only: on one machine it is one."""
    deadline_seconds: Annotated[int, Field(ge=60, le=14_400)] = 900
    """For one candidate, from its pod's start (Pod) or its claim (Pooled); one that takes longer is tried again."""
    image: Image | None = None
    """An image of one's own that builds candidates (docs/trial-image.md). In a cluster only."""
    pod_template: PodTemplate = PodTemplate()
    """Of the trials' and the tuner's pods. In a cluster only."""


class NASExperimentSpec(Model):
    """What is wished of an experiment."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "self.supernetRef == oldSelf.supernetRef",
                    "message": "supernetRef is immutable: make a new NASExperiment",
                },
                {
                    "rule": "has(self.target.pricePerHour) || !has(self.objective) || !has(self.objective.constraints) "
                    "|| !self.objective.constraints.exists(c, c.metric == 'Cost')",
                    "message": "a constraint on Cost needs target.pricePerHour",
                },
            ]
        }
    }

    supernet_ref: LocalReference
    target: TargetSpec
    objective: ObjectiveSpec = ObjectiveSpec()
    tuner: TunerSpec = TunerSpec()
    predictor: PredictionSpec = PredictionSpec()
    budget: BudgetSpec
    trial_template: TrialTemplate = TrialTemplate()
    warm_start_from: Annotated[
        tuple[LocalReference, ...],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Other experiments over the same search space, of this namespace: what they found best is measured here first, in
    turns, as at most a quarter of maxTrials. The search waits until theirs are over."""
    queue_name: QueueName | None = None
    """The Kueue queue of its Jobs; a change counts for Jobs that do not run yet. In a cluster only."""
    suspend: bool = False
    """Start nothing more and stop its Jobs; the search goes on once this is false again."""
    deletion_policy: DeletionPolicy = "Delete"
    """What happens to its artifacts (candidates) when it is deleted."""

    @model_validator(mode="after")
    def _cost_needs_a_price(self) -> "NASExperimentSpec":
        if self.objective.constraint("Cost") and self.target.price_per_hour is None:
            raise ValueError("target.pricePerHour is required for a constraint on Cost")
        return self

    @model_validator(mode="after")
    def _each_source_once(self) -> "NASExperimentSpec":
        names = [source.name for source in self.warm_start_from]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"warmStartFrom: names {twice} more than once; name each experiment once")
        return self


class NASExperiment(Resource[NASExperimentSpec, NASExperimentStatus]):
    """One search."""

    kind: Literal["NASExperiment"] = "NASExperiment"
    metadata: ParentMetadata
    status: NASExperimentStatus = NASExperimentStatus()

    @model_validator(mode="after")
    def _starts_from_others(self) -> "NASExperiment":
        if any(source.name == self.metadata.name for source in self.spec.warm_start_from):
            raise ValueError("spec.warmStartFrom: names the experiment itself; name other experiments")
        return self
