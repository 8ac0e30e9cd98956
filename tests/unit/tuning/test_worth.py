"""The expected score is the mean of the score over what the predictors think possible."""

import numpy as np
import pytest

from pfpnas_api.kinds import Latency, ObjectiveSpec, TrialMetrics
from pfpnas_api.scoring import judge
from pfpnas_workloads.prediction.private import Prediction
from pfpnas_workloads.tuning.worth import BROKEN_SCORE, forecast, gain, worth

LATENCY = {"metric": "Latency", "max": "2ms"}
MEMORY = {"metric": "PeakMemory", "max": "1000"}
ACCURACY = np.array([0.8, 0.7, 0.9])
MILLISECONDS = np.array([1.9, 1.0, 2.4])
DEVIATION = np.array([0.1, 0.05, 0.3])
MEMORY_RATIO = (np.array([0.5, 0.99, 1.2]), np.array([0.01, 0.1, 0.2]))


def objective(*constraints: dict[str, str], scoring: str = "PenalizedAccuracy") -> ObjectiveSpec:
    return ObjectiveSpec.model_validate({"scoring": scoring, "constraints": list(constraints)})


def prediction(**ratios: tuple[np.ndarray, np.ndarray]) -> Prediction:
    return Prediction(ACCURACY, np.full(3, 0.02), MILLISECONDS, DEVIATION, ratios)


def simulated(of: ObjectiveSpec, *, memory: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean score and share of feasible by drawing what could be measured and judging it as a trial is judged."""
    rng = np.random.default_rng(0)
    scores, feasible = [], []
    for at in range(3):
        for _ in range(3000):
            p50 = float(MILLISECONDS[at] * np.exp(DEVIATION[at] * rng.normal()))
            size = MEMORY_RATIO[0][at] * np.exp(MEMORY_RATIO[1][at] * rng.normal()) * 1000 if memory else 1
            latency = Latency(p50=p50, p90=p50, mad=0, runs=64)
            metrics = TrialMetrics(
                accuracy=float(np.clip(ACCURACY[at] + 0.02 * rng.normal(), 0, 1)),
                latency_milliseconds=latency,
                peak_memory_bytes=round(size),
            )
            judgement = judge(of, metrics)
            broken = of.scoring == "PenalizedAccuracy" and judgement.outcome == "Infeasible"
            scores.append(BROKEN_SCORE if broken else judgement.score)
            feasible.append(judgement.feasible)
    return np.reshape(scores, (3, -1)).mean(axis=1), np.reshape(feasible, (3, -1)).mean(axis=1)


@pytest.mark.parametrize("scoring", ["PenalizedAccuracy", "ConstraintFirst"])
@pytest.mark.parametrize("memory", [False, True])
def test_score_and_chance_are_those_of_many_simulated_trials(scoring: str, *, memory: bool) -> None:
    of = objective(LATENCY, *([MEMORY] if memory else []), scoring=scoring)
    expected = worth(of, prediction(**({"PeakMemory": MEMORY_RATIO} if memory else {})))
    score, feasible = simulated(of, memory=memory)
    np.testing.assert_allclose(expected.score, score, atol=0.03)
    np.testing.assert_allclose(expected.feasible, feasible, atol=0.03)


def test_throughput_below_its_limit_is_judged_by_what_it_lacks() -> None:
    of = objective({"metric": "Throughput", "min": "400/s"}, scoring="ConstraintFirst")
    slower = (np.array([1.1, 2.0, 6.0]), np.array([0.1, 0.2, 0.3]))  # limit / value
    rng = np.random.default_rng(0)
    scores = [
        np.mean(
            [
                judge(
                    of, TrialMetrics(accuracy=float(accuracy), throughput=float(400 / (median * np.exp(spread * z))))
                ).score
                for z in rng.normal(size=3000)
            ]
        )
        for accuracy, median, spread in zip(ACCURACY, *slower, strict=True)
    ]
    unsure = Prediction(ACCURACY, np.zeros(3), None, None, {"Throughput": slower})
    np.testing.assert_allclose(worth(of, unsure).score, scores, atol=0.03)
    np.testing.assert_allclose(forecast(of, unsure).excess[:, 0], 1 - 1 / slower[0])


def test_without_doubt_it_is_algorithm_1_itself() -> None:
    sure = Prediction(ACCURACY, np.zeros(3), MILLISECONDS, np.zeros(3))
    np.testing.assert_allclose(worth(objective(LATENCY), sure).score, [0.8, 0.7, 0.9 - 0.2 * 1.2])
    np.testing.assert_allclose(worth(objective(), sure).score, ACCURACY)
    np.testing.assert_allclose(worth(objective(LATENCY), sure).feasible, [1, 1, 0])


def test_a_margin_below_the_limit_is_worth_some_accuracy() -> None:
    unsure = Prediction(np.array([0.80, 0.79]), np.zeros(2), np.array([1.99, 1.8]), np.full(2, 0.05))
    assert worth(objective(LATENCY), unsure).score.argmax() == 1


@pytest.mark.parametrize("memory", [False, True])
def test_the_gain_is_the_mean_of_what_simulated_trials_better_the_best_by(*, memory: bool) -> None:
    of, best = objective(LATENCY, *([MEMORY] if memory else [])), 0.78
    rng = np.random.default_rng(1)
    accuracy = ACCURACY + 0.02 * rng.normal(size=(200_000, 3))
    kept = MILLISECONDS * np.exp(DEVIATION * rng.normal(size=accuracy.shape)) <= 2
    if memory:
        kept &= MEMORY_RATIO[0] * np.exp(MEMORY_RATIO[1] * rng.normal(size=accuracy.shape)) <= 1
    simulated_gain = (np.maximum(accuracy - best, 0) * kept).mean(axis=0)
    of_all = prediction(**({"PeakMemory": MEMORY_RATIO} if memory else {}))
    np.testing.assert_allclose(gain(of, of_all, best=best), simulated_gain, atol=5e-4)


def test_a_chance_to_be_better_is_worth_more_than_a_good_mean() -> None:
    known = Prediction(np.array([0.80, 0.79]), np.array([0.0, 0.05]), None, None)
    assert worth(objective(), known).score.argmax() == 0
    assert gain(objective(), known, best=0.8).argmax() == 1


def test_what_was_never_measured_decides_nothing() -> None:
    no_accuracy = Prediction(None, None, MILLISECONDS, DEVIATION)
    assert worth(objective(LATENCY), no_accuracy).score.argmax() == 1, "the fastest"
    no_latency = Prediction(ACCURACY, np.zeros(3), None, None)
    np.testing.assert_allclose(worth(objective(LATENCY), no_latency).feasible, 1)


def test_a_forecast_has_one_column_a_limit() -> None:
    expected = forecast(objective(LATENCY, MEMORY), prediction(PeakMemory=MEMORY_RATIO))
    np.testing.assert_allclose(expected.excess, np.column_stack([MILLISECONDS / 2 - 1, MEMORY_RATIO[0] - 1]))
    np.testing.assert_allclose(expected.latency, MILLISECONDS)
    assert forecast(objective(), prediction()).excess.shape == (3, 0)
