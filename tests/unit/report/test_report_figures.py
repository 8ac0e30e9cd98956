"""The derived figures of a report, checked against the documents they come from."""

import json
from itertools import pairwise
from math import sqrt
from statistics import median

import pytest

from pfpnas_api.kinds import NASExperiment, Trial
from pfpnas_api.scoring import FrontPoint, hypervolume, pareto_front
from pfpnas_api.spaces import cost
from pfpnas_operator.report import REPORT_VERSION, Report, build_report
from support.report_builders import (
    make_evaluations,
    make_experiment,
    make_failed_trial,
    make_supernet,
    make_trial,
    simulated_trials,
    with_result,
)

SUPERNET = make_supernet()
SPACE = SUPERNET.space()
MINIMUM = SPACE.minimum()


def finished(**options: object) -> tuple[NASExperiment, list[Trial]]:
    experiment = make_experiment()
    trials = simulated_trials(experiment, SPACE, **options)  # type: ignore[arg-type]
    return with_result(experiment, trials), trials


def changed(experiment: NASExperiment, **status: object) -> NASExperiment:
    return experiment.model_copy(update={"status": experiment.status.model_copy(update=status)})


def two_trials(*figures: tuple[float | None, float], limit: str | None = '"2.0"') -> tuple[NASExperiment, list[Trial]]:
    experiment = make_experiment(limit=limit)
    trials = [
        make_trial(index, MINIMUM, experiment=experiment, space=SPACE, accuracy=accuracy, p50=p50, reference=0.5)
        for index, (accuracy, p50) in enumerate(figures)
    ]
    return with_result(experiment, trials), trials


def test_report_is_json_of_its_schema() -> None:
    experiment, trials = finished(failed=(3,))
    text = json.dumps(build_report(SUPERNET, experiment, trials), allow_nan=False)
    report = Report.model_validate_json(text)
    assert report.version == REPORT_VERSION
    assert report.model_dump(mode="json", by_alias=True) == json.loads(text)


def test_every_finished_trial_is_a_point_in_the_order_of_finishing() -> None:
    experiment, trials = finished(count=12, failed=(2, 5))
    report = build_report(SUPERNET, experiment, list(reversed(trials)))
    assert [point["trial"] for point in report["points"]] == [trial.metadata.name for trial in trials]
    assert [point["order"] for point in report["points"]] == list(range(1, 13))


def test_trials_of_others_and_unfinished_ones_are_left_out() -> None:
    experiment, trials = two_trials((0.9, 0.6), (0.8, 0.5))
    other = make_trial(9, MINIMUM, experiment=make_experiment(name="other"), space=SPACE, accuracy=1.0, p50=0.1)
    running = trials[1].model_copy(update={"status": trials[1].status.model_copy(update={"conditions": ()})})
    report = build_report(SUPERNET, experiment, [trials[0], running, other])
    assert [point["trial"] for point in report["points"]] == [trials[0].metadata.name]


def on_front(trials: list[Trial], *, relative: bool) -> list[FrontPoint]:
    """Trials with both figures that keep every limit but the latency's, as the front sees them."""
    return [
        FrontPoint(metrics.accuracy, (latency.relative or 0.0) if relative else latency.p50, trial.metadata.name)
        for trial in trials
        if (metrics := trial.status.metrics)
        and metrics.accuracy is not None
        and (latency := metrics.latency_milliseconds)
        and (metrics.parameters or 0) <= 400_000
    ]


@pytest.mark.parametrize(("limit", "relative", "judged_from"), [('"2.0"', True, 2.0), ("1ms", False, 1.0)])
def test_front_is_the_pareto_front_on_the_scale_of_the_latency_limit(
    limit: str, judged_from: float, *, relative: bool
) -> None:
    experiment = make_experiment(limit=limit)
    trials = simulated_trials(experiment, SPACE)
    report = build_report(SUPERNET, with_result(experiment, trials), trials)
    points = on_front(trials, relative=relative)
    expected = [point.key for point in pareto_front(points)]
    assert report["front"] == expected
    assert sorted(p["trial"] for p in report["points"] if p["onFront"]) == sorted(expected)
    assert report["hypervolumeLatency"] == judged_from
    assert report["hypervolume"] == pytest.approx(hypervolume(points, reference_latency=judged_from) / judged_from)


