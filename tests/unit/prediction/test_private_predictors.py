"""Private predictors: latency, accuracy and other limited metrics from few measured trials."""

import subprocess
import sys
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from pfpnas_api.kinds.experiment import ObjectiveSpec
from pfpnas_api.spaces import ArchitectureError, SearchSpace, parse_id, sample_matrix, static_costs, to_architectures
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.candidates import Candidate
from pfpnas_workloads.prediction.encoding import coded, one_hot
from pfpnas_workloads.prediction.labels import Label, TooFewLabels
from pfpnas_workloads.prediction.network import Layer
from pfpnas_workloads.prediction.predictor import BLOCK
from pfpnas_workloads.prediction.private import BEYOND, Choice, PrivatePredictors, fit
from pfpnas_workloads.prediction.validation import kendall_tau

SPACE = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), depths=(1, 2), resolutions=(20, 24))
LIMITED = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "max": "2ms"}]})


def sample(count: int, seed: int = 0) -> np.ndarray:
    matrix = np.unique(sample_matrix(SPACE, 2 * count + 8, rng=np.random.default_rng(seed)), axis=0)
    return np.random.default_rng(seed).permutation(matrix)[:count]


def latencies(matrix: np.ndarray) -> np.ndarray:
    """Milliseconds of a device with an overhead for each block."""
    depths = matrix[:, 1:7].sum(axis=1)
    found: np.ndarray = static_costs(SPACE, matrix)["macs"] / 2e6 + 0.15 * depths
    return found


def accuracies(matrix: np.ndarray) -> np.ndarray:
    """Of data that like depth at one end and larger kernels at the other."""
    found: np.ndarray = 0.8 + 0.04 * matrix[:, 2] - 0.03 * matrix[:, 5] + 0.03 * matrix[:, 7] - 0.02 * matrix[:, 27]
    return found


def make_labels(count: int, *, noise: float = 0.03, seed: int = 0) -> list[Label]:
    matrix, rng = sample(count, seed), np.random.default_rng(seed)
    ms = latencies(matrix) * np.exp(rng.normal(0, noise, count))
    rows = zip(to_architectures(SPACE, matrix), ms, accuracies(matrix), strict=True)
    return [Label(architecture, float(latency), float(accuracy)) for architecture, latency, accuracy in rows]


def make_public() -> AccuracyPredictor:
    """A predictor of a public accuracy that the private one is half of."""
    matrix = sample(300, seed=9)
    codes = one_hot(SPACE, coded(SPACE, matrix))
    weights = np.linalg.lstsq(codes.T, 2 * accuracies(matrix) - 0.9, rcond=None)[0].astype(np.float32)
    layers = (
        Layer(weights[:, None], np.full(1, 5, np.float32)),  # far above 0, where a ReLU changes nothing
        Layer(np.ones((1, 1), np.float32), np.full(1, -5, np.float32)),
    )
    return AccuracyPredictor(SPACE, "a" * 64, layers)


def test_held_out_architectures_are_ordered_and_estimated() -> None:
    predictors, others = fit(SPACE, make_labels(50), public=None, seed=0), sample(300, seed=5)
    found = predictors.predict(others)
    assert found.latency is not None
    assert found.accuracy is not None
    assert kendall_tau(found.latency, latencies(others)) > 0.85
    assert np.abs(found.latency / latencies(others) - 1).mean() < 0.05
    assert kendall_tau(found.accuracy, accuracies(others)) > 0.6


def test_intervals_cover_architectures_never_seen() -> None:
    inside = []
    for seed in range(5):
        predictors, others = fit(SPACE, make_labels(40, noise=0.05, seed=seed), public=None, seed=0), sample(200, 50)
        found = predictors.predict(others)
        assert found.latency is not None
        assert found.latency_deviation is not None
        measured = np.log(latencies(others)) + np.random.default_rng(seed).normal(0, 0.05, len(others))
        inside.append(np.mean(np.abs(np.log(found.latency) - measured) < 1.645 * found.latency_deviation))
    assert 0.82 < np.mean(inside) < 0.97


def test_a_public_predictor_helps_few_labels() -> None:
    labels, others = make_labels(10), sample(300, seed=5)
    found = fit(SPACE, labels, public=make_public(), seed=0)
    candidate = found.choice.of("accuracy")
    assert candidate is not None
    assert candidate.start == "public"
    accuracy = found.predict(others).accuracy
    assert accuracy is not None
    assert kendall_tau(accuracy, accuracies(others)) > 0.75


