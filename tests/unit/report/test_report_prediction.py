"""What was predicted, the finalists, why the search ended, and another search beside it."""

import json
import re
from itertools import pairwise
from math import exp
from statistics import fmean

import pytest

from pfpnas_api.kinds import Condition, LocalReference, NASExperiment, PredictedMetrics, Trial
from pfpnas_operator.report import Report, build_report, comparison_lines, render_html, summary_lines
from pfpnas_operator.report.forecasts import forecast_of
from support.report_builders import (
    START,
    Beside,
    make_experiment,
    make_predictor_status,
    make_random_search,
    make_supernet,
    make_trial,
    simulated_trials,
    with_finalists,
    with_predictions,
    with_result,
)

SUPERNET = make_supernet()
SPACE = SUPERNET.space()
LEFT = ("SpaceExhausted", "NoFeasibleArchitecture")
SEARCH = make_experiment(tuner={"algorithm": "TPE", "seed": 1, "pseudoTrials": 300})


def searched(count: int = 32) -> tuple[NASExperiment, list[Trial]]:
    trials = with_predictions(simulated_trials(SEARCH, SPACE, count=count, failed=(5,)))
    return changed(with_finalists(with_result(SEARCH, trials), trials), predictor=make_predictor_status()), trials


def changed(experiment: NASExperiment, **status: object) -> NASExperiment:
    return experiment.model_copy(update={"status": experiment.status.model_copy(update=status)})


def by_scores(*scores: float, name: str = "digits") -> Beside:
    """A search whose trials have these accuracies at one latency, and so these scores."""
    experiment = make_experiment(name=name)
    trials = [
        make_trial(index, SPACE.minimum(), experiment=experiment, space=SPACE, accuracy=score, p50=0.6)
        for index, score in enumerate(scores)
    ]
    return Beside(with_result(experiment, trials, evaluated=False), trials)


def test_predictions_before_the_measurements_are_held_against_them() -> None:
    experiment, trials = searched()
    predictors = build_report(SUPERNET, experiment, trials)["predictors"]
    latencies, accuracies = [], []
    for status in (trial.status for trial in trials):
        said, found = status.predicted, status.metrics
        if said and found and said.latency_milliseconds and found.latency_milliseconds:
            latencies.append(abs(said.latency_milliseconds / found.latency_milliseconds.p50 - 1))
        if said and found and said.accuracy is not None and found.accuracy is not None:
            accuracies.append(abs(said.accuracy - found.accuracy))
    assert predictors["latency"]["error"] == pytest.approx(fmean(latencies))
    assert predictors["accuracy"]["error"] == pytest.approx(fmean(accuracies))
    assert (predictors["latency"]["trials"], predictors["accuracy"]["trials"]) == (len(latencies), len(accuracies))
    assert predictors["latency"]["noiseFloor"] == 0.011
    assert predictors["accuracy"]["crossValidation"]["regressor"] == "mlp"


def test_interval_of_a_prediction_holds_90_per_cent_of_a_normal_error() -> None:
    experiment, trials = searched()
    report = build_report(SUPERNET, experiment, trials)
    inside = []
    for point, trial in zip(report["points"], trials, strict=True):
        said, forecast = trial.status.predicted, point["forecast"]
        if forecast is None or said is None or said.latency_milliseconds is None:
            continue
        assert forecast["latencyHigh"] == pytest.approx(said.latency_milliseconds * exp(1.645 * 0.04))
        assert forecast["accuracyLow"] <= forecast["accuracy"] <= forecast["accuracyHigh"] <= 1
        inside.append(forecast["latencyLow"] <= point["latencyP50"] <= forecast["latencyHigh"])
    assert report["predictors"]["latency"]["coverage"] == pytest.approx(fmean(inside))


def test_relative_prediction_is_told_at_the_pace_the_device_had_beside_the_trial() -> None:
    said = PredictedMetrics(latency_milliseconds=2.0, latency_relative=1.5, latency_deviation=0.1)
    slowed = forecast_of(said, reference=4.0)
    assert slowed is not None
    assert slowed.latency == pytest.approx(6.0)
    assert slowed.latency_high == pytest.approx(6.0 * exp(0.1645))
    unseen = forecast_of(said, reference=None)
    assert unseen is not None
    assert unseen.latency == 2.0


