"""The regressors: what they fit, and that they agree with other people's formulas."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Ridge

from pfpnas_api.spaces import SearchSpace, sample_matrix
from pfpnas_workloads.prediction.candidates import Candidate, Inputs, candidates, fit_candidate
from pfpnas_workloads.prediction.encoding import coded
from pfpnas_workloads.prediction.network import COLUMNS, Layer, forward, train
from pfpnas_workloads.prediction.smoother import Radial, fit_affine, fit_process, fit_ridge

NONE = np.empty((0, 60), np.float32)


def problem(noise: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An unpenalised column z, 12 features x, and labels that hang on z, on three features, and on noise."""
    rng = np.random.default_rng(seed)
    z, x = rng.normal(size=(1, 60)).astype(np.float32), rng.normal(size=(12, 60)).astype(np.float32)
    y = 3 + 5 * z[0] + x[0] - 0.5 * x[1] + 0.2 * x[2] + rng.normal(0, noise, 60)
    return z, x, y.astype(np.float64)


def test_affine_is_the_least_squares_line() -> None:
    z, _, y = problem(0.1)
    slope, intercept = np.polyfit(z[0], y, 1)
    line = fit_affine(z, y)
    assert (line.slopes[0], line.intercept) == (pytest.approx(slope), pytest.approx(intercept))


def test_a_column_without_variation_has_no_slope() -> None:
    line = fit_affine(np.full((1, 5), 0.7, np.float32), np.arange(5.0))
    assert line.slopes.tolist() == [0]
    assert line(np.array([[9.0]], np.float32), None).tolist() == [2]


def test_ridge_is_a_ridge_of_some_strength_beside_the_line() -> None:
    z, x, y = problem(0.5)
    own = fit_ridge(z, x, y)
    scaled = np.concatenate([z * 1e3, x]).T.astype(np.float64)  # a column that is so large is not penalised
    gaps = [
        np.abs(Ridge(alpha=strength, solver="svd").fit(scaled, y).predict(scaled) - own(z, x)).max()
        for strength in np.logspace(-2, 3, 400)
    ]
    assert min(gaps) < 2e-2


def test_ridge_explains_what_the_line_leaves() -> None:
    z, x, y = problem(0.01)
    assert np.abs(fit_ridge(z, x, y)(z, x) - y).max() < 0.05
    assert np.abs(fit_affine(z, y)(z, None) - y).max() > 1


def test_noise_alone_leaves_the_line_alone() -> None:
    rng = np.random.default_rng(3)
    z, x, _ = problem(0)
    ridge = fit_ridge(z, x, 2 * z[0] + rng.normal(0, 1, 60))
    assert ridge.weights is not None
    assert np.abs(ridge.weights).max() < 0.15


def test_more_features_than_labels_are_no_harm() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 30)).astype(np.float32)
    ridge = fit_ridge(NONE[:, :30], x, x[0].astype(np.float64))
    assert np.corrcoef(ridge(NONE[:, :30], x), x[0])[0, 1] > 0.9


def test_the_radial_kernel_is_the_gaussian_one() -> None:
    rng = np.random.default_rng(0)
    centres, x = rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32)
    weights = rng.normal(size=7).astype(np.float32)
    own = Radial(centres, weights, np.float32(1 / (2 * 1.5**2)))(x)
    assert own == pytest.approx(weights @ RBF(1.5)(centres, x.T), abs=1e-5)


def test_a_process_follows_what_no_line_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (2, 120)).astype(np.float32)
    y = np.sin(2 * x[0]) * np.cos(x[1]) + rng.normal(0, 0.01, 120)
    z = np.empty((0, 120), np.float32)
    process, ridge = fit_process(z[:, :80], x[:, :80], y[:80]), fit_ridge(z[:, :80], x[:, :80], y[:80])
    errors = [np.abs(model(z[:, 80:], x[:, 80:]) - y[80:]).mean() for model in (process, ridge)]
    assert errors[0] < 0.25 * errors[1]


def test_forward_is_layer_after_layer_whatever_the_number_of_inputs() -> None:
    rng = np.random.default_rng(0)
    layers = [
        Layer(rng.normal(size=s).astype(np.float32), rng.normal(size=s[1]).astype(np.float32)) for s in ((4, 6), (6, 1))
    ]
    x = rng.normal(size=(4, COLUMNS + 3)).astype(np.float32)
    hidden = np.maximum(layers[0].weight.T @ x + layers[0].bias[:, None], 0)
    assert forward(layers, x) == pytest.approx((layers[1].weight.T @ hidden)[0] + layers[1].bias[0], rel=1e-4, abs=1e-5)
    assert forward(layers, x[:, :0]).shape == (0,)


def test_a_perceptron_learns_and_begins_at_the_mean() -> None:
    x = (np.random.default_rng(0).random((10, 100)) < 0.5).astype(np.float32)
    y = (0.8 + 0.1 * x[0] - 0.05 * x[1] * x[2]).astype(np.float32)
    layers = train(x, y, rng=np.random.default_rng(1))
    assert np.abs(forward(layers, x) - y).mean() < 0.7 * np.abs(y - y.mean()).mean()
    again = train(x, y, rng=np.random.default_rng(1))
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(layers, again, strict=True))


@pytest.mark.parametrize(
    "candidate",
    [candidate for candidate in candidates(200, public=False) if candidate.encoding],
    ids=lambda c: f"{c.regressor} on {c.code}",
)
def test_every_regressor_explains_what_the_line_leaves(candidate: Candidate) -> None:
    space = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 4), depths=(1, 2), resolutions=(16, 24))
    inputs = Inputs(space, coded(space, sample_matrix(space, 260, rng=np.random.default_rng(0))), public=None)
    compact = inputs.features("compact")
    assert compact is not None
    y = inputs.start("log MACs")[0] + 0.3 * compact[2].astype(np.float64)
    line = fit_affine(inputs.start("log MACs")[:, :200], y[:200])(inputs.start("log MACs")[:, 200:], None)
    z, x = inputs.start(candidate.start), inputs.features(candidate.encoding)
    assert x is not None
    guesses = fit_candidate(candidate, z[:, :200], x[:, :200], y[:200], seed=0)(z[:, 200:], x[:, 200:])
    assert np.corrcoef(guesses - line, y[200:] - line)[0, 1] > 0.7
