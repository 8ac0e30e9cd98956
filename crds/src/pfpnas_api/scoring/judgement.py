"""A candidate against the objective: score, feasibility, and which of two is better."""

from dataclasses import dataclass
from typing import Literal, Protocol

from pfpnas_api.kinds.experiment import Constraint, ObjectiveSpec
from pfpnas_api.kinds.metrics import TrialMetrics
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring.joint import joint_score
from pfpnas_api.scoring.metrics import excess, limited_value


class Judged(Protocol):
    """What an order needs to know; a `Judgement` has it, and so has a `RankedTrial`."""

    @property
    def score(self) -> float | None:
        """Higher is better; None when a metric it needs is missing."""

    @property
    def feasible(self) -> bool:
        """Whether every limit is met."""

    @property
    def violation(self) -> float:
        """Sum of the relative excesses over the limits."""

    @property
    def accuracy(self) -> float | None:
        """As a fraction; None when it was skipped."""


@dataclass(frozen=True)
class Judgement:
    """What a candidate is worth.

    Attributes:
        score: Higher is better. None when something of `missing` is needed for it.
        feasible: Every limit is met, and nothing is missing.
        violation: Sum of the relative excesses over the limits that are known; 0 when feasible.
        accuracy: As measured; None when it was skipped.
        missing: Metrics that the objective needs and that were not measured, `Accuracy` among them.
        broken: Metrics whose limit is not met.
        outcome: What the tuner is told: Scored when the score says it all (Algorithm 1 has the latency in it already),
            Infeasible when a hard limit is broken.
    """

    score: float | None
    feasible: bool
    violation: float
    accuracy: float | None = None
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    outcome: Literal["Scored", "Infeasible"] = "Scored"


def judge(objective: ObjectiveSpec, metrics: TrialMetrics, *, reference: TrialMetrics | None = None) -> Judgement:
    """Judge a candidate's metrics.

    PenalizedAccuracy: Algorithm 1 with the limit on Latency; the other constraints are hard limits.
    ConstraintFirst: the accuracy where every limit is met, else minus the violation (feasible beats infeasible, then
    the smaller violation: Deb's rules, "An efficient constraint handling method for genetic algorithms", 2000).

    A skipped accuracy counts as 0: the score is then a lower bound, and still orders by latency.

    Args:
        objective: Scoring and constraints.
        metrics: Of the candidate; `cost` is filled in by whoever knows the price.
        reference: Metrics of the reference model, for relative limits on what is counted.
    """
    values: dict[str, float | None] = {
        c.metric: limited_value(metrics, c, reference=reference) for c in objective.constraints
    }
    missing = [metric for metric, value in values.items() if value is None]
    if metrics.accuracy is None and not metrics.accuracy_skipped:
        missing.insert(0, "Accuracy")
    excesses = {c.metric: _excess(c, values[c.metric]) for c in objective.constraints}
    violation = sum(excesses.values())
    broken = tuple(metric for metric, beyond in excesses.items() if beyond > 0)
    return Judgement(
        score=None if missing else _score(objective, metrics.accuracy or 0.0, values, violation=violation),
        feasible=not missing and not broken,
        violation=violation,
        accuracy=metrics.accuracy,
        missing=tuple(missing),
        broken=broken,
        outcome=_outcome(objective, broken),
    )


def _excess(constraint: Constraint, value: float | None) -> float:
    return 0.0 if value is None else excess(constraint, value)


def _score(objective: ObjectiveSpec, accuracy: float, values: dict[str, float | None], *, violation: float) -> float:
    if objective.scoring == "ConstraintFirst":
        return -violation if violation > 0 else accuracy
    constraint, value = objective.constraint("Latency"), values.get("Latency")
    if constraint is None or value is None:
        return accuracy
    return joint_score(accuracy, value / constraint.limit, penalty=DECIMAL.parse(objective.penalty_coefficient))


def _outcome(objective: ObjectiveSpec, broken: tuple[str, ...]) -> Literal["Scored", "Infeasible"]:
    soft = {"Latency"} if objective.scoring == "PenalizedAccuracy" else set()
    return "Infeasible" if set(broken) - soft else "Scored"


def order_key(judged: Judged) -> tuple[bool, float, float, float]:
    """A key that sorts worse candidates first: feasible over infeasible, smaller violation, score, accuracy."""
    score = float("-inf") if judged.score is None else judged.score
    return judged.feasible, 0.0 if judged.feasible else -judged.violation, score, judged.accuracy or 0.0


def is_better(candidate: Judged, other: Judged | None) -> bool:
    """Whether a candidate is strictly better than another; anything is better than none.

    A feasible candidate beats an infeasible one under either scoring, although Algorithm 1 may give the infeasible one
    the higher score: what is found in the end must keep its limits. Of two infeasible ones the closer to feasible wins.
    """
    return other is None or order_key(candidate) > order_key(other)