def test_what_the_public_accuracy_leaves_is_learnt_beside_it() -> None:
    public, others = make_public(), sample(300, seed=5)

    def truth(matrix: np.ndarray) -> np.ndarray:
        """The resolution counts here, of which the public predictor knows nothing."""
        found: np.ndarray = 0.3 + 0.5 * public.predict_matrix(matrix) + 0.03 * matrix[:, 0]
        return found

    def error(predictors: PrivatePredictors) -> float:
        found = predictors.predict(others).accuracy
        assert found is not None
        return float(np.abs(found - truth(others)).mean())

    pairs = zip(make_labels(60), truth(sample(60)), strict=True)
    labels = [replace(label, accuracy=float(accuracy)) for label, accuracy in pairs]
    map_alone = Choice((("accuracy", Candidate("public", None, "affine")),))
    free, bound = (fit(SPACE, labels, public=public, seed=0, choice=choice) for choice in (None, map_alone))
    chosen = free.choice.of("accuracy")
    assert chosen is not None
    assert chosen.start == "public"
    assert chosen.encoding is not None
    assert error(free) < 0.3 * error(bound)


def test_the_same_arguments_give_the_same_bits_and_a_choice_given_back_too() -> None:
    labels, others, public = make_labels(40), sample(50, seed=5), make_public()
    first = fit(SPACE, labels, public=public, seed=3)
    again = fit(SPACE, labels, public=public, seed=3)
    refitted = fit(SPACE, labels, public=public, seed=3, choice=first.choice)
    for other in (again, refitted):
        a, b = first.predict(others), other.predict(others)
        assert other.choice == first.choice
        pairs = [
            (a.latency, b.latency),
            (a.accuracy, b.accuracy),
            (a.latency_deviation, b.latency_deviation),
            (a.accuracy_deviation, b.accuracy_deviation),
        ]
        for mine, theirs in pairs:
            assert mine is not None
            assert theirs is not None
            assert np.array_equal(mine, theirs)


def test_a_choice_is_kept_when_labels_are_added() -> None:
    choice = fit(SPACE, make_labels(40), public=None, seed=0).choice
    later = fit(SPACE, make_labels(60, seed=1), public=None, seed=0, choice=choice)
    assert (later.choice, later.labels) == (choice, 60)


def test_a_metric_that_the_choice_lacks_is_chosen_anew() -> None:
    unlabelled = [replace(label, accuracy=None) for label in make_labels(20)]
    first = fit(SPACE, unlabelled, public=None, seed=0)
    assert first.choice.of("accuracy") is None
    assert first.predict(sample(3)).accuracy is None
    later = fit(SPACE, make_labels(20), public=None, seed=0, choice=first.choice)
    assert later.choice.of("accuracy") is not None
    assert later.choice.of("latency") == first.choice.of("latency")


def test_a_choice_that_needs_a_public_predictor_is_made_anew_without_one() -> None:
    first = fit(SPACE, make_labels(10), public=make_public(), seed=0)
    later = fit(SPACE, make_labels(10), public=None, seed=0, choice=first.choice).choice.of("accuracy")
    assert later is not None
    assert later.start != "public"


def test_other_limited_metrics_are_predicted_as_shares_of_their_limit() -> None:
    labels = [replace(label, ratios={"Energy": 0.1 * (label.latency or 0)}) for label in make_labels(30, noise=0.01)]
    labels[3] = replace(labels[3], ratios={})
    others = sample(100, seed=5)
    ratio, spread = fit(SPACE, labels, public=None, seed=0).predict(others).ratios["Energy"]
    assert np.abs(ratio / (0.1 * latencies(others)) - 1).mean() < 0.05
    assert np.all(spread > 0)


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_labels_are_refused_in_words(count: int) -> None:
    with pytest.raises(TooFewLabels, match=f"{count} labels: 4 of latency or of accuracy are needed"):
        fit(SPACE, make_labels(count), public=None, seed=0)


def test_few_measurements_of_each_metric_are_too_few() -> None:
    labels = make_labels(6)
    halves = [replace(x, latency=None) for x in labels[:3]] + [replace(x, accuracy=None) for x in labels[3:]]
    with pytest.raises(TooFewLabels):
        fit(SPACE, halves, public=None, seed=0)


