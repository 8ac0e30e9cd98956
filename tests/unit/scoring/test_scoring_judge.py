"""Judging: Algorithm 1, hard limits, what is missing, and which of two is better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_api.kinds import Latency, ObjectiveSpec, RankedTrial, TrialMetrics
from pfpnas_api.scoring import Judgement, cost_per_million, is_better, joint_score, judge, order_key

fractions = st.floats(0, 1)
ratios = st.floats(0.01, 100)


def make_objective(*constraints: dict[str, str], **fields: str) -> ObjectiveSpec:
    return ObjectiveSpec.model_validate({"constraints": list(constraints), **fields})


def make_metrics(
    accuracy: float | None = 0.9, *, p50: float | None = 10.0, reference: float | None = None, **fields: float
) -> TrialMetrics:
    latency = None if p50 is None else Latency(p50=p50, p90=p50, mad=0.0, runs=64, reference=reference)
    return TrialMetrics.model_validate({"accuracy": accuracy, "latency_milliseconds": latency, **fields})


LATENCY = {"metric": "Latency", "max": "20ms"}


@pytest.mark.parametrize(("ratio", "score"), [(0.5, 0.9), (1.0, 0.9), (1.5, 0.9 - 0.3), (2.0, 0.9 - 0.4)])
def test_algorithm_1(ratio: float, score: float) -> None:
    assert joint_score(0.9, ratio, penalty=0.2) == pytest.approx(score)


@given(fractions, ratios, ratios, st.floats(0, 10))
def test_joint_score_never_rises_with_latency(accuracy: float, one: float, other: float, penalty: float) -> None:
    fast, slow = sorted((one, other))
    assert joint_score(accuracy, fast, penalty=penalty) >= joint_score(accuracy, slow, penalty=penalty)


@given(fractions, fractions, ratios, st.floats(0, 10))
def test_joint_score_never_falls_with_accuracy(one: float, other: float, ratio: float, penalty: float) -> None:
    low, high = sorted((one, other))
    assert joint_score(low, ratio, penalty=penalty) <= joint_score(high, ratio, penalty=penalty)


def test_absolute_and_relative_limits_share_the_formula() -> None:
    absolute = judge(make_objective(LATENCY), make_metrics(p50=30.0))
    relative = judge(
        make_objective({"metric": "Latency", "maxRelative": "2.0"}), make_metrics(p50=30.0, reference=10.0)
    )
    assert absolute == relative
    assert absolute.score == pytest.approx(0.9 - 1.5 * 0.2)
    assert (absolute.feasible, absolute.violation, absolute.broken) == (False, pytest.approx(0.5), ("Latency",))


def test_latency_over_its_limit_is_scored_but_not_feasible() -> None:
    judgement = judge(make_objective(LATENCY, penaltyCoefficient="0.5"), make_metrics(p50=40.0))
    assert judgement.score == pytest.approx(0.9 - 2 * 0.5)
    assert (judgement.outcome, judgement.feasible) == ("Scored", False)


def test_other_limits_are_hard() -> None:
    judgement = judge(make_objective(LATENCY, {"metric": "FLOPs", "max": "100M"}), make_metrics(flops=150_000_000))
    assert judgement.outcome == "Infeasible"
    assert judgement.violation == pytest.approx(0.5)


def test_violations_add_up() -> None:
    objective = make_objective(LATENCY, {"metric": "Throughput", "min": "100/s"}, {"metric": "MACs", "max": "10"})
    judgement = judge(objective, make_metrics(p50=30.0, throughput=75.0, macs=9))
    assert judgement.violation == pytest.approx(0.5 + 0.25)
    assert judgement.broken == ("Latency", "Throughput")


def test_a_limit_met_exactly_is_met() -> None:
    objective = make_objective(LATENCY, {"metric": "ModelSize", "max": "1Ki"}, {"metric": "Throughput", "min": "5/s"})
    assert judge(objective, make_metrics(p50=20.0, model_bytes=1024, throughput=5.0)).feasible


def test_constraint_first_is_accuracy_inside_and_minus_the_violation_outside() -> None:
    objective = make_objective(LATENCY, scoring="ConstraintFirst")
    assert judge(objective, make_metrics(0.4, p50=19.0)).score == 0.4
    outside = judge(objective, make_metrics(0.99, p50=30.0))
    assert outside.score == pytest.approx(-0.5)
    assert outside.outcome == "Infeasible"


def test_relative_counts_are_taken_of_the_reference_model() -> None:
    objective = make_objective({"metric": "MACs", "maxRelative": "2.0"})
    reference = TrialMetrics(macs=100)
    assert judge(objective, make_metrics(macs=200), reference=reference).feasible
    assert judge(objective, make_metrics(macs=300), reference=reference).violation == pytest.approx(0.5)
    assert judge(objective, make_metrics(macs=300)).missing == ("MACs",)


def test_relative_cost_is_relative_latency() -> None:
    objective = make_objective({"metric": "Cost", "maxRelative": "2.0"})
    assert judge(objective, make_metrics(p50=30.0, reference=10.0)).violation == pytest.approx(0.5)


def test_skipped_accuracy_gives_a_lower_bound() -> None:
    skipped = judge(make_objective(LATENCY), make_metrics(None, p50=80.0, accuracy_skipped=True))
    assert skipped.score == pytest.approx(-4 * 0.2)
    assert skipped.missing == ()
    measured = judge(make_objective(LATENCY), make_metrics(0.01, p50=80.0))
    assert measured.score is not None
    assert skipped.score < measured.score


@pytest.mark.parametrize(
    ("metric", "limit"),
    [("Latency", "1ms"), ("Energy", "1mJ"), ("PeakMemory", "1Mi"), ("Cost", "1"), ("FLOPs", "1M"), ("Parameters", "1")],
)
def test_what_is_needed_and_not_measured_is_named(metric: str, limit: str) -> None:
    judgement = judge(make_objective({"metric": metric, "max": limit}), make_metrics(p50=None))
    assert judgement.missing == (metric,)
    assert (judgement.score, judgement.feasible) == (None, False)


def test_missing_accuracy_is_named() -> None:
    assert judge(make_objective(), make_metrics(None)).missing == ("Accuracy",)


def test_no_limits_leave_the_accuracy() -> None:
    assert judge(make_objective(), make_metrics(0.7)) == Judgement(
        score=0.7, feasible=True, violation=0.0, accuracy=0.7
    )


def test_a_million_inferences_of_36_ms_at_1_an_hour_cost_10() -> None:
    assert cost_per_million(1.0, 36.0) == pytest.approx(10.0)


judgements = st.builds(
    Judgement,
    score=st.none() | st.floats(-10, 1),
    feasible=st.booleans(),
    violation=st.floats(0, 10),
    accuracy=st.none() | fractions,
)


@given(judgements, judgements, judgements)
def test_better_is_a_strict_order(a: Judgement, b: Judgement, c: Judgement) -> None:
    assert not is_better(a, a)
    assert not (is_better(a, b) and is_better(b, a))
    if is_better(a, b) and is_better(b, c):
        assert is_better(a, c)
    assert is_better(a, None)


@given(judgements, judgements)
def test_feasible_beats_infeasible(a: Judgement, b: Judgement) -> None:
    if a.feasible and not b.feasible:
        assert is_better(a, b)


def test_of_two_infeasible_ones_the_closer_is_better_whatever_the_score() -> None:
    closer = Judgement(score=0.1, feasible=False, violation=0.1, accuracy=0.2)
    assert is_better(closer, Judgement(score=0.5, feasible=False, violation=0.2, accuracy=0.9))


def test_a_ranked_trial_is_ordered_like_its_judgement() -> None:
    judgement = judge(make_objective(LATENCY), make_metrics(0.8, p50=30.0))
    ranked = RankedTrial(
        trial="t",
        architecture="a",
        score=judgement.score,
        feasible=judgement.feasible,
        violation=judgement.violation,
        metrics=make_metrics(0.8, p50=30.0),
    )
    assert order_key(ranked) == order_key(judgement)