def test_public_prediction_alone_is_no_forecast() -> None:
    experiment = make_experiment()
    trials = simulated_trials(experiment, SPACE, count=4)
    report = build_report(SUPERNET, with_result(experiment, trials), trials)
    assert [point["forecast"] for point in report["points"]] == [None] * 4
    assert report["predictors"] is None
    text = render_html(report)
    assert "What the predictors were worth" not in text
    assert "every draw of the tuner is measured (pseudoTrials 0)" in text


def test_every_refit_is_told_once_by_rising_labels() -> None:
    experiment, trials = searched()
    refits = build_report(SUPERNET, experiment, trials)["predictors"]["refits"]
    assert [refit["labels"] for refit in refits] == [8, 12, 16, 20, 24, 28]
    assert all(before["kendallTau"] < after["kendallTau"] for before, after in pairwise(refits))


def test_trial_that_was_measured_twice_counts_as_two_measurements_and_one_that_failed_as_none() -> None:
    experiment, trials = searched(count=11)
    report = build_report(SUPERNET, experiment, trials)
    assert [point["measurements"] for point in report["points"]] == [1, 2, 3, 4, 6, 6, 7, 8, 9, 11, 12]
    assert report["counts"]["measurements"] == 12
    assert "12: 10 trials, 2 of them twice" in render_html(report)


def test_trials_that_failed_before_any_measurement_are_drawn_within_the_axes() -> None:
    trials = simulated_trials(SEARCH, SPACE, count=6, failed=(5,))
    failed = trials[5].model_copy(update={"status": trials[5].status.model_copy(update={"finished_at": START})})
    text = render_html(build_report(SUPERNET, with_result(SEARCH, trials), [failed, *trials[:5]]))
    drawn = text[text.index('<figure id="history">') :]
    drawn = drawn[: drawn.index("<figcaption")]
    left = [float(x) for x in re.findall(r'<path d="M([\d.]+)[^>]*class="failed"', drawn)]
    assert left
    assert min(left) >= 64


def test_finalists_show_first_and_median_and_test() -> None:
    experiment, trials = searched()
    report = build_report(SUPERNET, experiment, trials)
    first = report["finalists"][0]
    assert [row["best"] for row in report["finalists"]] == [True, False, False]
    assert [row["measurements"] for row in report["finalists"]] == [3, 3, 3]
    assert first["latency"] == pytest.approx(first["firstLatency"] * 1.01)
    assert first["score"] == pytest.approx(first["firstScore"] - 0.001)
    tested = [row["testAccuracy"] for row in report["finalists"]]
    assert tested == sorted(tested, reverse=True)
    assert all(row["testStandardError"] > 0 for row in report["finalists"])
    assert [row["name"] for row in report["baselines"]].count("best") == 1
    assert f"{first['trial']} · best</th>" in render_html(report)


def test_finalist_that_could_not_be_measured_again_says_why() -> None:
    experiment, trials = searched()
    lost = experiment.status.finalists[1].model_copy(update={"remeasurements": (), "reason": "MeasurementTimeout"})
    finalists = (experiment.status.finalists[0], lost)
    report = build_report(SUPERNET, changed(experiment, finalists=finalists), trials)
    assert (report["finalists"][1]["measurements"], report["finalists"][1]["reason"]) == (1, "MeasurementTimeout")
    assert "1 (MeasurementTimeout)" in render_html(report)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("GoalReached", "The search ended since its goal was reached: digits-3 scores 0.97."),
        ("Converged", "The search ended since it had converged: digits-3 scores 0.97."),
        ("Unheard", "The search ended since Unheard: digits-3 scores 0.97."),
        *(
            (reason, "The search ended since nothing that may be tried was left: digits-3 scores 0.97.")
            for reason in LEFT
        ),
    ],
)
def test_page_says_why_the_search_ended(reason: str, words: str) -> None:
    experiment, trials = searched(count=4)
    over = Condition.model_validate(
        {
            "type": "Searching",
            "status": "False",
            "reason": reason,
            "message": "digits-3 scores 0.97",
            "last_transition_time": experiment.status.finished_at,
        }
    )
    kept = tuple(c for c in experiment.status.conditions if c.type != "Searching")
    report = build_report(SUPERNET, changed(experiment, conditions=(*kept, over)), trials)
    assert report["ended"] == {"reason": reason, "message": "digits-3 scores 0.97"}
    assert words in render_html(report)


