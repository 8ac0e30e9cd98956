"""Encodings of many architectures at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_api.spaces import SearchSpace, cost, sample_matrix, to_architectures
from pfpnas_workloads.prediction.encoding import ENCODINGS, EncodingName, coded, encode, features, one_hot

SPACE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 6), depths=(1, 2, 4), resolutions=(16, 24, 32))
ONE_VALUE = SearchSpace(kernel_sizes=(3,), expand_ratios=(2, 4), depths=(2,), resolutions=(16,))


def sample(space: SearchSpace, count: int, seed: int = 0) -> np.ndarray:
    return sample_matrix(space, count, rng=np.random.default_rng(seed))


@given(st.integers(0, 2**32 - 1))
def test_one_hot_says_every_active_choice_and_no_other(seed: int) -> None:
    matrix = sample(SPACE, 3, seed)
    code = one_hot(SPACE, coded(SPACE, matrix)).T
    for row, architecture in zip(code, to_architectures(SPACE, matrix), strict=True):
        genes = zip(SPACE.genes(), SPACE.to_genes(architecture), SPACE.active(architecture), strict=True)
        kept = [(len(gene.values), at, acts) for gene, at, acts in genes if gene.kind != "depth"]
        assert row.tolist() == [float(acts and at == i) for count, at, acts in kept for i in range(count)]
    assert np.array_equal(code, encode(SPACE, to_architectures(SPACE, matrix)))


def test_compact_sums_each_stage() -> None:
    matrix = sample(SPACE, 400)
    found = features(SPACE, "compact", coded(SPACE, matrix))
    truth = [
        [a.resolution, *(n for s in a.stages for n in (len(s), sum(g.kernel for g in s), sum(g.expand for g in s)))]
        for a in to_architectures(SPACE, matrix)
    ]
    varying = [(column, values) for column, values in zip(found, np.array(truth).T, strict=True) if np.ptp(values) > 0]
    assert len(varying) >= 1 + 3 * 5, "resolution, and all three of every stage but one that may be fixed"
    for column, values in varying:
        assert np.corrcoef(column, values)[0, 1] == pytest.approx(1)


def test_log_macs_orders_by_operations() -> None:
    matrix = sample(SPACE, 50)
    macs = [cost(SPACE, architecture).macs for architecture in to_architectures(SPACE, matrix)]
    found = features(SPACE, "log MACs", coded(SPACE, matrix))[0]
    assert np.corrcoef(found, np.log(macs))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_features_hang_on_their_architecture_only(encoding: EncodingName) -> None:
    matrix = sample(SPACE, 20)
    together = features(SPACE, encoding, coded(SPACE, matrix))
    alone = np.concatenate([features(SPACE, encoding, coded(SPACE, matrix[[i]])) for i in range(20)], axis=1)
    assert np.array_equal(together, alone)
    assert together.dtype == np.float32


def test_scales_are_those_of_the_space() -> None:
    found = features(SPACE, "compact + log MACs", coded(SPACE, sample(SPACE, 4000, seed=1)))
    varying = found[found.std(axis=1) > 0]
    assert np.abs(varying.mean(axis=1)).max() < 0.1
    assert varying.std(axis=1) == pytest.approx(np.ones(len(varying)), abs=0.05)


def test_what_has_one_value_is_no_feature() -> None:
    found = features(ONE_VALUE, "compact", coded(ONE_VALUE, sample(ONE_VALUE, 50)))
    depths, kernels = found[1::3], found[2::3]
    assert not np.any(found[0])
    assert not np.any(depths)
    assert not np.any(kernels)
    assert np.any(found[3::3])
