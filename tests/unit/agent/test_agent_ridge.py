"""The fitted head against the same sums done the long way."""

import numpy as np
import pytest

from pfpnas_agent.heads import ridge


def sample(n: int, d: int, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    features = rng.standard_normal((n, d)) * rng.uniform(0.1, 50, d) + rng.uniform(-5, 5, d)
    features[:, 0] += 30 * labels
    return features.astype(np.float32), labels


def solved(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


@pytest.mark.parametrize(("n", "d"), [(60, 7), (20, 45)], ids=["tall", "wide"])
def test_weights_solve_the_normal_equations(n: int, d: int) -> None:
    features, labels = sample(n, d)
    head = ridge.fit(features, labels, classes=3)
    x = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    y = np.eye(3)[labels]
    expected = x @ solved(x, y - y.mean(0), n * head.strength) + y.mean(0)
    np.testing.assert_allclose(features.astype(np.float64) @ head.weights + head.bias, expected, atol=1e-8)


@pytest.mark.parametrize(("n", "d"), [(30, 5), (14, 25)], ids=["tall", "wide"])
def test_strength_is_the_one_that_leaving_out_one_by_one_finds(n: int, d: int) -> None:
    features, labels = sample(n, d, seed=3)
    x = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    y = np.eye(3)[labels]

    def left_out(strength: float) -> float:
        # Leaving a row out of sums that stay centred on all rows: the intercept is a penalty-free column of ones.
        augmented = np.hstack([x, np.ones((n, 1))])
        penalty = np.diag([n * strength] * d + [0.0])
        total = 0.0
        for row in range(n):
            keep = np.arange(n) != row
            a = augmented[keep]
            weights = np.linalg.lstsq(a.T @ a + penalty, a.T @ y[keep], rcond=None)[0]
            total += float(np.square(y[row] - augmented[row] @ weights).sum())
        return total

    errors = [left_out(strength) for strength in ridge.STRENGTHS]
    chosen = int(np.argmin(np.abs(ridge.STRENGTHS - ridge.fit(features, labels, classes=3).strength)))
    assert errors[chosen] == pytest.approx(min(errors), rel=1e-3)


def test_a_feature_that_never_changes_has_no_say() -> None:
    features, labels = sample(50, 6)
    features[:, 3] = 7.25
    head = ridge.fit(features, labels, classes=3)
    assert np.all(head.weights[3] == 0)
    assert np.isfinite(head.weights).all()


def test_scale_and_offset_of_features_change_no_prediction() -> None:
    features, labels = sample(80, 6)
    moved = features.astype(np.float64) * 1e4 - 3e5
    assert np.array_equal(
        ridge.fit(features, labels, classes=3).predicted(features),
        ridge.fit(moved, labels, classes=3).predicted(moved),
    )


def test_features_that_say_nothing_at_all_predict_the_commonest_class() -> None:
    labels = np.array([0, 1, 1, 1, 2])
    head = ridge.fit(np.zeros((5, 4), np.float32), labels, classes=3)
    assert head.predicted(np.zeros((2, 4), np.float32)).tolist() == [1, 1]
