"""Losses order results as the objective does, and are finite whatever came back."""

import math

import pytest
from pydantic import ValidationError

from pfpnas_api.kinds import ObjectiveSpec, TrialMetrics
from pfpnas_api.messages import LogEntry
from pfpnas_api.scoring import judge
from pfpnas_workloads.tuning.losses import loss_of


def finished(outcome: str, *, score: float | None = None, violation: float | None = None) -> LogEntry:
    return LogEntry.model_validate(
        {"event": "Finished", "index": 0, "outcome": outcome, "score": score, "violation": violation}
    )


def test_a_higher_score_is_a_smaller_loss() -> None:
    assert loss_of(finished("Scored", score=0.9)) == -0.9
    assert loss_of(finished("Scored", score=-3.0)) == 3.0


def test_a_broken_hard_limit_is_worse_than_any_score_even_with_a_high_score_of_its_own() -> None:
    assert loss_of(finished("Infeasible", score=0.99, violation=0.01)) > loss_of(finished("Scored", score=-50.0))


def test_infeasible_trials_are_ordered_by_their_violation() -> None:
    losses = [loss_of(finished("Infeasible", violation=violation)) for violation in (0.0, 0.1, 1.0, 1e12)]
    assert losses == sorted(losses)
    assert len(set(losses)) == 4


def test_a_failed_trial_is_the_worst_of_all() -> None:
    others = [finished("Scored", score=-1e9), finished("Infeasible", violation=1e300), finished("Infeasible")]
    assert all(loss_of(finished("Failed")) > loss_of(other) for other in others)


def test_an_entry_without_an_outcome_counts_as_failed() -> None:
    assert loss_of(LogEntry(event="Finished", index=0)) == loss_of(finished("Failed"))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_none_never_reaches_the_tuner(value: float) -> None:
    for figures in ({"score": value}, {"violation": value}):
        with pytest.raises(ValidationError):
            finished("Scored", **figures)


@pytest.mark.parametrize("value", [0.0, 1e308, -1e308])
def test_the_loss_of_an_extreme_figure_is_finite(value: float) -> None:
    for outcome in ("Scored", "Infeasible", "Failed"):
        assert math.isfinite(loss_of(finished(outcome, score=value, violation=abs(value))))


def test_constraint_first_puts_every_feasible_trial_before_every_infeasible_one() -> None:
    objective = ObjectiveSpec.model_validate(
        {"scoring": "ConstraintFirst", "constraints": [{"metric": "PeakMemory", "max": "10M"}]}
    )

    def loss(accuracy: float, memory: int) -> float:
        judged = judge(objective, TrialMetrics(accuracy=accuracy, peak_memory_bytes=memory))
        return loss_of(finished(judged.outcome, score=judged.score, violation=judged.violation))

    in_order = [loss(0.9, 9_000_000), loss(0.1, 9_000_000), loss(0.2, 11_000_000), loss(0.99, 40_000_000)]
    assert in_order == sorted(in_order)
    assert len(set(in_order)) == 4
