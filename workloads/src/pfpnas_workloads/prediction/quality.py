"""How good private predictors are, as the experiment's status tells it: all on labels that they were not fitted to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.kinds.prediction import PredictorStatus, RegressionQuality
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring import joint_score, static_limits
from pfpnas_api.scoring.limits import STATIC_FIELDS
from pfpnas_api.spaces import GeneMatrix, SearchSpace, static_costs
from pfpnas_workloads.prediction.candidates import SLOW, Candidate, Floats
from pfpnas_workloads.prediction.validation import Problem, coverage, kendall_tau, out_of_fold

CONSTANT: Final = Candidate(None, None, "affine")
"""The yardstick that knows nothing of an architecture."""

MACS: Final = Candidate("log MACs", None, "affine")
"""The yardstick that knows the MACs only."""

FARTHEST: Final = 20.0
"""Bound of an error of a logarithm, so that the percentage error of a wild guess is a number."""

QUARTILE_LABELS: Final = 8
"""Fewest labels whose best quarter is looked at."""


@dataclass(frozen=True)
class Validated:
    """One metric's choice and the labels that it is judged by.

    Attributes:
        candidate: What was chosen.
        problem: The m labels and their folds.
        rows: Their numbers among all labels, `(m,)`, rising.
        matrix: Their architectures, `(m, genes)`.
        labels: How many the predictor was fitted to.
    """

    candidate: Candidate
    problem: Problem
    rows: NDArray[np.intp]
    matrix: GeneMatrix
    labels: int

    @cached_property
    def guesses(self) -> Floats:
        """Out-of-fold predictions, `(repetitions, m)`."""
        return self.of(self.candidate)

    def of(self, candidate: Candidate) -> Floats:
        """The same of any candidate on the same folds; of a costly one a single repetition."""
        count = 1 if candidate.regressor in SLOW else len(self.problem.folds)
        return out_of_fold(self.problem, candidate, range(count))


def status_of(
    space: SearchSpace, metrics: Mapping[str, Validated], objective: ObjectiveSpec, *, labels: int
) -> PredictorStatus:
    """All that a status says of the predictors, but for the noise floor.

    Args:
        space: The search space.
        metrics: By name; `latency` and `accuracy` have a part of their own.
        objective: Which the joint score is by.
        labels: Trials that the predictors were fitted to.
    """
    latency = _regression(metrics["latency"], relative=True) if "latency" in metrics else None
    accuracy = _regression(metrics["accuracy"], relative=False) if "accuracy" in metrics else None
    return PredictorStatus(
        labels=labels,
        latency=latency,
        accuracy=accuracy,
        latency_mape=latency.error if latency else None,
        accuracy_mae=accuracy.error if accuracy else None,
        kendall_tau=joint_tau(space, metrics, objective),
    )


def _regression(metric: Validated, *, relative: bool) -> RegressionQuality:
    """One metric's figures: `relative` for logarithms, whose error is a share and whose best are the lowest."""
    y, guesses, macs = metric.problem.y, metric.guesses, metric.of(MACS)
    taus = [kendall_tau(row, y) for row in guesses]
    best = _best_quarter(guesses if relative else -guesses) if len(y) >= QUARTILE_LABELS else None
    covered = [
        coverage(row - y, folds) for row, folds in zip(guesses, metric.problem.folds[: len(guesses)], strict=True)
    ]
    return RegressionQuality(
        encoding=metric.candidate.code,
        regressor=metric.candidate.regressor,
        labels=metric.labels,
        kendall_tau=_tau(np.mean(taus)),
        kendall_tau_deviation=float(np.std(taus)),
        error=_error(guesses - y, relative=relative),
        top_quartile_error=None if best is None else _error((guesses - y)[best], relative=relative),
        top_quartile_kendall_tau=None if best is None else _quarter_tau(guesses, y, best),
        coverage=float(np.mean(covered)),
        constant_error=_error(metric.of(CONSTANT) - y, relative=relative),
        macs_error=_error(macs - y, relative=relative),
        macs_kendall_tau=_tau(np.mean([kendall_tau(row, y) for row in macs])),
    )


def _error(errors: Floats, *, relative: bool) -> float:
    """Mean absolute error, of logarithms as a share of the truth."""
    if not relative:
        return float(np.abs(errors).mean())
    return float(np.abs(np.expm1(np.clip(errors, -FARTHEST, FARTHEST))).mean())