def test_search_that_goes_on_has_not_ended() -> None:
    experiment, trials = searched(count=4)
    assert build_report(SUPERNET, changed(experiment, search_finished_at=None), trials)["ended"] is None


def test_warm_start_and_answers_thrown_away_are_said() -> None:
    experiment, trials = searched(count=6)
    spec = experiment.spec.model_copy(update={"warm_start_from": (LocalReference(name="before"),)})
    experiment = experiment.model_copy(update={"spec": spec})
    trials[0] = trials[0].model_copy(
        update={"spec": trials[0].spec.model_copy(update={"origin": "WarmStart", "index": None})}
    )
    report = build_report(SUPERNET, changed(experiment, refused_results=3, replicates=1), trials)
    assert (report["counts"]["warmStarted"], report["setup"]["warmStartFrom"]) == (1, ["before"])
    text = render_html(report)
    assert "1 trials from before" in text
    assert "from another experiment</td>" in text
    assert "3 that can&#x27;t be true or were not asked for, 1 that came twice" in text


def test_other_search_is_compared_at_the_measurements_that_both_have() -> None:
    mine, other = by_scores(0.90, 0.91, 0.95, 0.99), by_scores(0.92, 0.94, 0.93, name="digits-random")
    report = build_report(SUPERNET, mine.experiment, mine.finished, other=other)
    beside = report["otherSearch"]
    assert (beside["measurements"], beside["comparedAt"]) == (3, 3)
    assert (beside["own"]["score"], beside["other"]["score"]) == (0.95, 0.94)
    assert beside["caughtUpAt"] == 3
    assert [step["score"] for step in beside["progress"]] == [0.92, 0.94, 0.94]
    assert comparison_lines(report) == [
        "After 3 measurements each: score 0.9500 by digits (TPE), score 0.9400 by TPE",
        "digits was as good as TPE's best after 3 measurements",
    ]


def test_search_that_random_beats_says_so() -> None:
    mine, other = by_scores(0.90, 0.91), by_scores(0.92, 0.89, name="digits-random")
    report = build_report(SUPERNET, mine.experiment, mine.finished, other=other)
    assert report["otherSearch"]["caughtUpAt"] is None
    assert any("has not shown that its tuner is worth anything" in note for note in report["notes"])
    assert "digits has found nothing as good as what TPE found" in " ".join(comparison_lines(report))


def test_hypervolumes_of_both_searches_are_judged_from_one_point() -> None:
    mine = by_scores(0.90, 0.95)
    same = by_scores(0.90, 0.95, name="digits-random")
    report = build_report(SUPERNET, mine.experiment, mine.finished, other=same)
    volumes = [point["hypervolume"] for point in report["points"]]
    assert [step["hypervolume"] for step in report["otherSearch"]["progress"]] == pytest.approx(volumes)


def test_best_of_the_other_search_stands_beside_the_baselines() -> None:
    experiment, trials = searched()
    other = make_random_search(SPACE)
    report = build_report(SUPERNET, experiment, trials, other=other)
    last = report["baselines"][-1]
    assert (last["name"], last["label"]) == ("otherSearch", "Found by RandomSearch")
    best = next(e for e in other.experiment.status.evaluations if e.name == "best")
    assert best.accuracy is not None
    assert last["accuracy"] == best.accuracy.value
    assert any(line.startswith("Found by RandomSearch: ") for line in summary_lines(report))