def test_net_that_breaks_a_hard_limit_is_no_gain() -> None:
    limits = [{"metric": "Latency", "maxRelative": "2.0"}, {"metric": "PeakMemory", "max": "40Mi"}]
    experiment = make_experiment(objective={"constraints": limits})
    fine = make_trial(0, MINIMUM, experiment=experiment, space=SPACE, accuracy=0.8, p50=0.6)
    assert fine.status.feasible is False, "the builder's trials take 48 MB"
    report = build_report(SUPERNET, with_result(experiment, [fine]), [fine])
    assert (report["front"], report["hypervolume"]) == ([], None)
    assert report["threshold"]["milliseconds"] == pytest.approx(0.84)


def test_hypervolume_never_falls() -> None:
    experiment, trials = finished()
    volumes = [point["hypervolume"] or 0.0 for point in build_report(SUPERNET, experiment, trials)["points"]]
    assert volumes == sorted(volumes)
    assert volumes[-1] > volumes[0]


def test_relative_threshold_uses_the_median_reference_of_the_front() -> None:
    experiment, trials = finished()
    report = build_report(SUPERNET, experiment, trials)
    front = [trial for trial in trials if trial.metadata.name in report["front"]]
    references = [t.status.metrics.latency_milliseconds.reference for t in front]  # type: ignore[union-attr]
    assert report["threshold"] == {"milliseconds": pytest.approx(2 * median(references)), "relative": 2.0}


def test_absolute_threshold_is_in_milliseconds() -> None:
    experiment, trials = two_trials((0.9, 0.6), limit="1.5s")
    assert build_report(SUPERNET, experiment, trials)["threshold"] == {"milliseconds": 1500.0, "relative": None}


def test_the_best_so_far_prefers_a_feasible_trial_over_a_higher_score() -> None:
    experiment = make_experiment(
        limit='"2.0"',
        objective={
            "penaltyCoefficient": "0",
            "constraints": [{"metric": "Latency", "maxRelative": "2.0"}],
        },
    )
    figures = [(0.99, 1.5), (0.80, 0.5)]
    trials = [
        make_trial(index, MINIMUM, experiment=experiment, space=SPACE, accuracy=a, p50=p, reference=0.5)
        for index, (a, p) in enumerate(figures)
    ]
    points = build_report(SUPERNET, with_result(experiment, trials), trials)["points"]
    assert [point["bestSoFar"] for point in points] == ["digits-0000", "digits-0001"]
    assert [point["bestScoreSoFar"] for point in points] == [0.99, 0.80]


def test_test_figures_of_an_earlier_best_are_no_figures_of_the_new_one() -> None:
    experiment, trials = two_trials((0.8, 0.5), (0.9, 0.6))
    better = make_trial(2, SPACE.maximum(), experiment=experiment, space=SPACE, accuracy=0.95, p50=0.6, reference=0.5)
    reopened = with_result(experiment, [*trials, better])
    assert reopened.status.best is not None
    reopened = changed(reopened, evaluations=experiment.status.evaluations)
    report = build_report(SUPERNET, reopened, [*trials, better])
    assert report["best"]["trial"] == better.metadata.name
    assert report["best"]["testAccuracy"] is None
    assert [row["name"] for row in report["baselines"]] == ["largest", "smallest", "rawPixels"]
    assert {row["difference"] for row in report["baselines"]} == {None}
    tested = make_evaluations(reopened.status.best)[0].model_copy(update={"name": "finalist"})
    again = changed(reopened, evaluations=(*experiment.status.evaluations, tested))
    assert tested.accuracy is not None
    assert build_report(SUPERNET, again, [*trials, better])["best"]["testAccuracy"] == tested.accuracy.value


def test_baselines_carry_the_difference_to_the_best_and_its_error() -> None:
    experiment, trials = finished()
    report = build_report(SUPERNET, experiment, trials)
    evaluations = {e.name: e.accuracy for e in make_evaluations(experiment.status.best)}  # type: ignore[arg-type]
    rows = {row["name"]: row for row in report["baselines"]}
    assert list(rows) == ["best", "largest", "smallest", "untrained", "rawPixels"]
    best, raw = evaluations["best"], evaluations["rawPixels"]
    assert best is not None
    assert raw is not None
    error = sqrt(best.standard_error**2 + raw.standard_error**2)
    assert rows["rawPixels"]["difference"] == pytest.approx(best.value - raw.value)
    assert rows["rawPixels"]["differenceError"] == pytest.approx(error)
    assert rows["rawPixels"]["differenceInErrors"] == pytest.approx((best.value - raw.value) / error)
    assert rows["best"]["difference"] is None


