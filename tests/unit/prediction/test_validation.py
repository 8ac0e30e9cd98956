"""Cross-validation: folds, rank correlation, intervals, and which candidate wins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from pfpnas_api.kinds import ObjectiveSpec
from pfpnas_api.spaces import SearchSpace, sample_matrix
from pfpnas_workloads.prediction.candidates import SLOW, Candidate, Inputs, candidates, fit_candidate
from pfpnas_workloads.prediction.choosing import choose
from pfpnas_workloads.prediction.encoding import coded
from pfpnas_workloads.prediction.quality import Validated, status_of
from pfpnas_workloads.prediction.validation import (
    LEAST_DEVIATION,
    Problem,
    coverage,
    deviation,
    kendall_tau,
    out_of_fold,
    split,
)

SPACE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 6), depths=(1, 2, 3), resolutions=(16, 24, 32))


def make_problem(count: int, *, noise: float = 0.02, stage: int = 0, seed: int = 0) -> Problem:
    """Labels that hang on log MACs and, as `stage` says, on one of the compact features."""
    rng = np.random.default_rng(seed)
    inputs = Inputs(SPACE, coded(SPACE, sample_matrix(SPACE, count, rng=rng)), public=None)
    compact = inputs.features("compact")
    assert compact is not None
    y = 0.4 * inputs.start("log MACs")[0] + (0.2 * compact[stage] if stage else 0) + rng.normal(0, noise, count)
    return Problem(inputs, np.asarray(y, np.float64), split(np.arange(count), seed=seed), seed)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_tau_is_kendalls_b(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, np.float64).T
    expected = kendalltau(a, b).statistic
    assert kendall_tau(a, b) == pytest.approx(0.0 if np.isnan(expected) else expected)


@given(st.lists(st.integers(0, 30), min_size=4, max_size=80), st.integers(0, 99))
def test_folds_keep_groups_together_and_leave_something_to_fit(groups: list[int], seed: int) -> None:
    folds = split(np.array(groups), seed=seed)
    for repetition in folds:
        assert set(repetition) == set(range(repetition.max() + 1))
        assert repetition.max() >= 1
        if len(set(groups)) >= 3:
            assert all(len({f for f, g in zip(repetition, groups, strict=True) if g == one}) == 1 for one in groups)


def test_no_label_is_told_to_the_fit_that_predicts_it() -> None:
    problem = make_problem(20)
    ridge = Candidate("log MACs", "compact", "ridge")
    before = out_of_fold(problem, ridge, [0])[0]
    shifted = problem.y.copy()
    shifted[7] += 100
    after = out_of_fold(Problem(problem.inputs, shifted, problem.folds, 0), ridge, [0])[0]
    fold = problem.folds[0] == problem.folds[0][7]
    assert np.array_equal(before[fold], after[fold])
    assert not np.any(before[~fold] == after[~fold])


def test_few_errors_make_wide_intervals() -> None:
    errors = np.array([0.1, -0.1, 0.1, -0.1])
    assert deviation(errors) > 1.4 * deviation(np.tile(errors, 50))
    assert deviation(np.tile(errors, 50)) == pytest.approx(0.1, rel=0.02)
    assert deviation(np.zeros(9)) == LEAST_DEVIATION


@pytest.mark.parametrize("count", [12, 30, 120])
def test_intervals_hold_what_they_promise(count: int) -> None:
    rng = np.random.default_rng(count)
    shares = [coverage(rng.normal(0, 0.2, count), rng.permutation(count) % 6) for _ in range(40)]
    assert np.mean(shares) == pytest.approx(0.9, abs=0.03)


def test_coverage_of_a_fold_hangs_on_the_other_folds() -> None:
    errors, folds = np.array([0.1] * 9 + [100.0]), np.array([0] * 9 + [1])
    assert coverage(errors, folds) == pytest.approx(0.9)


def test_the_simplest_wins_where_nothing_more_is_to_be_known() -> None:
    assert choose(make_problem(40, noise=0.1), candidates(40, public=False)).encoding is None


def test_what_explains_more_wins() -> None:
    chosen = choose(make_problem(60, stage=5), candidates(60, public=False))
    assert chosen.encoding is not None
    assert chosen.start == "log MACs"


def test_few_labels_have_few_candidates_and_many_have_all() -> None:
    few, all_of_them = candidates(12, public=True), candidates(500, public=True)
    assert {candidate.regressor for candidate in few} == {"affine", "ridge"}
    assert set(few) < set(all_of_them)
    assert {candidate.regressor for candidate in all_of_them} >= {*SLOW, "Gaussian process"}
    assert any(candidate.start == "public" and candidate.encoding is None for candidate in few)
    assert any(candidate.start != "public" for candidate in few)


def test_a_slow_regressor_can_win_where_it_is_far_ahead() -> None:
    base = make_problem(160, noise=0.0)
    compact = base.inputs.features("compact")
    assert compact is not None
    steps = np.where(compact[1] > 0, 1.0, -1.0) * np.where(compact[4] > 0, 1.0, -1.0)
    problem = Problem(base.inputs, steps, base.folds, 0)
    offered = [Candidate("log MACs", None, "affine"), Candidate("log MACs", "compact + log MACs", "boosted trees")]
    assert choose(problem, offered).regressor == "boosted trees"


@pytest.mark.parametrize("slow", [False, True])
def test_choice_deviation_and_status_share_one_cross_validation(monkeypatch: pytest.MonkeyPatch, *, slow: bool) -> None:
    fits: list[object] = []

    def counted(candidate: Candidate, *args: object, **fields: object) -> object:
        fits.append(candidate)
        return fit_candidate(candidate, *args, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr("pfpnas_workloads.prediction.validation.fit_candidate", counted)
    candidate = Candidate("log MACs", "compact", "boosted trees" if slow else "ridge")
    problem = make_problem(60)
    chosen = choose(problem, [candidate]) if not slow else candidate
    out_of_fold(problem, chosen, [0])
    judged = Validated(chosen, problem, np.arange(60), np.zeros((60, 1), np.int8), labels=60)
    assert len(judged.guesses) == (1 if slow else len(problem.folds))
    status_of(SPACE, {"latency": judged}, ObjectiveSpec(), labels=60)
    assert fits.count(candidate) == 5 * (1 if slow else 4)


def test_the_operations_of_an_architecture_are_counted_once() -> None:
    inputs = make_problem(40).inputs
    assert inputs.start("log MACs") is inputs.start("log MACs")
