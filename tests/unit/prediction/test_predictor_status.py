"""What a status says of the private predictors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.kinds.metrics import Latency, TrialMetrics
from pfpnas_api.scoring import judge
from pfpnas_api.spaces import SearchSpace, sample_matrix, static_costs, to_architectures
from pfpnas_workloads.prediction.labels import Label
from pfpnas_workloads.prediction.private import Choice, fit
from pfpnas_workloads.prediction.quality import MACS, joint_scores

SPACE = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), depths=(1, 2), resolutions=(20, 24))


def objective(*constraints: dict[str, str], scoring: str = "PenalizedAccuracy") -> ObjectiveSpec:
    return ObjectiveSpec.model_validate({"scoring": scoring, "constraints": constraints})


LATENCY = {"metric": "Latency", "max": "1ms"}

SLOWER = 0.9
"""Milliseconds that the slower half of the architectures takes."""


def make_labels(count: int, *, seed: int = 0, skip_above: float = 1e9) -> list[Label]:
    rng = np.random.default_rng(seed)
    matrix = sample_matrix(SPACE, count, rng=rng)
    macs = static_costs(SPACE, matrix)["macs"]
    ms = macs / 2e6 * np.exp(rng.normal(0, 0.05, count))
    accuracy = np.clip(0.8 + 0.05 * np.log(macs / 3e6) + rng.normal(0, 0.005, count), 0, 1)
    rows = zip(to_architectures(SPACE, matrix), ms.tolist(), accuracy.tolist(), strict=True)
    return [Label(a, latency, None if latency > skip_above else found) for a, latency, found in rows]


def test_every_figure_is_there_and_beside_its_yardsticks() -> None:
    status = fit(SPACE, make_labels(40), public=None, seed=0).quality(objective(LATENCY))
    assert status.labels == 40
    for quality in (status.latency, status.accuracy):
        assert quality is not None
        assert None not in quality.model_dump().values()
        assert quality.labels == 40
        assert quality.error < 0.6 * quality.constant_error
        assert quality.error <= 1.2 * quality.macs_error
        assert quality.kendall_tau > 0.6
        assert quality.coverage == pytest.approx(0.9, abs=0.08)
    assert status.latency is not None
    assert status.accuracy is not None
    assert (status.latency_mape, status.accuracy_mae) == (status.latency.error, status.accuracy.error)
    assert status.noise_floor is None


def test_yardsticks_are_what_a_constant_and_the_macs_alone_would_say() -> None:
    """Here latency follows the MACs but for its noise; of accuracy the resolution is no less a part."""
    labels, matrix = make_labels(200), sample_matrix(SPACE, 200, rng=np.random.default_rng(0))
    macs, bright = static_costs(SPACE, matrix)["macs"], matrix[:, 0]
    labels = [replace(x, accuracy=(x.accuracy or 0) - 0.05 * one) for x, one in zip(labels, bright, strict=True)]
    ms, accuracy = np.array([x.latency for x in labels]), np.array([x.accuracy for x in labels])
    line = np.polyval(np.polyfit(np.log(macs), accuracy, 1), np.log(macs))
    choice = fit(SPACE, labels[:40], public=None, seed=0).choice  # by all of them it takes seconds
    status = fit(SPACE, labels, public=None, seed=0, choice=choice).quality(objective(LATENCY))

    assert status.latency is not None
    assert status.latency.macs_error == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.2)
    assert status.latency.macs_kendall_tau == pytest.approx(kendalltau(macs, ms).statistic, abs=0.01)
    constant = np.exp(np.log(ms).mean())
    assert status.latency.constant_error == pytest.approx(np.abs(constant / ms - 1).mean(), rel=0.05)

    assert status.accuracy is not None
    assert status.accuracy.macs_error == pytest.approx(np.abs(line - accuracy).mean(), rel=0.05)
    assert status.accuracy.macs_kendall_tau == pytest.approx(kendalltau(line, accuracy).statistic, abs=0.05)
    assert status.accuracy.constant_error == pytest.approx(np.abs(accuracy.mean() - accuracy).mean(), rel=0.05)
    assert status.accuracy.error < 0.5 * status.accuracy.macs_error


def test_the_best_quarter_is_what_is_predicted_fastest_and_most_accurate() -> None:
    """There the noise is a tenth of what it is elsewhere, so that any other quarter would show."""
    rng = np.random.default_rng(1)
    matrix = sample_matrix(SPACE, 200, rng=rng)
    macs = static_costs(SPACE, matrix)["macs"]
    place = macs.argsort().argsort() / len(macs)
    ms = macs / 2e6 * np.exp(rng.normal(0, np.where(place < 0.3, 0.01, 0.1)))
    accuracy = 0.8 + 0.05 * np.log(macs / 3e6) + rng.normal(0, np.where(place > 0.7, 0.001, 0.01))
    rows = zip(to_architectures(SPACE, matrix), ms.tolist(), accuracy.tolist(), strict=True)
    choice = Choice((("latency", MACS), ("accuracy", MACS)))
    predictors = fit(SPACE, [Label(*row) for row in rows], public=None, seed=0, choice=choice)
    status = predictors.quality(objective(LATENCY))
    small, large = place < 0.25, place >= 0.75
    for quality, quarter, y, noise in ((status.latency, small, ms, 0.01), (status.accuracy, large, accuracy, 0.001)):
        assert quality is not None
        assert quality.top_quartile_error is not None
        assert noise * np.sqrt(2 / np.pi) < quality.top_quartile_error < 0.25 * quality.error
        tau = kendalltau(macs[quarter], y[quarter]).statistic
        assert quality.top_quartile_kendall_tau == pytest.approx(tau, abs=0.03)
        assert tau > quality.kendall_tau + 0.05


def test_noise_is_what_the_error_shows() -> None:
    status = fit(SPACE, make_labels(60), public=None, seed=0).quality(objective(LATENCY))
    assert status.latency_mape == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.4)


def test_without_accuracies_there_is_no_joint_score() -> None:
    status = fit(SPACE, make_labels(20, skip_above=0), public=None, seed=0).quality(objective(LATENCY))
    assert status.accuracy is None
    assert status.kendall_tau is None
    assert status.latency_mape is not None


def test_skipped_accuracies_leave_the_others_to_judge_by() -> None:
    status = fit(SPACE, make_labels(40, skip_above=SLOWER), public=None, seed=0).quality(objective(LATENCY))
    assert status.accuracy is not None
    assert 4 <= status.accuracy.labels < 40
    assert status.kendall_tau is not None


def test_without_a_limit_the_joint_score_is_the_accuracy() -> None:
    status = fit(SPACE, make_labels(40), public=None, seed=0).quality(objective())
    assert status.accuracy is not None
    assert status.kendall_tau == pytest.approx(status.accuracy.kendall_tau)


def test_more_labels_than_are_judged_by_are_all_fitted_to() -> None:
    choice = fit(SPACE, make_labels(20), public=None, seed=0).choice
    status = fit(SPACE, make_labels(450), public=None, seed=0, choice=choice).quality(objective(LATENCY))
    assert status.latency is not None
    assert status.latency.labels == 450


@pytest.mark.parametrize("scoring", ["PenalizedAccuracy", "ConstraintFirst"])
@pytest.mark.parametrize(
    "others",
    [
        (),
        ({"metric": "FLOPs", "maxRelative": "1.3"},),
        ({"metric": "Throughput", "min": "400/s"}, {"metric": "ModelSize", "max": "500k"}),
        ({"metric": "Energy", "max": "3mJ"},),
    ],
)
def test_joint_scores_are_those_that_trials_are_judged_by(scoring: str, others: tuple[dict[str, str], ...]) -> None:
    goal = objective(LATENCY, *others, scoring=scoring)
    rng = np.random.default_rng(0)
    matrix = sample_matrix(SPACE, 30, rng=rng)
    accuracy, ms, rate, energy = (
        rng.random(30),
        rng.uniform(0.5, 2, 30),
        rng.uniform(200, 800, 30),
        rng.uniform(1, 6, 30),
    )
    costs, smallest = static_costs(SPACE, matrix), static_costs(SPACE, matrix_of_smallest())
    values = {"latency": np.log(ms), "accuracy": accuracy}
    values |= {"Throughput": np.log(400 / rate)} if goal.constraint("Throughput") else {}
    values |= {"Energy": np.log(energy / 3)} if goal.constraint("Energy") else {}
    reference = TrialMetrics(flops=int(smallest["flops"][0]))
    judged = [
        judge(
            goal,
            TrialMetrics(
                accuracy=accuracy[i],
                latency_milliseconds=Latency(p50=ms[i], p90=ms[i], mad=0.0, runs=64),
                throughput=rate[i],
                energy_millijoules=energy[i],
                flops=int(costs["flops"][i]),
                model_bytes=int(costs["model_bytes"][i]),
            ),
            reference=reference,
        ).score
        for i in range(30)
    ]
    assert joint_scores(SPACE, matrix, values, goal) == pytest.approx(judged)


def matrix_of_smallest() -> np.ndarray:
    return np.zeros((1, len(SPACE.genes())), np.int8)