def test_an_evaluation_without_a_figure_says_why() -> None:
    experiment, trials = finished()
    evaluations = tuple(
        e.model_copy(update={"accuracy": None, "reason": "MeasurementTimeout"}) if e.name == "largest" else e
        for e in experiment.status.evaluations
    )
    changed = experiment.model_copy(
        update={"status": experiment.status.model_copy(update={"evaluations": evaluations})}
    )
    rows = {row["name"]: row for row in build_report(SUPERNET, changed, trials)["baselines"]}
    assert (rows["largest"]["missing"], rows["largest"]["difference"]) == ("MeasurementTimeout", None)


def test_the_parts_of_the_best_add_up_to_its_cost() -> None:
    experiment, trials = finished()
    report = build_report(SUPERNET, experiment, trials)
    costs = cost(SPACE, SPACE.parse(report["best"]["architecture"]))
    assert sum(part["macs"] for part in report["architecture"]) == costs.macs == report["best"]["macs"]
    assert [part["macShare"] for part in report["architecture"]] == [
        pytest.approx(part["macs"] / costs.macs) for part in report["architecture"]
    ]
    assert sum(part["parameters"] for part in report["architecture"]) == costs.parameters


def test_the_parts_follow_one_another() -> None:
    experiment, trials = finished()
    parts = build_report(SUPERNET, experiment, trials)["architecture"]
    assert [part["kind"] for part in parts][:2] == ["stem", "block"]
    assert [part["kind"] for part in parts][-2:] == ["feature", "classifier"]
    for before, after in pairwise(parts):
        assert after["inChannels"] == before["outChannels"]
    for before, after in pairwise(parts[:-1]):
        assert after["inResolution"] == before["outResolution"]


def test_failures_are_counted_by_reason() -> None:
    experiment = make_experiment()
    reasons = ["OutOfMemory", "MeasurementTimeout", "OutOfMemory"]
    trials = [make_failed_trial(i, MINIMUM, experiment=experiment, reason=r) for i, r in enumerate(reasons)]
    report = build_report(SUPERNET, with_result(experiment, trials), trials)
    assert report["failures"] == [
        {"reason": "OutOfMemory", "count": 2},
        {"reason": "MeasurementTimeout", "count": 1},
    ]
    assert (report["state"], report["best"], report["architecture"]) == ("Failed", None, [])
    assert any("Every trial failed" in note for note in report["notes"])


def test_nothing_feasible_is_said() -> None:
    experiment, trials = two_trials((0.9, 2.0), (0.8, 1.5))
    report = build_report(SUPERNET, experiment, trials)
    assert (report["state"], report["best"]["feasible"]) == ("NoFeasible", False)
    assert report["best"]["trial"] == trials[1].metadata.name
    assert report["notes"][0].startswith("No trial meets every limit.")
    assert report["baselines"][0]["label"] == "Closest found"


def test_limits_say_what_the_best_has() -> None:
    experiment, trials = two_trials((0.9, 0.6))
    limits = build_report(SUPERNET, experiment, trials)["setup"]["limits"]
    assert limits == [
        {"metric": "Latency", "written": "at most 2.0 × reference", "best": "1.20 × reference", "met": True},
        {"metric": "Parameters", "written": "at most 400k", "best": "47.8 k", "met": True},
    ]


def test_candidates_that_noise_cannot_tell_apart_are_counted() -> None:
    experiment, trials = two_trials((0.95, 0.6), (0.945, 0.6), (0.80, 0.5))
    report = build_report(SUPERNET, experiment, trials)
    assert report["best"]["rivals"] == 1
    assert any(note.startswith("1 other feasible candidate is within one standard error") for note in report["notes"])


def test_skipped_accuracy_is_counted_and_said() -> None:
    experiment, trials = two_trials((0.95, 0.6), (None, 4.0))
    report = build_report(SUPERNET, experiment, trials)
    assert report["counts"]["accuracySkipped"] == 1
    assert any("was skipped" in note for note in report["notes"])


def test_a_best_that_is_not_clearly_ahead_is_said() -> None:
    experiment, trials = finished()
    best = experiment.status.evaluations[0]
    evaluations = (best, best.model_copy(update={"name": "untrained"}))
    changed = experiment.model_copy(
        update={"status": experiment.status.model_copy(update={"evaluations": evaluations})}
    )
    notes = build_report(SUPERNET, changed, trials)["notes"]
    assert any("not ahead of “Best, untrained weights” by two standard errors" in note for note in notes)


def test_a_search_that_has_not_begun_has_a_report() -> None:
    report = build_report(make_supernet(trained=False), make_experiment(), [])
    assert (report["state"], report["points"], report["best"], report["hypervolume"]) == ("Running", [], None, None)
    assert report["threshold"] == {"milliseconds": None, "relative": 2.0}
