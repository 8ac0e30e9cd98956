"""Gene matrices: many architectures at once mean exactly what each means alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfpnas_api.spaces import (
    DEPTHS,
    EXPAND_RATIOS,
    KERNEL_SIZES,
    ArchitectureError,
    SearchSpace,
    active_mask,
    canonical,
    cost,
    parse_id,
    sample_matrix,
    static_costs,
    to_architectures,
    to_matrix,
)

SPACE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 6), depths=(1, 2, 4), resolutions=(16, 24, 32))

seeds = st.integers(0, 2**32 - 1)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    resolutions = draw(st.sampled_from([range(16, 65, 4), range(96, 513, 4)]))
    return SearchSpace(
        backbone=draw(st.sampled_from(["MobileNetV2", "ProxylessNAS"])),
        width_multiplier=draw(st.sampled_from([0.1, 0.35, 1.0, 2.0])),
        kernel_sizes=tuple(draw(st.sets(st.sampled_from(KERNEL_SIZES), min_size=1))),
        expand_ratios=tuple(draw(st.sets(st.sampled_from(EXPAND_RATIOS), min_size=1))),
        depths=tuple(draw(st.sets(st.sampled_from(DEPTHS), min_size=1, max_size=3))),
        resolutions=tuple(draw(st.sets(st.sampled_from(resolutions), min_size=1, max_size=4))),
        classes=draw(st.integers(1, 2000)),
    )


def matrix_of(space: SearchSpace, seed: int, count: int = 5) -> np.ndarray:
    return sample_matrix(space, count, rng=np.random.default_rng(seed))


@settings(max_examples=60)
@given(spaces(), seeds)
def test_rows_are_the_genes_of_their_architectures(space: SearchSpace, seed: int) -> None:
    matrix = matrix_of(space, seed)
    architectures = to_architectures(space, matrix)
    assert all(space.contains(architecture) for architecture in architectures)
    assert [space.to_genes(architecture) for architecture in architectures] == matrix.tolist()
    assert np.array_equal(to_matrix(space, architectures), matrix)
    assert matrix.dtype == np.int8


@settings(max_examples=60)
@given(spaces(), seeds)
def test_costs_are_those_of_each_architecture(space: SearchSpace, seed: int) -> None:
    matrix = matrix_of(space, seed)
    costs = static_costs(space, matrix)
    for row, architecture in enumerate(to_architectures(space, matrix)):
        alone = cost(space, architecture)
        assert {name: values[row] for name, values in costs.items()} == {
            name: getattr(alone, name) for name in ("flops", "macs", "parameters", "model_bytes")
        }


@given(seeds)
def test_the_mask_is_that_of_each_architecture(seed: int) -> None:
    matrix = matrix_of(SPACE, seed)
    masks = [SPACE.active(architecture) for architecture in to_architectures(SPACE, matrix)]
    assert active_mask(SPACE, matrix).tolist() == masks


@given(seeds)
def test_inactive_genes_change_nothing_and_become_zero(seed: int) -> None:
    matrix = matrix_of(SPACE, seed)
    noise = np.random.default_rng(seed).integers(0, [len(gene.values) for gene in SPACE.genes()], matrix.shape)
    noisy = np.where(active_mask(SPACE, matrix), matrix, noise).astype(np.int8)
    assert to_architectures(SPACE, noisy) == to_architectures(SPACE, matrix)
    assert np.array_equal(static_costs(SPACE, noisy)["macs"], static_costs(SPACE, matrix)["macs"])
    assert np.array_equal(canonical(SPACE, noisy), matrix)


def test_samples_have_every_depth_and_resolution_alike() -> None:
    matrix = matrix_of(SPACE, 0, count=3000)
    for column in (0, 1, 5):
        shares = np.bincount(matrix[:, column], minlength=3) / len(matrix)
        assert shares == pytest.approx([1 / 3] * 3, abs=0.04)


def test_no_architectures_are_no_rows() -> None:
    empty = to_matrix(SPACE, [])
    assert empty.shape == (0, len(SPACE.genes()))
    assert to_architectures(SPACE, empty) == []
    assert static_costs(SPACE, empty)["macs"].shape == (0,)


@pytest.mark.parametrize(
    "text",
    [
        "r20-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2",
        "r16-k3e4-k3e2-k3e2-k3e2-k3e2-k3e2",
        "r16-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2",
        "r16-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2.k3e2",
    ],
    ids=["resolution", "expand", "stages", "depth"],
)
def test_an_architecture_of_another_space_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match=text):
        to_matrix(SPACE, [SPACE.maximum(), parse_id(text)])


@pytest.mark.parametrize("function", [to_architectures, canonical, active_mask, static_costs])
def test_a_matrix_that_does_not_fit_is_refused(function) -> None:  # type: ignore[no-untyped-def]
    matrix = matrix_of(SPACE, 0)
    with pytest.raises(ArchitectureError, match="genes"):
        function(SPACE, matrix[:, :-1])
    for index in (-1, 3):
        wrong = matrix.copy()
        wrong[2, 0] = index
        with pytest.raises(ArchitectureError, match=f"gene resolution: index {index} is not within 0..2"):
            function(SPACE, wrong)