def _best_quarter(costs: Floats) -> NDArray[np.bool_]:
    """For each repetition the quarter that it predicts to be lowest, `(repetitions, m)`."""
    count = costs.shape[1] // 4
    places = np.argsort(np.argsort(costs, axis=1, kind="stable"), axis=1, kind="stable")
    best: NDArray[np.bool_] = places < count
    return best


def _quarter_tau(guesses: Floats, y: Floats, best: NDArray[np.bool_]) -> float:
    rows = zip(guesses, best, strict=True)
    return _tau(np.mean([kendall_tau(row[chosen], y[chosen]) for row, chosen in rows]))


def _tau(value: np.floating) -> float:
    """Within its bounds, which a mean leaves by a rounding."""
    return float(np.clip(value, -1, 1))


def joint_tau(space: SearchSpace, metrics: Mapping[str, Validated], objective: ObjectiveSpec) -> float | None:
    """Kendall's τ of the score as it is predicted out of fold against as it was measured; None without accuracies.

    It is taken over the labels that have all the metrics that the score is made of.
    """
    limited = objective.constraint("Latency") is not None
    if "accuracy" not in metrics or (limited and "latency" not in metrics):
        return None
    needed = {name: one for name, one in metrics.items() if _counts(name, objective, limited=limited)}
    rows = reduce(np.intersect1d, (one.rows for one in needed.values()))
    if len(rows) < 2:
        return None
    at = {name: np.searchsorted(one.rows, rows) for name, one in needed.items()}
    matrix = needed["accuracy"].matrix[at["accuracy"]]
    truth = joint_scores(space, matrix, {name: one.problem.y[at[name]] for name, one in needed.items()}, objective)
    taus = []
    for repetition in range(min(len(one.guesses) for one in needed.values())):
        guessed = {name: one.guesses[repetition, at[name]] for name, one in needed.items()}
        taus.append(kendall_tau(joint_scores(space, matrix, guessed, objective), truth))
    return _tau(np.mean(taus))


def _counts(name: str, objective: ObjectiveSpec, *, limited: bool) -> bool:
    """Whether a metric is part of the score: other limits than latency's only under ConstraintFirst."""
    return name == "accuracy" or (limited if name == "latency" else objective.scoring == "ConstraintFirst")


def joint_scores(
    space: SearchSpace, matrix: GeneMatrix, values: Mapping[str, Floats], objective: ObjectiveSpec
) -> Floats:
    """The score of each of m candidates as `pfpnas_api.scoring.judge` has it, `(m,)`.

    Args:
        space: The search space.
        matrix: The candidates, `(m, genes)`: limits on what is counted follow from them.
        values: `accuracy`, and natural logarithms of the others: `latency` in the limit's unit, the rest as a share of
            their limits; each `(m,)`.
        objective: Scoring and constraints.
    """
    limit, accuracy = objective.constraint("Latency"), np.clip(values["accuracy"], 0, 1)
    shares = {name: np.exp(np.clip(v, -FARTHEST, FARTHEST)) for name, v in values.items() if name != "accuracy"}
    if limit is not None:
        shares["latency"] = shares["latency"] / limit.limit
    if objective.scoring == "ConstraintFirst":
        violation = _static_excess(space, matrix, objective)
        violation += sum(np.maximum(_excess(name, share), 0) for name, share in shares.items())
        return np.where(violation > 0, -violation, accuracy)
    if limit is None:
        return accuracy
    penalty = DECIMAL.parse(objective.penalty_coefficient)
    pairs = zip(accuracy.tolist(), shares["latency"].tolist(), strict=True)
    return np.array([joint_score(found, share, penalty=penalty) for found, share in pairs])


def _excess(name: str, share: Floats) -> Floats:
    """By how much a metric is outside its limit, as a share of it, from value / limit (Throughput: the inverse)."""
    return 1 - 1 / share if name == "Throughput" else share - 1


def _static_excess(space: SearchSpace, matrix: GeneMatrix, objective: ObjectiveSpec) -> Floats:
    """Sum of the excesses over limits that follow from the architecture, `(m,)`."""
    costs = static_costs(space, matrix)
    found = np.zeros(len(matrix))
    for one in static_limits(objective, space).limits:
        found += np.maximum(costs[STATIC_FIELDS[one.metric]] / one.limit - 1, 0)
    return found