def test_trials_that_the_tuner_did_not_propose_are_told_beside_the_other_search() -> None:
    mine, theirs = by_scores(0.95, 0.90, 0.91), by_scores(0.92, 0.93, name="other")
    for place, origin in enumerate(("WarmStart", "User", "User")):
        spec = mine.finished[place].spec.model_copy(update={"origin": origin, "index": None})
        mine.finished[place] = mine.finished[place].model_copy(update={"spec": spec})
    notes = build_report(SUPERNET, mine.experiment, mine.finished, other=theirs)["notes"]
    assert any("1 from other experiments and 1 made by hand" in note for note in notes), "the third came after that"
    assert not any(
        "tuner did not propose" in n for n in build_report(SUPERNET, mine.experiment, mine.finished)["notes"]
    )
    other = build_report(SUPERNET, theirs.experiment, theirs.finished, other=mine)["notes"]
    assert not any("tuner did not propose" in note for note in other)


def test_nothing_measured_is_nothing_to_compare_with() -> None:
    mine = by_scores(0.90)
    report = build_report(SUPERNET, mine.experiment, mine.finished, other=Beside(make_experiment(name="other"), []))
    assert (report["otherSearch"]["comparedAt"], report["otherSearch"]["other"]) == (0, None)
    assert comparison_lines(report) == ["there is nothing to compare with"]
    assert "<svg" in render_html(report)


def test_page_draws_predictions_refits_and_the_other_line_as_their_schema_says() -> None:
    experiment, trials = searched()
    report = build_report(SUPERNET, experiment, trials, other=make_random_search(SPACE))
    assert Report.model_validate_json(json.dumps(report, allow_nan=False)).other_search is not None
    text = render_html(report)
    assert [name for name in ("prediction", "refits", "history") if f'<figure id="{name}">' not in text] == []
    assert text.count('class="other-line"') == 3, "score, hypervolume and legend"
    assert text.count('class="floor"') == 3, "latency, accuracy and legend"
    drawn = text[text.index('<figure id="prediction">') : text.index('<figure id="refits">')]
    marks = report["predictors"]["latency"]["trials"] + report["predictors"]["accuracy"]["trials"]
    assert len(re.findall(r'<circle[^>]*class="dot [^>]*><title>', drawn)) == marks
    assert not re.search(r"\bnan\b|\binf\b", text.lower())


def test_predictor_that_does_not_beat_macs_is_said() -> None:
    experiment, trials = searched()
    status = make_predictor_status()
    assert status.latency is not None
    worse = status.model_copy(update={"latency": status.latency.model_copy(update={"error": 0.2})})
    notes = build_report(SUPERNET, changed(experiment, predictor=worse), trials)["notes"]
    assert any("private predictor of the latency is no better than the MACs" in note for note in notes)
    assert not any("predictor of the accuracy is no better" in note for note in notes)
    assert any("what the device drifts is no error of theirs" in note for note in notes)


def test_noise_floor_is_the_error_of_a_perfect_predictor_and_comes_with_its_pairs() -> None:
    experiment, trials = searched()
    report = build_report(SUPERNET, experiment, trials)
    assert any("(noise floor 1.1 % from 4 pairs)" in line for line in summary_lines(report))
    text = render_html(report)
    assert "noise floor: the mean error that a perfect predictor would show" in text
    assert "noise floor from 4 pairs" in text


def test_one_prediction_alone_can_be_drawn() -> None:
    experiment, trials = searched(count=9)
    report = build_report(SUPERNET, changed(experiment, predictor=None), trials)
    assert report["predictors"]["latency"]["trials"] == 1
    text = render_html(report)
    assert '<figure id="prediction">' in text
    assert '<figure id="refits">' not in text


def test_predictions_of_the_accuracy_alone_leave_no_hole_and_no_empty_rows() -> None:
    experiment, trials = searched()
    without = {"latency_milliseconds": None, "latency_deviation": None}
    for number, trial in enumerate(trials):
        if trial.status.predicted is not None:
            told = trial.status.predicted.model_copy(update=without)
            trials[number] = trial.model_copy(update={"status": trial.status.model_copy(update={"predicted": told})})
    text = render_html(build_report(SUPERNET, changed(experiment, predictor=None), trials))
    drawn = text[text.index('<figure id="prediction">') : text.index('<figure id="refits">')]
    assert "measured latency" not in drawn
    assert min(float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)) < 480
    assert "Error of what was predicted before the measurements" in text
    assert "Error in cross-validation" not in text
