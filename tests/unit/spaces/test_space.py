"""Search spaces: what they contain, how they are drawn from, and which values they refuse."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfpnas_api.spaces import Architecture, ArchitectureError, SearchSpace, SearchSpaceError

SPACE = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 6), depths=(1, 2, 4), resolutions=(16, 24, 32))
TINY = SearchSpace(kernel_sizes=(3,), expand_ratios=(1, 2), depths=(1,), resolutions=(16, 20))

seeds = st.integers(0, 2**32 - 1)


def draw(seed: int) -> Architecture:
    return SPACE.sample(np.random.default_rng(seed))


@given(seeds)
def test_a_sample_is_inside(seed: int) -> None:
    assert SPACE.contains(draw(seed))


@given(seeds)
def test_an_id_gives_the_architecture_back(seed: int) -> None:
    architecture = draw(seed)
    assert SPACE.parse(architecture.id) == architecture
    assert hash(SPACE.parse(architecture.id)) == hash(architecture)


@given(seeds)
def test_genes_give_the_architecture_back(seed: int) -> None:
    architecture = draw(seed)
    assert SPACE.from_genes(SPACE.to_genes(architecture)) == architecture


@given(seeds, seeds)
def test_inactive_genes_mean_nothing(seed: int, other: int) -> None:
    architecture = draw(seed)
    noise = np.random.default_rng(other).integers(0, [len(gene.values) for gene in SPACE.genes()])
    genes = np.where(SPACE.active(architecture), SPACE.to_genes(architecture), noise)
    assert SPACE.from_genes(genes.tolist()).id == architecture.id


@given(seeds)
def test_inactive_genes_read_as_zero(seed: int) -> None:
    architecture = draw(seed)
    pairs = zip(SPACE.to_genes(architecture), SPACE.active(architecture), strict=True)
    assert all(active or index == 0 for index, active in pairs)


@given(seeds, st.floats(0, 1))
def test_a_mutant_is_inside(seed: int, probability: float) -> None:
    mutant = SPACE.mutate(draw(seed), np.random.default_rng(seed), probability=probability)
    assert SPACE.contains(mutant)


@given(seeds)
def test_mutation_with_probability_zero_changes_nothing(seed: int) -> None:
    architecture = draw(seed)
    assert SPACE.mutate(architecture, np.random.default_rng(seed), probability=0.0) == architecture


@given(seeds, seeds)
def test_a_child_has_every_gene_from_a_parent(first: int, second: int) -> None:
    a, b = draw(first), draw(second)
    child = SPACE.crossover(a, b, np.random.default_rng(first))
    assert SPACE.contains(child)
    assert child.resolution in {a.resolution, b.resolution}
    for mine, *parents in zip(child.stages, a.stages, b.stages, strict=True):
        assert len(mine) in map(len, parents)
        for index, gene in enumerate(mine):
            there = [parent[index] for parent in parents if index < len(parent)]
            assert gene.kernel in {other.kernel for other in there}
            assert gene.expand in {other.expand for other in there}


@given(seeds)
def test_a_child_of_equal_parents_is_their_equal(seed: int) -> None:
    architecture = draw(seed)
    assert SPACE.crossover(architecture, architecture, np.random.default_rng(seed)) == architecture


def test_the_same_seed_draws_the_same() -> None:
    assert draw(7) == draw(7)


@settings(max_examples=5)
@given(seeds)
def test_samples_use_every_value_of_every_gene(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [SPACE.sample(rng) for _ in range(300)]
    assert {a.resolution for a in drawn} == {16, 24, 32}
    assert {depth for a in drawn for depth in a.depths[:5]} == {1, 2, 4}
    assert {gene.kernel for a in drawn for gene in a.stages[4]} == {3, 5, 7}


def test_count_is_the_number_of_distinct_architectures() -> None:
    everything = list(TINY.enumerate())
    assert len({a.id for a in everything}) == len(everything) == TINY.count == 128


def test_count_agrees_with_all_gene_combinations() -> None:
    space = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1, 2, 3), resolutions=(16, 24))
    choices = [range(len(gene.values)) for gene in space.genes()]
    assert len({space.from_genes(indices) for indices in itertools.product(*choices)}) == space.count == 486


def test_count_is_exact_for_a_huge_space() -> None:
    space = SearchSpace(kernel_sizes=(3, 5, 7), expand_ratios=(3, 4, 6), depths=(2, 3, 4), resolutions=(224,))
    assert space.count == (9**2 + 9**3 + 9**4) ** 5 * 9


def test_the_extremes_bound_every_gene() -> None:
    low, high = SPACE.minimum(), SPACE.maximum()
    assert (low.resolution, low.depths) == (16, (1, 1, 1, 1, 1, 1))
    assert (high.resolution, high.depths) == (32, (4, 4, 4, 4, 4, 1))
    assert {(gene.kernel, gene.expand) for stage in high.stages for gene in stage} == {(7, 6)}


def test_genes_come_in_order() -> None:
    names = [gene.name for gene in TINY.genes()]
    assert names[:4] == ["resolution", "stage1.depth", "stage2.depth", "stage3.depth"]
    assert names[7:9] == ["stage1.block1.kernel", "stage1.block1.expand"]
    assert names[-1] == "stage6.block1.expand"


def test_lists_are_sorted_so_that_equal_spaces_are_equal() -> None:
    space = SearchSpace(kernel_sizes=[5, 3], expand_ratios=[4, 2, 3], depths=[2, 1], resolutions=[24, 16])
    assert space == SearchSpace()
    assert hash(space) == hash(SearchSpace())


@pytest.mark.parametrize(
    ("field", "name", "value", "allowed"),
    [
        ("backbone", "backbone", "VGG", "MobileNetV2, ProxylessNAS"),
        ("width_multiplier", "widthMultiplier", 0.0, "0.1 to 2.0"),
        ("width_multiplier", "widthMultiplier", float("nan"), "0.1 to 2.0"),
        ("width_multiplier", "widthMultiplier", "0.5", "0.1 to 2.0"),
        ("kernel_sizes", "kernelSizes", [], "3, 5, 7"),
        ("kernel_sizes", "kernelSizes", [3, 4], "3, 5, 7"),
        ("kernel_sizes", "kernelSizes", [3, 3], "3, 5, 7"),
        ("kernel_sizes", "kernelSizes", "357", "3, 5, 7"),
        ("kernel_sizes", "kernelSizes", 3, "3, 5, 7"),
        ("kernel_sizes", "kernelSizes", [3.0], "3, 5, 7"),
        ("expand_ratios", "expandRatios", [0, 2], "1 to 8"),
        ("expand_ratios", "expandRatios", [True], "1 to 8"),
        ("depths", "depths", [9], "1 to 8"),
        ("resolutions", "resolutions", [18], "multiples of 4"),
        ("resolutions", "resolutions", [80], "16..64"),
        ("resolutions", "resolutions", [12, 16], "16..64"),
        ("resolutions", "resolutions", [32, 224], "96..512"),
        ("classes", "classes", 0, "1 to 100000"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(field: str, name: str, value: object, allowed: str) -> None:
    with pytest.raises(SearchSpaceError, match=f"^{name}: ") as caught:
        SearchSpace(**{field: value})
    assert caught.value.field == name
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not of the form"),
        ("r16", "not of the form"),
        ("r016-k3e2", "not of the form"),
        ("r16-k3e2\n", "not of the form"),
        ("r16-k3e2-", "not of the form"),
        ("r" + "9" * 10_000, "not of the form"),
        ("r17-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2", "resolution 17"),
        ("r16-k3e2-k3e2-k3e2-k3e2-k3e2", "5 stages, the space has 6"),
        ("r16-k3e2-k3e2.k3e2-k3e2-k3e2-k3e2-k3e2", "stage2 has 2 blocks"),
        ("r16-k3e2-k5e2-k3e2-k3e2-k3e2-k3e2", "kernel 5 of stage2.block1"),
        ("r16-k3e2-k3e2-k3e4-k3e2-k3e2-k3e2", "expand 4 of stage3.block1"),
    ],
)
def test_a_wrong_id_is_refused_with_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=complaint):
        TINY.parse(text)


@pytest.mark.parametrize("indices", [[], [0] * 18, [0] * 20, [2] + [0] * 18, [-1] + [0] * 18])
def test_wrong_genes_are_refused(indices: list[int]) -> None:
    with pytest.raises(ArchitectureError):
        TINY.from_genes(indices)


def test_an_id_is_short_and_safe_for_the_deepest_space() -> None:
    space = SearchSpace(depths=(8,), resolutions=(64,))
    text = space.maximum().id
    assert len(text) < 256
    assert set(text) <= set("rke0123456789.-")
    assert space.parse(text) == space.maximum()


def test_foreign_architectures_are_refused_everywhere() -> None:
    foreign, rng = SPACE.maximum(), np.random.default_rng(0)
    for use in (TINY.require, TINY.to_genes, TINY.blocks, lambda a: TINY.mutate(a, rng)):
        with pytest.raises(ArchitectureError, match="resolution 32"):
            use(foreign)
