"""What the tables show of a search."""

import pytest

from pfpnas_api.kinds import Latency, PredictedMetrics, TrialMetrics
from pfpnas_api.scoring import Judgement
from support.markdown import markdown_table
from support.replayed_search import Replay, ReplayedTrial
from support.search_figures import Figures, Summary, figures_of, in_whole_seeds


def trial(
    index: int, accuracy: float, latency: float, *, feasible: bool = True, predicted: float | None = None
) -> ReplayedTrial:
    metrics = TrialMetrics(
        accuracy=accuracy, latency_milliseconds=Latency(p50=latency, p90=latency, mad=0, runs=64, reference=1.0)
    )
    foretold = None if predicted is None else PredictedMetrics(latency_milliseconds=predicted)
    return ReplayedTrial(index, f"net {index}", metrics, Judgement(accuracy, feasible, 0.0), foretold, float(index))


def test_only_trials_that_keep_the_limit_can_be_the_best() -> None:
    found = Replay([trial(0, 0.7, 1.0), trial(1, 0.8, 1.0), trial(2, 0.9, 3.0, feasible=False)])
    figures = figures_of(found)
    assert (figures["top1"], figures["found_at"], figures["measured"]) == (0.8, 2.0, 3.0)


def test_five_are_needed_for_their_mean() -> None:
    trials = [trial(at, 0.5 + at / 100, 1.0) for at in range(6)]
    assert figures_of(Replay(trials))["best_five"] == pytest.approx(0.53)
    assert figures_of(Replay(trials[:4]))["best_five"] is None


def test_errors_are_of_the_trials_that_were_predicted() -> None:
    found = Replay([trial(0, 0.7, 5.0), trial(1, 0.7, 1.0, predicted=1.1), trial(2, 0.7, 2.0, predicted=1.6)])
    figures = figures_of(found)
    assert figures["latency_mape"] == pytest.approx(0.15)
    assert figures["latency_tau"] == pytest.approx(1.0)


def test_a_search_without_predictors_has_no_errors() -> None:
    figures = figures_of(Replay([trial(0, 0.7, 1.0)]))
    assert [figures[name] for name in ("latency_mape", "latency_tau", "accuracy_tau")] == [None, None, None]


def test_an_empty_search_has_no_best() -> None:
    assert figures_of(Replay())["top1"] is None


def test_the_standard_error_is_that_of_the_seeds_that_have_the_figure() -> None:
    summary = Summary.of([1.0, None, 3.0])
    assert summary is not None
    assert (summary.mean, summary.error, summary.seeds) == (2.0, pytest.approx(1.0), 2)
    assert Summary.of([None]) is None


def test_one_seed_has_no_error() -> None:
    alone, two = Summary.of([0.5]), Summary.of([0.4, 0.6])
    assert alone is not None
    assert two is not None
    assert (alone.text(1, scale=100), two.text(1, scale=100)) == ("50.0", "50.0 ± 10.0")


def test_a_mean_says_when_seeds_are_missing_from_it() -> None:
    some, all_of_them = Summary.of([0.4, None, 0.6]), Summary.of([0.4, 0.5, 0.6])
    assert some is not None
    assert all_of_them is not None
    assert some.text(1, scale=100, unit=" %") == "50.0 ± 10.0 % (2 of 3)"
    assert all_of_them.text(1, scale=100, unit=" %") == "50.0 ± 5.8 %"


def test_a_seed_is_finished_for_all_rows_before_the_next_begins() -> None:
    asked: list[tuple[str, int]] = []

    def search(row: str, seed: int) -> Figures:
        asked.append((row, seed))
        return {"top1": float(f"{seed}.{len(row)}")}

    found = in_whole_seeds(search, ["a", "bb"], seeds=2)
    assert asked == [("a", 0), ("bb", 0), ("a", 1), ("bb", 1)]
    assert found == {"a": [{"top1": 0.1}, {"top1": 1.1}], "bb": [{"top1": 0.2}, {"top1": 1.2}]}


def test_columns_are_aligned() -> None:
    assert markdown_table(["a", "bb"], [["ccc", "d"]]) == "| a   | bb |\n| --- | -- |\n| ccc | d  |"