@pytest.mark.parametrize("count", [4, 5, 9])
@pytest.mark.parametrize("public", [False, True])
def test_a_handful_of_labels_gives_finite_predictions(count: int, public: bool) -> None:
    predictors = fit(SPACE, make_labels(count), public=make_public() if public else None, seed=0)
    found = predictors.predict(sample(100, seed=5))
    for values in (found.latency, found.latency_deviation, found.accuracy, found.accuracy_deviation):
        assert values is not None
        assert np.isfinite(values).all()
    assert predictors.quality(LIMITED).latency is not None


@pytest.mark.parametrize("count", [4, 40])
def test_equal_labels_are_predicted_as_they_are(count: int) -> None:
    labels = [replace(label, latency=2.0, accuracy=0.9) for label in make_labels(count)]
    predictors = fit(SPACE, labels, public=make_public(), seed=0)
    found = predictors.predict(sample(50, seed=5))
    assert found.latency == pytest.approx(np.full(50, 2.0))
    assert found.accuracy == pytest.approx(np.full(50, 0.9))
    assert found.latency_deviation is not None
    assert np.all(found.latency_deviation > 0)
    status = predictors.quality(LIMITED)
    assert status.latency is not None
    assert (status.latency.kendall_tau, status.latency.error) == (0.0, pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("count", [4, 12])
def test_one_architecture_measured_again_and_again_is_no_harm(count: int) -> None:
    rng, smallest = np.random.default_rng(0), SPACE.minimum()
    labels = [Label(smallest, float(np.exp(rng.normal(0, 0.1))), 0.9) for _ in range(count)]
    found = fit(SPACE, labels, public=None, seed=0).predict(sample(20))
    assert found.latency == pytest.approx(np.full(20, 1.0), abs=0.15)


def test_a_line_through_few_labels_stays_near_what_was_measured() -> None:
    matrix = sample(4)
    labels = [Label(a, ms, None) for a, ms in zip(to_architectures(SPACE, matrix), (1, 1e3, 1, 1e3), strict=True)]
    found = fit(SPACE, labels, public=None, seed=0).predict(sample(500, seed=5)).latency
    assert found is not None
    assert np.all(found <= 1e3 * np.exp(BEYOND))
    assert np.all(found >= np.exp(-BEYOND))


def test_genes_of_one_value_are_no_harm() -> None:
    space = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 2), resolutions=(16,))
    matrix = sample_matrix(space, 40, rng=np.random.default_rng(0))
    macs = static_costs(space, matrix)["macs"]
    labels = [Label(a, float(m / 1e6), None) for a, m in zip(to_architectures(space, matrix), macs, strict=True)]
    found = fit(space, labels, public=None, seed=0).predict(matrix).latency
    assert found == pytest.approx(macs / 1e6, rel=0.02)


def test_a_long_matrix_is_predicted_as_its_rows_are() -> None:
    predictors, matrix = fit(SPACE, make_labels(40), public=make_public(), seed=0), sample(100)
    many = np.tile(matrix, (BLOCK // 50, 1))
    together, alone = predictors.predict(many), predictors.predict(matrix)
    nothing = predictors.predict(matrix[:0])
    assert alone.latency is not None
    assert alone.accuracy is not None
    assert nothing.latency is not None
    assert together.latency == pytest.approx(np.tile(alone.latency, BLOCK // 50), rel=1e-5)
    assert together.accuracy == pytest.approx(np.tile(alone.accuracy, BLOCK // 50), rel=1e-5)
    assert nothing.latency.shape == (0,)


@pytest.mark.parametrize("wrong", [nan, inf, -1.0, 0.0])
def test_a_latency_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="latency"):
        Label(SPACE.minimum(), wrong, 0.5)
    with pytest.raises(ValueError, match="Energy"):
        Label(SPACE.minimum(), 1.0, 0.5, {"Energy": wrong})


@pytest.mark.parametrize("wrong", [nan, -0.1, 1.1])
def test_an_accuracy_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="accuracy"):
        Label(SPACE.minimum(), 1.0, wrong)


def test_what_is_of_another_space_is_refused() -> None:
    stranger = Label(parse_id("r32-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2"), 1.0, 0.5)
    with pytest.raises(ArchitectureError):
        fit(SPACE, [*make_labels(5), stranger], public=None, seed=0)
    public = make_public()
    with pytest.raises(ValueError, match="another search space"):
        fit(SearchSpace(), make_labels(5), public=public, seed=0)


def test_fitting_and_predicting_need_no_torch() -> None:
    program = "import sys, pfpnas_workloads.prediction.private; sys.exit(len({'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
